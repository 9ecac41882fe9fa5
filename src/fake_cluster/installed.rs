//! What is installed on a simulated host, which can be replaced while it runs.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;

use super::error::FakeClusterError;
use super::tls::serving;
use crate::pki::certificate::Certificate;
use crate::pki::issuer::Credential;

/// What is installed on a host.
#[derive(Clone)]
pub(super) struct Installed {
    /// It presents the serving certificate.
    pub(super) acceptor: TlsAcceptor,
    /// The roots whose clients are accepted.
    pub(super) roots: Arc<[Certificate]>,
    /// The roots whose clients may name another user in a header, at an API server.
    pub(super) proxy_roots: Arc<[Certificate]>,
    /// The ids of the keys of service accounts, as an API server publishes them.
    pub(super) token_keys: Arc<[String]>,
}

/// The place of what is installed on a host.
#[derive(Clone)]
pub(super) struct Slot(Arc<RwLock<Installed>>);

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot")
    }
}

impl Slot {
    pub(super) fn new(acceptor: TlsAcceptor, roots: &[Certificate], proxy_roots: &[Certificate]) -> Self {
        let (roots, proxy_roots) = (roots.into(), proxy_roots.into());
        Self(Arc::new(RwLock::new(Installed { acceptor, roots, proxy_roots, token_keys: Arc::default() })))
    }

    pub(super) fn get(&self) -> Installed {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces what is installed, except the roots of front proxies.
    pub(super) fn replace(&self, acceptor: TlsAcceptor, roots: &[Certificate]) {
        let mut installed = self.0.write().unwrap_or_else(PoisonError::into_inner);
        (installed.acceptor, installed.roots) = (acceptor, roots.into());
    }

    /// Replaces the ids of the keys of service accounts.
    pub(super) fn replace_token_keys(&self, ids: Vec<String>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).token_keys = ids.into();
    }

    /// Replaces the roots of front proxies.
    pub(super) fn replace_proxy_roots(&self, roots: &[Certificate]) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).proxy_roots = roots.into();
    }
}

/// Returns the acceptor that serves with this credential.
///
/// # Errors
/// Returns an error if the credential cannot be served.
pub(super) fn acceptor(host: &str, credential: &Credential) -> Result<TlsAcceptor, FakeClusterError> {
    let acceptors = serving(std::slice::from_ref(credential), &[host.to_owned()], None)?;
    let none = || FakeClusterError::Credential { host: host.to_owned(), reason: "there is none".to_owned() };
    acceptors.into_iter().next().ok_or_else(none)
}
