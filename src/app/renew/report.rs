//! What was renewed.

use std::collections::BTreeSet;

use crate::app::admin::AdminReport;
use crate::app::issue::PlannedCertificate;
use crate::app::revoke::RevokeReport;
use crate::cluster::name::HostName;

/// What was renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewReport {
    /// The certificates of hosts and of the verifier, with the reasons.
    pub certificates: Vec<PlannedCertificate>,
    /// The certificates that are due, and for which only their hosts can ask, with the reasons.
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
