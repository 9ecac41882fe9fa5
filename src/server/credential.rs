//! The serving certificate and its key.

use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;

use crate::pki::certificate::Certificate;
use crate::pki::key::PrivateKey;

/// A certificate chain and its key, as rustls serves it.
pub struct ServingCredential {
    key: Arc<CertifiedKey>,
    not_after: OffsetDateTime,
}

impl std::fmt::Debug for ServingCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServingCredential(…)")
    }
}

/// Errors of a serving credential or of TLS's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("TLS cannot be configured: {0}")]
pub struct TlsError(String);

impl TlsError {
    pub(super) fn new(error: &rustls::Error) -> Self {
        Self(error.to_string())
    }
}

impl ServingCredential {
    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }

    /// Returns the earliest expiry of the certificates of the chain.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// Prepares a chain, the server's own certificate first, and its key.
    ///
    /// # Errors
    /// Returns an error if rustls does not support the key.
    pub fn new(chain: &[&Certificate], key: &PrivateKey) -> Result<Self, TlsError> {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.expose_pkcs8()));
        let key = any_supported_type(&der).map_err(|error| TlsError::new(&error))?;
        let not_after = chain.iter().map(|one| one.not_after).min().unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let chain = chain.iter().map(|one| CertificateDer::from(one.der().to_vec())).collect();
        Ok(Self { key: Arc::new(CertifiedKey::new(chain, key)), not_after })
    }
}
