//! The result of a renewal.

use std::collections::BTreeSet;

use crate::app::admin::AdminReport;
use crate::app::issue::PlannedCertificate;
use crate::app::revoke::RevokeReport;
use crate::cluster::name::HostName;

/// The result of a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewReport {
    /// The renewed certificates of hosts and of the verifier, with the reasons.
    pub certificates: Vec<PlannedCertificate>,
    /// The certificates that are due but need a request from their host, with the reasons.
    pub to_request: Vec<PlannedCertificate>,
    /// The administrators' kubeconfigs.
    pub admins: Vec<AdminReport>,
    /// The CRLs, if they were due.
    pub crls: Option<RevokeReport>,
}

impl RenewReport {
    /// Returns the hosts whose new certificates have to be packed and delivered.
    #[must_use]
    pub fn hosts(&self) -> BTreeSet<&HostName> {
        self.certificates.iter().filter_map(|certificate| certificate.credential.host.as_ref()).collect()
    }
}
