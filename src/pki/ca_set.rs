//! A value for each CA role of a cluster, for example its CAs.

use super::trust_bundle::TrustBundle;
use crate::cluster::profile::{CaRole, CertificateSpec};

/// A trust bundle, or another value, for each [`CaRole`].
#[derive(Debug, Clone)]
pub struct CaSet<T = TrustBundle> {
    /// The cluster's.
    pub cluster: T,
    /// The value of etcd's CA.
    pub etcd: T,
    /// The front proxy's.
    pub front_proxy: T,
}

impl<T> CaSet<T> {
    /// Creates a set from a function of the role.
    ///
    /// # Errors
    /// Returns the first error of `make`.
    pub fn try_from_fn<E>(mut make: impl FnMut(CaRole) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self { cluster: make(CaRole::Cluster)?, etcd: make(CaRole::Etcd)?, front_proxy: make(CaRole::FrontProxy)? })
    }

    /// Returns the value of a role.
    #[must_use]
    pub fn of(&self, role: CaRole) -> &T {
        match role {
            CaRole::Cluster => &self.cluster,
            CaRole::Etcd => &self.etcd,
            CaRole::FrontProxy => &self.front_proxy,
        }
    }

    /// Returns the value of the role that signs `spec`.
    #[must_use]
    pub fn issuer_of(&self, spec: &CertificateSpec) -> &T {
        self.of(spec.policy().signed_by)
    }
}
