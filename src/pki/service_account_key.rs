//! The private key that signs service account tokens, as clusterctl or another tool made it.

use std::fmt;

use zeroize::Zeroizing;

use super::fingerprint::Fingerprint;
use super::key::{KeyError, PrivateKey};
use super::local_key::{self, LocalKey};
use super::pem;
use super::signing_key::{SignatureAlgorithm, SigningKey};
use crate::cluster::key_kind::KeyKind;

/// A private key that signs service account tokens, as PKCS#8, with its public half. No `Clone`; `Debug` shows the fingerprint.
///
/// Kubernetes signs tokens only with ECDSA or RSA (Kubernetes `pkg/serviceaccount`, `keyIDFromPublicKey` and its
/// signers).
pub struct ServiceAccountKey {
    pkcs8: Zeroizing<Vec<u8>>,
    spki: Vec<u8>,
    kind: &'static str,
}

impl ServiceAccountKey {
    /// Makes a new key; of a cluster with Ed25519 keys it is P-256.
    ///
    /// # Errors
    /// Returns an error if the operating system provides no random numbers.
    pub fn generate(keys: KeyKind) -> Result<Self, KeyError> {
        let key = PrivateKey::generate(match keys {
            KeyKind::EcdsaP384 => KeyKind::EcdsaP384,
            KeyKind::EcdsaP256 | KeyKind::Ed25519 => KeyKind::EcdsaP256,
        })?;
        Self::from_pkcs8(Zeroizing::new(key.expose_pkcs8().to_vec()))
    }

    /// Reads the first key of a PEM file: PKCS#8, PKCS#1 or SEC 1, not encrypted.
    ///
    /// # Errors
    /// Returns an error if there is none, it is encrypted or damaged, or of a kind that signs no tokens.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        Self::from_pkcs8(local_key::pkcs8_from_pem(text, None)?)
    }

    fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let key = LocalKey::from_pkcs8(&pkcs8)?;
        let kind = match key.algorithm() {
            SignatureAlgorithm::EcdsaP256Sha256 => "ecdsa-p256",
            SignatureAlgorithm::EcdsaP384Sha384 => "ecdsa-p384",
            SignatureAlgorithm::RsaSha256 => "RSA",
            SignatureAlgorithm::Ed25519 => return Err(KeyError::Foreign),
        };
        Ok(Self { spki: key.public_key().to_vec(), pkcs8, kind })
    }

    /// Returns the key as unencrypted PEM, PKCS#8.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::write_key(&self.pkcs8)
    }

    /// Returns the public half as PEM.
    #[must_use]
    pub fn public_pem(&self) -> String {
        pem::write_public_key(&self.spki)
    }

    /// Returns the SubjectPublicKeyInfo as DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Returns SHA-256 of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.spki)
    }

    /// Returns the name of its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

impl fmt::Debug for ServiceAccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceAccountKey({} {})", self.kind, self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_sign_tokens_survive_their_pem() {
        for kind in KeyKind::ALL {
            let key = ServiceAccountKey::generate(kind).expect("a key");
            let again = ServiceAccountKey::from_pem(key.to_pem().as_bytes()).expect("the same key");
            assert_eq!((again.spki(), again.kind()), (key.spki(), key.kind()));
        }
        let rsa = ServiceAccountKey::from_pem(include_bytes!("untrusted_keys/ca.pem")).expect("an RSA key");
        assert_eq!(rsa.kind(), "RSA");
        let ed25519 = PrivateKey::generate(KeyKind::Ed25519).expect("a key").to_pem();
        assert_eq!(ServiceAccountKey::from_pem(ed25519.as_bytes()).map(|_| ()), Err(KeyError::Foreign));
    }
}
