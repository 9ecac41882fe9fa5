//! The result of issuing credentials.

use crate::app::revoke::superseded::SupersededReport;
use crate::cluster::spec::{Cluster, Host, Role};
use crate::store::files;
use crate::store::layout::Layout;

/// The result of issuing credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueReport {
    /// The number of certificates that were issued.
    pub issued: usize,
    /// The number of valid certificates that were kept.
    pub kept: usize,
    /// The result for the certificates of the former account scheme, if there were any.
    pub superseded: Option<SupersededReport>,
    /// The next step for the user.
    pub next: NextStep,
}

/// The next step after issuing. Bundles can be packed once all hosts have credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Issue the control-plane nodes' credentials.
    IssueMasters,
    /// Issue the nodes' credentials.
    IssueNodes,
    /// Pack the bundles.
    Package,
}

/// The number of hosts of each role that are examined: in a large cluster the first ones suffice for a hint.
const EXAMINED_HOSTS: usize = 1000;

impl NextStep {
    pub(super) fn of(cluster: &Cluster, layout: &Layout) -> Self {
        let lacks_some = |role, hosts: &[Host]| {
            let folder = layout.hosts_folder(role);
            hosts.iter().take(EXAMINED_HOSTS).any(|host| !files::exists(&folder.join(host.name.as_str())))
        };
        if lacks_some(Role::Master, &cluster.masters) {
            Self::IssueMasters
        } else if lacks_some(Role::Node, &cluster.nodes) {
            Self::IssueNodes
        } else {
            Self::Package
        }
    }
}
