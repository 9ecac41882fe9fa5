//! The options of removing hosts.

use std::path::PathBuf;

use crate::app::revoke::{Request, RevokeOptions};
use crate::cluster::host_pattern::HostPattern;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::HostName;
use crate::pki::reason::Reason;

/// Which hosts are removed, and how their certificates are revoked.
#[derive(Debug, Clone)]
pub struct RemoveOptions {
    /// The hosts. A pattern selects only hosts that are no longer in the cluster file.
    pub hosts: Vec<HostPattern>,
    /// The reason of the revocation.
    pub reason: Reason,
    /// The time from a CRL's thisUpdate to its nextUpdate; `None` means that of the cluster file.
    pub crl_validity: Option<Lifetime>,
    /// A folder with templates that replace those of the cluster file.
    pub templates: Option<PathBuf>,
}

impl RemoveOptions {
    /// Returns the options of revoking the certificates of these hosts.
    pub(super) fn revocation(&self, hosts: &[HostName]) -> RevokeOptions {
        RevokeOptions {
            request: Request::Remove { hosts: hosts.to_vec(), reason: self.reason },
            crl_validity: self.crl_validity,
            templates: self.templates.clone(),
        }
    }
}
