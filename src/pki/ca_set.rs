//! What belongs to each of a cluster's three roots, together: who asks for a leaf's issuer gets that of the root that the policy
//! names.

use super::certificate::Certificate;
use crate::cluster::profile::{CaRole, CertificateSpec};

/// One certificate, or what else is asked for, for each [`CaRole`].
#[derive(Debug, Clone)]
pub struct CaSet<T = Certificate> {
    /// The cluster's.
    pub cluster: T,
    /// etcd's.
    pub etcd: T,
    /// The front proxy's.
    pub front_proxy: T,
}

impl<T> CaSet<T> {
    /// That root's.
    #[must_use]
    pub fn of(&self, kind: CaRole) -> &T {
        match kind {
            CaRole::Cluster => &self.cluster,
            CaRole::Etcd => &self.etcd,
            CaRole::FrontProxy => &self.front_proxy,
        }
    }

    /// Of the root that has to have signed `leaf`.
    #[must_use]
    pub fn issuer_of(&self, leaf: &CertificateSpec) -> &T {
        self.of(leaf.policy().signed_by)
    }
}
