//! Errors of reading and using a private key.

use super::pem::PemError;

/// Errors of reading and using a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a PEM file.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A PEM file without a private key.
    #[error("there is no private key in it")]
    NoKey,
    /// A key that we do not make: RSA, P-521, SEC 1 …
    #[error("it is not a PKCS#8 key of a kind that clusterctl makes (ecdsa-p256, ecdsa-p384, ed25519)")]
    Foreign,
    /// The bytes contradict themselves: the public half does not belong to the private one.
    #[error("the key is damaged")]
    Damaged,
    /// A passphrase is needed and none was given.
    #[error("the key is encrypted, and no passphrase was given")]
    PassphraseNeeded,
    /// The passphrase opens nothing.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// Encrypted in a way that we do not read.
    #[error("the key is encrypted in a way that clusterctl does not read: {0}")]
    Encryption(String),
    /// The operating system's random numbers failed.
    #[error("the operating system gave no random numbers")]
    NoRandomness,
}
