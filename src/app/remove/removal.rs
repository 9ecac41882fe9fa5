//! Finds what is removed of hosts.

use std::path::PathBuf;

use super::hosts::KnownHosts;
use super::next_step::NextStep;
use super::options::RemoveOptions;
use crate::app::env::Env;
use crate::app::revoke::{RevokePreview, removed_hosts};
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::{Cluster, Role};
use crate::store::files;
use crate::store::ledger::certificates::IssuedCertificate;

/// What is removed of hosts, and the next steps in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The hosts, in the order of their names.
    pub hosts: Vec<HostRemoval>,
    /// The CAs that sign a CRL.
    pub crls: Vec<CaRole>,
    /// The CAs that signed some of the certificates and cannot sign a CRL.
    pub without_crl: Vec<CaRole>,
    /// Whether nothing is left to revoke: every certificate is revoked or has expired, and CRLs and rules are up to date.
    pub is_revoked: bool,
    /// The next steps in the cluster.
    pub next: Vec<NextStep>,
}

/// What is removed of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRemoval {
    /// The host.
    pub host: HostName,
    /// The roles that it had.
    pub roles: Vec<Role>,
    /// The certificates that are revoked: those that are neither expired nor revoked.
    pub certificates: Vec<IssuedCertificate>,
    /// The folders and bundles that are deleted.
    pub paths: Vec<PathBuf>,
}

impl Removal {
    /// Finds what is removed.
    pub(super) fn of(
        hosts: Vec<HostName>,
        options: &RemoveOptions,
        known: &KnownHosts,
        revocation: &RevokePreview<'_>,
        cluster: &Cluster,
        env: &Env,
    ) -> Self {
        let of_host = |host: HostName| {
            let is_of_host = |one: &&IssuedCertificate| one.host.as_deref() == Some(host.as_str());
            let certificates = revocation.certificates().iter().filter(is_of_host).cloned().collect();
            let folders = [Role::Master, Role::Node].map(|role| env.layout.hosts_folder(role).join(host.as_str()));
            let bundles = removed_hosts::bundles_of(&host, &env.layout);
            let paths = folders.into_iter().filter(|path| files::exists(path)).chain(bundles).collect();
            HostRemoval { roles: known.roles(&host), host, certificates, paths }
        };
        let mut hosts: Vec<HostRemoval> = hosts.into_iter().map(of_host).collect();
        // A pattern may match many hosts that were removed long ago. They are left out.
        if !hosts.iter().all(HostRemoval::is_empty) {
            let is_named = |host: &HostName| options.hosts.iter().any(|named| named.as_str() == host.as_str());
            hosts.retain(|one| !one.is_empty() || is_named(&one.host));
        }
        let of_role = |role| -> Vec<HostName> {
            hosts.iter().filter(|one| one.roles.contains(&role)).map(|one| one.host.clone()).collect()
        };
        Self {
            crls: revocation.signers().to_vec(),
            without_crl: revocation.without_crl(),
            is_revoked: revocation.is_settled(),
            next: NextStep::of(&of_role(Role::Master), &of_role(Role::Node), cluster),
            hosts,
        }
    }

    /// Returns the number of certificates that are revoked.
    #[must_use]
    pub fn certificates(&self) -> usize {
        self.hosts.iter().map(|one| one.certificates.len()).sum()
    }

    /// Returns the files and folders that are deleted.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.hosts.iter().flat_map(|one| &one.paths)
    }

    /// Returns true if nothing is left of the hosts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_revoked && self.paths().next().is_none()
    }
}

impl HostRemoval {
    /// Returns true if nothing is left of the host.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.paths.is_empty()
    }
}
