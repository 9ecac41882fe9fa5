//! A value for each CA role of a cluster, for example its CAs.

use super::certificate::Certificate;
use super::trust_bundle::TrustBundle;
use crate::cluster::profile::{CaRole, CertificateSpec, Profile};

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

impl CaSet {
    /// Returns true if the phase of a rotation requires another certificate in place of this one.
    ///
    /// The client certificate of the front proxy cannot be observed from outside, so the API server gets a new serving
    /// certificate together with it. `sequence` is this one's sequence number in the ledger.
    #[must_use]
    pub fn replaces(&self, spec: &CertificateSpec, certificate: &Certificate, sequence: Option<u64>) -> bool {
        let is_marker = spec.profile == Profile::Apiserver;
        self.issuer_of(spec).replaces(spec, certificate, sequence)
            || (is_marker && self.front_proxy.rotation().is_some_and(|rotation| rotation.replaces_marker(sequence)))
    }
}
