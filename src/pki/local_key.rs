//! A private key in this process's memory, opened for signing.

use std::fmt;

use pkcs8::der::Encode;
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::key::{EC, KeyError, P256, P384, PrivateKey};
use super::key_encryption;
use super::key_pair::KeyPair;
use super::passphrase::Passphrase;
use super::pem::{self, EncryptedKey, Item, KeyForm, Secret};
use super::signing_key::{SignatureAlgorithm, SigningError, SigningKey};
use crate::cluster::key_kind::KeyKind;

/// rsaEncryption (RFC 8017 § A.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A private key of a kind that clusterctl generates, or RSA, opened for signing.
pub struct LocalKey {
    public_key: Vec<u8>,
    algorithm: SignatureAlgorithm,
    pair: KeyPair,
    is_weakly_encrypted: bool,
}

impl LocalKey {
    /// Reads a key of a CA from PEM: PKCS#8, encrypted PKCS#8, PKCS#1 or SEC 1.
    ///
    /// # Errors
    /// Returns an error if there is no key, it is of an unsupported kind, it is damaged, or the passphrase is wrong or
    /// missing.
    pub fn from_pem_with(text: &[u8], passphrase: Option<&Passphrase>) -> Result<Self, KeyError> {
        let Opened { pkcs8, is_weakly_encrypted } = first_key(pem::read_all(text)?, passphrase)?;
        Ok(Self { is_weakly_encrypted, ..Self::from_pkcs8(&pkcs8)? })
    }

    /// Returns true if its file has it in OpenSSL's form before PKCS#8, in which passphrases are tried quickly: a
    /// single round of MD5 derives the key.
    #[must_use]
    pub fn is_weakly_encrypted(&self) -> bool {
        self.is_weakly_encrypted
    }

    /// Opens PKCS#8 of a kind that clusterctl generates, or of an RSA key of 2048 to 4096 bits, which is what ring
    /// signs with.
    ///
    /// # Errors
    /// Returns an error if it is damaged, or of another kind.
    pub(super) fn from_pkcs8(pkcs8: &Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        match Self::rsa(pkcs8) {
            Some(key) => Ok(key),
            None => Self::open(&PrivateKey::from_pkcs8(pkcs8.clone())?),
        }
    }

    /// Opens a key of a kind that clusterctl generates.
    ///
    /// # Errors
    /// Returns an error if its halves do not belong together.
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
            is_weakly_encrypted: false,
        })
    }

    fn rsa(pkcs8: &Zeroizing<Vec<u8>>) -> Option<Self> {
        let pair = KeyPair::open_rsa(KeyForm::Pkcs8, pkcs8)?;
        let (public_key, algorithm) = (pair.rsa_spki()?, SignatureAlgorithm::RsaSha256);
        Some(Self { public_key, algorithm, pair, is_weakly_encrypted: false })
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

/// Reads the first key of a PEM file, as PKCS#8 of any kind; encrypted ones come last.
///
/// # Errors
/// Returns an error if it does not exist, or its passphrase is wrong or missing.
pub(super) fn pkcs8_from_pem(text: &[u8], passphrase: Option<&Passphrase>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    Ok(first_key(pem::read_all(text)?, passphrase)?.pkcs8)
}

/// A key as PKCS#8 of any kind.
pub(super) struct Opened {
    pub(super) pkcs8: Zeroizing<Vec<u8>>,
    /// Whether the file has it in OpenSSL's form before PKCS#8, whose encryption is weak.
    pub(super) is_weakly_encrypted: bool,
}

/// Opens the first key among the items of a file.
///
/// # Errors
/// Returns an error if it does not exist, or its passphrase is wrong or missing.
pub(super) fn first_key(items: Vec<Item>, passphrase: Option<&Passphrase>) -> Result<Opened, KeyError> {
    for item in items {
        match item {
            Item::Key(form, Secret(der)) => {
                return Ok(Opened { pkcs8: to_pkcs8(form, der)?, is_weakly_encrypted: false });
            }
            Item::EncryptedKey(key) => {
                let (form, der) = key_encryption::decrypt(&key, passphrase)?;
                let is_weakly_encrypted = matches!(key, EncryptedKey::WithHeaders(_));
                return Ok(Opened { pkcs8: to_pkcs8(form, der)?, is_weakly_encrypted });
            }
            _ => {}
        }
    }
    Err(KeyError::NoKey)
}

/// Wraps a key of an older form in PKCS#8.
fn to_pkcs8(form: KeyForm, der: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    match form {
        KeyForm::Pkcs8 => Ok(der),
        KeyForm::Pkcs1 => wrapped(RSA, &AnyRef::NULL, &der),
        // Only the key's own curve succeeds, because its point is on no other curve.
        KeyForm::Sec1 => [P256, P384]
            .iter()
            .filter_map(|curve| wrapped(EC, curve, &der).ok())
            .find(|pkcs8| LocalKey::from_pkcs8(pkcs8).is_ok())
            .ok_or(KeyError::Foreign),
    }
}

fn wrapped<P: Encode>(oid: ObjectIdentifier, parameters: &P, key: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let parameters = parameters.to_der().map_err(|_| KeyError::Damaged)?;
    let parameters = AnyRef::try_from(parameters.as_slice()).map_err(|_| KeyError::Damaged)?;
    let key = OctetStringRef::new(key).map_err(|_| KeyError::Damaged)?;
    let info = PrivateKeyInfoRef::new(AlgorithmIdentifierRef { oid, parameters: Some(parameters) }, key);
    info.to_der().map(Zeroizing::new).map_err(|_| KeyError::Damaged)
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
