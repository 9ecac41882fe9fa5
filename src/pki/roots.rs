//! The certificates of a cluster's three roots, together: who asks for a leaf's issuer gets the one that the policy names.

use super::certificate::Certificate;
use crate::cluster::profile::{Leaf, RootKind};

/// One certificate for each [`RootKind`].
#[derive(Debug, Clone)]
pub struct Roots {
    /// The cluster's.
    pub cluster: Certificate,
    /// etcd's.
    pub etcd: Certificate,
    /// The front proxy's.
    pub front_proxy: Certificate,
}

impl Roots {
    /// The certificate of that root.
    #[must_use]
    pub fn of(&self, kind: RootKind) -> &Certificate {
        match kind {
            RootKind::Cluster => &self.cluster,
            RootKind::Etcd => &self.etcd,
            RootKind::FrontProxy => &self.front_proxy,
        }
    }

    /// The root that has to have signed `leaf`.
    #[must_use]
    pub fn issuer_of(&self, leaf: &Leaf) -> &Certificate {
        self.of(leaf.policy().signed_by)
    }
}
