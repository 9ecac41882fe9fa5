//! Private keys: made by ring, kept as PKCS#8, wiped on drop, shown only as fingerprints.

use std::fmt;

use pkcs8::der::Decode;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use rcgen::{PublicKeyData, SignatureAlgorithm};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair};
use zeroize::Zeroizing;

use super::fingerprint::Fingerprint;
use super::key_encryption;
use super::key_pair::KeyPair;
use super::passphrase::Passphrase;
use super::pem::{self, Item, KeyForm};
use crate::cluster::key_kind::KeyKind;

pub use super::key_error::KeyError;

/// id-ecPublicKey and its curves (RFC 5480 § 2.1.1).
pub(super) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(super) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// RFC 8410 § 7: PKCS#8 v1 of an Ed25519 seed. OpenSSL does not read the v2 that ring writes.
const ED25519_V1_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A private key of one of our kinds, with its public half. No `Clone`; `Debug` shows the fingerprint.
pub struct PrivateKey {
    kind: KeyKind,
    pkcs8: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
}

/// Returns true where the system gives random bytes.
#[must_use]
pub fn randomness_is_there() -> bool {
    SystemRandom::new().fill(&mut [0_u8; 32]).is_ok()
}

impl PrivateKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// Returns an error if the operating system provides no random numbers.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let rng = SystemRandom::new();
        let no_randomness = |_| KeyError::NoRandomness;
        match kind {
            KeyKind::EcdsaP256 | KeyKind::EcdsaP384 => {
                let (algorithm, point) = match kind {
                    KeyKind::EcdsaP384 => (&ECDSA_P384_SHA384_ASN1_SIGNING, 97),
                    _ => (&ECDSA_P256_SHA256_ASN1_SIGNING, 65),
                };
                let document = EcdsaKeyPair::generate_pkcs8(algorithm, &rng).map_err(no_randomness)?;
                let pkcs8 = Zeroizing::new(document.as_ref().to_vec());
                // ring ends the document with the public point that it has just computed. Taking it from there spares
                // the second scalar multiplication that reading the document back would cost.
                let public = pkcs8[pkcs8.len() - point..].to_vec();
                Ok(Self { kind, pkcs8, public })
            }
            KeyKind::Ed25519 => {
                let mut pkcs8 = Zeroizing::new(ED25519_V1_PREFIX.to_vec());
                pkcs8.resize(ED25519_V1_PREFIX.len() + 32, 0);
                rng.fill(&mut pkcs8[ED25519_V1_PREFIX.len()..]).map_err(no_randomness)?;
                Self::from_pkcs8(pkcs8)
            }
        }
    }

    /// Reads PKCS#8 and checks that its halves belong together.
    ///
    /// # Errors
    /// Returns an error if it is of another kind, or damaged.
    pub fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let kind = kind_of(&pkcs8)?;
        let public = KeyPair::open(kind, &pkcs8).ok_or(KeyError::Damaged)?.public().to_vec();
        Ok(Self { kind, pkcs8, public })
    }

    /// Reads a PEM file with an unencrypted key.
    ///
    /// # Errors
    /// Returns an error if it does not exist, is encrypted, is of another kind, or is damaged.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        Self::from_pem_with(text, None)
    }

    /// Reads a PEM file with an encrypted or unencrypted key.
    ///
    /// # Errors
    /// Returns the errors of [`PrivateKey::from_pem`], or an error if the passphrase is wrong or missing.
    pub fn from_pem_with(text: &[u8], passphrase: Option<&Passphrase>) -> Result<Self, KeyError> {
        for item in pem::read_all(text)? {
            match item {
                Item::Key(KeyForm::Pkcs8, secret) => return Self::from_pkcs8(secret.0),
                Item::Key(..) => return Err(KeyError::Foreign),
                Item::EncryptedKey(der) => {
                    let plain = key_encryption::decrypt(&der, passphrase.ok_or(KeyError::PassphraseNeeded)?)?;
                    return Self::from_pkcs8(plain);
                }
                _ => {}
            }
        }
        Err(KeyError::NoKey)
    }

    /// Returns the key as unencrypted PEM.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::write_key(&self.pkcs8)
    }

    /// The public half as PEM.
    #[must_use]
    pub fn public_pem(&self) -> String {
        pem::write_public_key(&self.spki())
    }

    /// The key as PEM, encrypted under `passphrase`.
    ///
    /// # Errors
    /// Returns an error if the operating system provides no random numbers.
    pub fn to_encrypted_pem(&self, passphrase: &Passphrase) -> Result<String, KeyError> {
        key_encryption::encrypt(&self.pkcs8, passphrase)
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// SubjectPublicKeyInfo as DER (RFC 5280 § 4.1.2.7).
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        self.subject_public_key_info()
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.spki())
    }

    /// The PKCS#8 bytes, for a TLS client or server that signs with them.
    #[must_use]
    pub fn expose_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({} {})", self.kind, self.fingerprint())
    }
}

