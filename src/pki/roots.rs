//! What belongs to each of a cluster's three roots, together: who asks for a leaf's issuer gets that of the root that the policy
//! names.

use super::certificate::Certificate;
use crate::cluster::profile::{Leaf, RootKind};

/// One certificate, or what else is asked for, for each [`RootKind`].
#[derive(Debug, Clone)]
pub struct Roots<T = Certificate> {
    /// The cluster's.
    pub cluster: T,
    /// etcd's.
    pub etcd: T,
    /// The front proxy's.
    pub front_proxy: T,
}

impl<T> Roots<T> {
    /// That root's.
    #[must_use]
    pub fn of(&self, kind: RootKind) -> &T {
        match kind {
            RootKind::Cluster => &self.cluster,
            RootKind::Etcd => &self.etcd,
            RootKind::FrontProxy => &self.front_proxy,
        }
    }

    /// Of the root that has to have signed `leaf`.
    #[must_use]
    pub fn issuer_of(&self, leaf: &Leaf) -> &T {
        self.of(leaf.policy().signed_by)
    }
}
