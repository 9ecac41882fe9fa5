//! The trait of private keys of CAs, which hides where a key is stored.

use super::certificate::PublicKeyKind;
use super::signer_error::{ProgramError, TokenError};
use crate::cluster::key_kind::KeyKind;

/// The algorithm of a signature, which follows from the kind of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// ecdsa-with-SHA256 on P-256 (RFC 5758 § 3.2).
    EcdsaP256Sha256,
    /// ecdsa-with-SHA384 on P-384 (RFC 5758 § 3.2).
    EcdsaP384Sha384,
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// sha256WithRSAEncryption (RFC 4055 § 5).
    RsaSha256,
}

impl SignatureAlgorithm {
    /// Returns the algorithm's name, as external programs get it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::Ed25519 => "ed25519",
            Self::RsaSha256 => "rsa-pkcs1-sha256",
        }
    }

    /// Returns the algorithm that a key of this kind signs with; `None` if none is supported.
    #[must_use]
    pub fn of_key(kind: &PublicKeyKind) -> Option<Self> {
        match kind {
            PublicKeyKind::Supported(KeyKind::EcdsaP256) => Some(Self::EcdsaP256Sha256),
            PublicKeyKind::Supported(KeyKind::EcdsaP384) => Some(Self::EcdsaP384Sha384),
            PublicKeyKind::Supported(KeyKind::Ed25519) => Some(Self::Ed25519),
            PublicKeyKind::Rsa(_) => Some(Self::RsaSha256),
            PublicKeyKind::Other(_) => None,
        }
    }
}

/// Errors of signing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// A program that holds the key.
    #[error("the program {program} {error}")]
    Program {
        /// The program, as the cluster file names it.
        program: String,
        /// What it did.
        error: ProgramError,
    },
    /// A PKCS#11 token that holds the key.
    #[error("the token {token}: {error}")]
    Token {
        /// The token, as the cluster file names it.
        token: String,
        /// What is wrong with it.
        error: TokenError,
    },
    /// The signature operation failed.
    #[error("the key could not sign")]
    Failed,
}

/// A private key that signs certificates and CRLs.
///
/// The key may be in memory, in hardware, or held by another program. The issuer verifies every signature under the
/// public key in its certificate, so an implementation that returns a wrong signature causes an error and never a bad
/// certificate.
pub trait SigningKey: Send + Sync {
    /// Returns the public key as SubjectPublicKeyInfo, DER (RFC 5280 § 4.1.2.7).
    fn public_key(&self) -> &[u8];

    /// Returns the algorithm of the signatures.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// Signs `message`: a tbsCertificate or a tbsCertList, DER.
    ///
    /// # Errors
    /// Returns an error if the key cannot be reached, refuses, or fails.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError>;
}
