//! A private key in this process's memory, opened for signing.

use std::fmt;

use zeroize::Zeroizing;

use super::key::{KeyError, PrivateKey};
use super::key_pair::KeyPair;
use super::passphrase::Passphrase;
use super::pem::{self, Item, KeyForm, Secret};
use super::signing_key::{SignatureAlgorithm, SigningError, SigningKey};
use crate::cluster::key_kind::KeyKind;

/// A private key of a kind that clusterctl makes, or RSA, opened for signing.
pub struct LocalKey {
    public_key: Vec<u8>,
    algorithm: SignatureAlgorithm,
    pair: KeyPair,
}

impl LocalKey {
    /// Reads a key of a CA from PEM: PKCS#8, encrypted PKCS#8, or an RSA key as PKCS#1.
    ///
    /// # Errors
    /// When there is no key, it is of an unsupported kind, it is damaged, or the passphrase is wrong or missing.
    pub fn from_pem_with(text: &[u8], passphrase: Option<&Passphrase>) -> Result<Self, KeyError> {
        for item in pem::read_all(text)? {
            if let Item::Key(form @ (KeyForm::Pkcs8 | KeyForm::Pkcs1), Secret(der)) = &item
                && let Some(key) = Self::rsa(*form, der)
            {
                return Ok(key);
            }
        }
        Self::open(&PrivateKey::from_pem_with(text, passphrase)?)
    }

    /// Opens a key of a kind that clusterctl makes.
    ///
    /// # Errors
    /// When its halves do not belong together.
    pub fn open(key: &PrivateKey) -> Result<Self, KeyError> {
        let algorithm = match key.kind() {
            KeyKind::EcdsaP256 => SignatureAlgorithm::EcdsaP256Sha256,
            KeyKind::EcdsaP384 => SignatureAlgorithm::EcdsaP384Sha384,
            KeyKind::Ed25519 => SignatureAlgorithm::Ed25519,
        };
        Ok(Self {
            public_key: key.spki(),
            algorithm,
            pair: KeyPair::open(key.kind(), key.expose_pkcs8()).ok_or(KeyError::Damaged)?,
        })
    }

    /// Opens an RSA key of 2048 to 4096 bits, which is what ring signs with.
    fn rsa(form: KeyForm, der: &Zeroizing<Vec<u8>>) -> Option<Self> {
        let pair = KeyPair::open_rsa(form, der)?;
        Some(Self { public_key: pair.rsa_spki()?, algorithm: SignatureAlgorithm::RsaSha256, pair })
    }
}

impl SigningKey for LocalKey {
    fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.pair.sign(message).ok_or(SigningError::Failed)
    }
}

impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalKey({:?})", self.algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_every_kind_opens_for_signing() {
        for kind in KeyKind::ALL {
            let key = PrivateKey::generate(kind).expect("a key");
            let opened = LocalKey::from_pem_with(key.to_pem().as_bytes(), None).expect("a key");
            assert_eq!(opened.public_key(), key.spki());
            assert!(opened.sign(b"message").is_ok());
        }
        let rsa = LocalKey::from_pem_with(include_bytes!("untrusted_keys/ca.pem"), None).expect("an RSA key");
        assert_eq!(rsa.algorithm(), SignatureAlgorithm::RsaSha256);
        assert!(rsa.sign(b"message").is_ok_and(|signature| signature.len() >= 256));
    }

    #[test]
    fn an_encrypted_key_needs_its_passphrase() {
        let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
        let passphrase = Passphrase::new("three in the morning".into());
        let encrypted = key.to_encrypted_pem(&passphrase).expect("encrypted");
        let open = |passphrase| LocalKey::from_pem_with(encrypted.as_bytes(), passphrase).map(|_| ());
        assert_eq!(open(None), Err(KeyError::PassphraseNeeded));
        assert_eq!(open(Some(&passphrase)), Ok(()));
    }
}
