//! The results of joining and renewing, as data.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::ask::Granted;
use super::certificates;
use crate::app::error::Error;
use crate::cluster::name::HostName;
use crate::cluster::profile::{Holder, Profile, TABLE};
use crate::enrol::record::Record;
use crate::pki::fingerprint::Fingerprint;

/// A certificate of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedCertificate {
    /// Its profile.
    pub profile: Profile,
    /// The request that it was issued for, if that was in this run.
    pub request: Option<String>,
    /// The path on the host.
    pub path: PathBuf,
    /// Its SHA-256.
    pub certificate: Fingerprint,
    /// The end of its validity.
    pub not_after: OffsetDateTime,
}

impl JoinedCertificate {
    /// Returns the certificates that the host has now.
    ///
    /// # Errors
    /// Returns an error if one of them cannot be read.
    pub(super) fn all(root: &Path, granted: &[Granted]) -> Result<Vec<Self>, Error> {
        let mut all = Vec::new();
        for row in TABLE.iter().filter(|row| row.holder == Holder::Node) {
            let Some(present) = certificates::present(root, row.profile)? else { continue };
            let request = granted.iter().find(|one| one.issued.fingerprint() == present.fingerprint());
            all.push(Self {
                profile: row.profile,
                request: request.map(|one| one.name.clone()),
                path: root.join(certificates::certificate_path(row.profile).unwrap_or_default()),
                certificate: present.fingerprint(),
                not_after: present.not_after,
            });
        }
        Ok(all)
    }
}

/// The result of joining.
#[derive(Debug, Clone)]
pub struct JoinReport {
    /// The host.
    pub host: HostName,
    /// The cluster's record.
    pub record: Record,
    /// The certificates of the host.
    pub certificates: Vec<JoinedCertificate>,
    /// Whether the host had joined before and has all certificates.
    pub nothing_to_do: bool,
    /// Whether the kubelet was started.
    pub is_started: bool,
}

/// The result of renewing.
#[derive(Debug, Clone)]
pub struct RenewReport {
    /// The host.
    pub host: HostName,
    /// The certificates of the host.
    pub certificates: Vec<JoinedCertificate>,
    /// The files that were replaced.
    pub replaced: Vec<PathBuf>,
    /// The time at which the next certificate is due.
    pub next: Option<OffsetDateTime>,
}