/// What rcgen has to know of a public key.
impl PublicKeyData for PrivateKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.kind {
            KeyKind::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyKind::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
        }
    }
}

fn kind_of(pkcs8: &[u8]) -> Result<KeyKind, KeyError> {
    const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    let info = PrivateKeyInfoRef::from_der(pkcs8).map_err(|_| KeyError::Foreign)?;
    match (info.algorithm.oid, info.algorithm.parameters_oid()) {
        (EC, Ok(P256)) => Ok(KeyKind::EcdsaP256),
        (EC, Ok(P384)) => Ok(KeyKind::EcdsaP384),
        (ED25519, _) => Ok(KeyKind::Ed25519),
        _ => Err(KeyError::Foreign),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_its_pem() {
        for kind in KeyKind::ALL {
            let key = PrivateKey::generate(kind).expect("a key");
            let again = PrivateKey::from_pem(key.to_pem().as_bytes()).expect("the same key");
            assert_eq!((again.kind(), again.spki()), (kind, key.spki()));
        }
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_only() {
        let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
        let encrypted = key.to_encrypted_pem(&Passphrase::new("three in the morning".into())).expect("encrypted");
        let open = |text: &str| PrivateKey::from_pem_with(encrypted.as_bytes(), Some(&Passphrase::new(text.into())));
        assert_eq!(open("three in the morning").map(|k| k.spki()), Ok(key.spki()));
        assert_eq!(open("four in the morning").map(|k| k.spki()), Err(KeyError::WrongPassphrase));
        assert_eq!(PrivateKey::from_pem(encrypted.as_bytes()).map(|k| k.spki()), Err(KeyError::PassphraseNeeded));
    }

    #[test]
    fn scrypt_that_is_none_or_asks_for_too_much_is_not_begun() {
        let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
        let passphrase = Passphrase::new("three in the morning".into());
        let encrypted = key.to_encrypted_pem(&passphrase).expect("encrypted");
        let Ok([Item::EncryptedKey(der)]) =
            pem::read_all(encrypted.as_bytes()).map(<[Item; 1]>::try_from).map(Result::unwrap)
        else {
            panic!("one encrypted key")
        };
        // N = 16384, r = 8, p = 5, each as a DER INTEGER, in this order.
        let numbers = [0x02, 0x02, 0x40, 0x00, 0x02, 0x01, 0x08, 0x02, 0x01, 0x05];
        let at = der.windows(numbers.len()).position(|window| window == numbers).expect("scrypt's numbers");
        for (offset, value) in [(3, 1), (6, 0), (9, 0), (9, 0x7f)] {
            let mut other = der.clone();
            other[at + offset] = value;
            let text = pem::write_encrypted_key(&other);
            let opened = PrivateKey::from_pem_with(text.as_bytes(), Some(&passphrase)).map(|key| key.kind());
            assert!(matches!(opened, Err(KeyError::Encryption(_))), "{offset}: {opened:?}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let key = PrivateKey::generate(KeyKind::Ed25519).expect("a key");
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("PrivateKey(ed25519 {})", Fingerprint::of(&key.spki())));
    }

    #[test]
    fn a_key_whose_halves_differ_is_damaged() {
        let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
        let mut bytes = key.expose_pkcs8().to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert_eq!(PrivateKey::from_pkcs8(Zeroizing::new(bytes)).map(|k| k.spki()), Err(KeyError::Damaged));
    }
}
