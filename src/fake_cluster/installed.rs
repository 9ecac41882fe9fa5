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
    pub(super) fn new(acceptor: TlsAcceptor, roots: &[Certificate]) -> Self {
        Self(Arc::new(RwLock::new(Installed { acceptor, roots: roots.into() })))
    }

    pub(super) fn get(&self) -> Installed {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, installed: Installed) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = installed;
    }
}

/// Returns what a host serves with this credential and trusts.
///
/// # Errors
/// Returns an error if the credential cannot be served.
pub(super) fn installed(
    host: &str,
    credential: &Credential,
    roots: &[Certificate],
) -> Result<Installed, FakeClusterError> {
    let acceptors = serving(std::slice::from_ref(credential), &[host.to_owned()], None)?;
    let acceptor = acceptors.into_iter().next();
    let none = || FakeClusterError::Credential { host: host.to_owned(), reason: "there is none".to_owned() };
    Ok(Installed { acceptor: acceptor.ok_or_else(none)?, roots: roots.into() })
}
