//! Client certificates with their keys.

use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::pki::certificate::{Certificate, CertificateError};
use crate::pki::issuer::Credential;
use crate::pki::pem::{self, Item, PemError};

/// A client certificate with its key, ready to be presented. The key cannot be read back, and `Debug` prints the
/// certificate's fingerprint only.
#[derive(Clone)]
pub struct Identity {
    /// The leaf.
    pub certificate: Arc<Certificate>,
    pub(super) key: Arc<CertifiedKey>,
    /// The identity to present if the server accepts no signature of `key`.
    pub(super) fallback: Option<Arc<Identity>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.certificate.fingerprint())
    }
}

/// Errors of creating an identity from a certificate and a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No certificate at all.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// A file is not PEM, or damaged.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The leaf cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The key file contains no key, or an encrypted one.
    #[error("there is no unencrypted private key")]
    NoKey,
    /// The key is of a kind that TLS cannot use here.
    #[error("the key cannot be used: {0}")]
    Key(String),
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    KeyDoesNotFit,
}

impl Identity {
    /// Creates an identity from a chain, leaf first, and its key as PKCS#8, SEC 1 or PKCS#1 DER.
    ///
    /// # Errors
    /// Returns an error if the two cannot be used together.
    pub fn new(chain: &[Vec<u8>], key_der: &[u8]) -> Result<Self, IdentityError> {
        let leaf = chain.first().ok_or(IdentityError::NoCertificate)?;
        let certificate = Arc::new(Certificate::from_der(leaf.clone())?);
        let unusable = |reason: String| IdentityError::Key(reason);
        let der = PrivateKeyDer::try_from(key_der).map_err(|reason| unusable(reason.to_owned()))?;
        let key = any_supported_type(&der).map_err(|error| unusable(error.to_string()))?;
        let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                Err(IdentityError::KeyDoesNotFit)
            }
            // A certificate that webpki cannot parse may still be presented; the server decides.
            Ok(()) | Err(_) => Ok(Self { certificate, key: Arc::new(key), fallback: None }),
        }
    }

    /// Creates an identity from a chain, leaf first, and its key in any of the three PEM forms.
    ///
    /// # Errors
    /// Returns an error if one of them cannot be read, or the two cannot be used together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = pem::certificates(chain)?;
        let key = pem::read_all(key)?.into_iter().find_map(|item| match item {
            Item::Key(_, secret) => Some(secret),
            _ => None,
        });
        Self::new(&chain, key.ok_or(IdentityError::NoKey)?.expose())
    }

    /// Returns the certificates that are sent after the client's own.
    ///
    /// # Errors
    /// Returns an error if one of them cannot be read, because Kubernetes then rejects the whole chain.
    pub(super) fn intermediates(&self) -> Result<Vec<Certificate>, CertificateError> {
        self.key.cert.iter().skip(1).map(|der| Certificate::from_der(der.to_vec())).collect()
    }

    /// Adds another identity for servers that accept no signature of this one's key.
    pub(super) fn with_fallback(self, other: Self) -> Self {
        Self { fallback: Some(Arc::new(other)), ..self }
    }

    /// Returns the identity to present to a server that accepts signatures of `schemes`.
    pub(super) fn for_schemes(&self, schemes: &[SignatureScheme]) -> Option<&Self> {
        let signs = self.key.key.choose_scheme(schemes).is_some();
        if signs { Some(self) } else { self.fallback.as_ref()?.for_schemes(schemes) }
    }

    /// Creates an identity from an issued credential.
    ///
    /// # Errors
    /// Returns an error if its key does not match.
    pub fn of(credential: &Credential) -> Result<Self, IdentityError> {
        let chain: Vec<Vec<u8>> = credential.certificates().map(|sent| sent.der().to_vec()).collect();
        Self::new(&chain, credential.key.expose_pkcs8())
    }
}
