//! A public key as SubjectPublicKeyInfo: read, and used to verify signatures, by ring.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::certificate::PublicKeyKind;
use super::parsed::key_kind;
use super::pem::{self, Item};
use super::signing_key::SignatureAlgorithm;

/// A public key of a kind that a CA can have here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    kind: PublicKeyKind,
    algorithm: SignatureAlgorithm,
    /// The key without its algorithm: the bits of SubjectPublicKeyInfo.
    bits: Vec<u8>,
}

/// Errors of reading a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Not a SubjectPublicKeyInfo.
    #[error("it is not a public key")]
    Malformed,
    /// Of a kind that clusterctl cannot sign with.
    #[error("its kind is {0}; supported are RSA of 2048 to 8192 bits, P-256, P-384 and Ed25519")]
    Unsupported(String),
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo (RFC 5280 § 4.1.2.7), as PEM or DER.
    ///
    /// # Errors
    /// Returns an error if it is malformed, or of a kind that a CA cannot have here.
    pub fn read(text: &[u8]) -> Result<Self, PublicKeyError> {
        let der = match pem::read_all(text) {
            Ok(items) => items.into_iter().find_map(|item| match item {
                Item::PublicKey(der) => Some(der),
                _ => None,
            }),
            Err(_) => Some(text.to_vec()),
        };
        let spki = der.ok_or(PublicKeyError::Malformed)?;
        let (rest, parsed) = SubjectPublicKeyInfo::from_der(&spki).map_err(|_| PublicKeyError::Malformed)?;
        if !rest.is_empty() {
            return Err(PublicKeyError::Malformed);
        }
        let (kind, bits) = (key_kind(&parsed), parsed.subject_public_key.data.to_vec());
        let weak = matches!(kind, PublicKeyKind::Rsa(bits) if !(2048..=8192).contains(&bits));
        match SignatureAlgorithm::of_key(&kind) {
            Some(algorithm) if !weak => Ok(Self { spki, kind, algorithm, bits }),
            _ => Err(PublicKeyError::Unsupported(kind.to_string())),
        }
    }

    /// Returns the SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Returns the kind of key.
    #[must_use]
    pub fn kind(&self) -> &PublicKeyKind {
        &self.kind
    }

    /// Returns the algorithm of the key's signatures.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Returns true if the bytes have the form of this key's signatures, whatever they sign.
    ///
    /// RSA's are as long as the modulus (RFC 8017 § 8.2.1), Ed25519's are 64 bytes long (RFC 8032 § 5.1.6), ECDSA's are
    /// an Ecdsa-Sig-Value in DER (RFC 3279 § 2.2.3).
    #[must_use]
    pub fn has_form_of_signature(&self, signature: &[u8]) -> bool {
        // Tag and length of the sequence, and twice tag, length, sign octet and number.
        let longest = |octets: usize| 3 + 2 * (3 + octets);
        let is_sequence = |octets: usize| {
            let rest = match signature {
                [0x30, 0x81, length, rest @ ..] | [0x30, length, rest @ ..] if rest.len() == usize::from(*length) => {
                    rest
                }
                _ => return false,
            };
            rest.first() == Some(&0x02) && signature.len() <= longest(octets)
        };
        match self.algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => is_sequence(32),
            SignatureAlgorithm::EcdsaP384Sha384 => is_sequence(48),
            SignatureAlgorithm::Ed25519 => signature.len() == 64,
            SignatureAlgorithm::RsaSha256 => {
                matches!(&self.kind, PublicKeyKind::Rsa(bits) if signature.len() == bits.div_ceil(8))
            }
        }
    }

    /// Returns true if this key signed `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match self.algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
            SignatureAlgorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1,
            SignatureAlgorithm::Ed25519 => &ED25519,
            SignatureAlgorithm::RsaSha256 => &RSA_PKCS1_2048_8192_SHA256,
        };
        UnparsedPublicKey::new(algorithm, &self.bits).verify(message, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::key_kind::KeyKind;
    use crate::pki::key::PrivateKey;
    use crate::pki::local_key::LocalKey;
    use crate::pki::signing_key::SigningKey;

    fn keys() -> Vec<LocalKey> {
        let made = KeyKind::ALL.map(|kind| LocalKey::open(&PrivateKey::generate(kind).expect("a key")).expect("a key"));
        let rsa = LocalKey::from_pem_with(include_bytes!("untrusted_keys/ca.pem"), None).expect("an RSA key");
        made.into_iter().chain([rsa]).collect()
    }

    #[test]
    fn a_signature_verifies_under_its_own_key_and_message_alone() {
        for key in keys() {
            let public = PublicKey::read(key.public_key()).expect("a public key");
            assert_eq!(PublicKey::read(pem::write_public_key(key.public_key()).as_bytes()), Ok(public.clone()));
            assert_eq!(public.algorithm(), key.algorithm());
            let signature = key.sign(b"message").expect("a signature");
            assert!(public.has_form_of_signature(&signature) && public.verifies(b"message", &signature));
            assert!(!public.verifies(b"another", &signature));
            for other in [&signature[1..], &[], &[0x30, 0], &[signature.as_slice(), &[0]].concat()] {
                assert!(!public.has_form_of_signature(other) && !public.verifies(b"message", other));
            }
            let other = keys().into_iter().find(|other| other.algorithm() == key.algorithm()).expect("a key");
            let same = other.public_key() == key.public_key();
            assert_eq!(public.verifies(b"message", &other.sign(b"message").expect("a signature")), same);
        }
    }

    #[test]
    fn other_bytes_are_not_a_public_key() {
        let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
        for wrong in [&b""[..], b"no", key.to_pem().as_bytes(), &[key.spki().as_slice(), b"\0"].concat()] {
            assert_eq!(PublicKey::read(wrong), Err(PublicKeyError::Malformed));
        }
    }
}
