//! Errors of reading and using a private key.

use super::material::MaterialError;
use super::pem::PemError;

/// Errors of reading and using a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a PEM file.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A file that is neither PEM nor DER with a key.
    #[error(transparent)]
    Form(MaterialError),
    /// PKCS#12, which has a key and certificates.
    #[error("it is PKCS#12")]
    Pkcs12,
    /// A file without a private key.
    #[error("there is no private key in it")]
    NoKey,
    /// A key of a kind that clusterctl does not generate: RSA, P-521, SEC 1 …
    #[error("it is not a PKCS#8 key of a kind that clusterctl makes (ecdsa-p256, ecdsa-p384, ed25519)")]
    Foreign,
    /// The public half does not match the private one.
    #[error("the key is damaged")]
    Damaged,
    /// The key needs a passphrase, but none was given.
    #[error("the key is encrypted, and no passphrase was given")]
    PassphraseNeeded,
    /// The passphrase does not decrypt the key.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The key is encrypted in an unsupported way.
    #[error("the key is encrypted in a way that clusterctl does not read: {0}")]
    Encryption(String),
    /// The header of a key in OpenSSL's form before PKCS#8 has an initialization vector that its cipher cannot have.
    #[error("the initialization vector in DEK-Info has {found} bytes, and the cipher needs {wanted}")]
    InitializationVector {
        /// The number of bytes that the cipher needs.
        wanted: usize,
        /// The number of bytes that the header has.
        found: usize,
    },
    /// The operating system's random numbers failed.
    #[error("the operating system provided no random numbers")]
    NoRandomness,
}

impl From<MaterialError> for KeyError {
    fn from(error: MaterialError) -> Self {
        match error {
            MaterialError::Pem(error) => Self::Pem(error),
            MaterialError::Pkcs12 => Self::Pkcs12,
            other => Self::Form(other),
        }
    }
}
