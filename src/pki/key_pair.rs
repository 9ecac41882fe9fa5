//! Key pairs of ring, with which certificates and CRLs are signed.

use pkcs8::ObjectIdentifier;
use pkcs8::der::Encode;
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256,
};

use super::pem::KeyForm;
use crate::cluster::key_kind::KeyKind;

/// A key pair, opened.
pub(super) enum KeyPair {
    Ecdsa(EcdsaKeyPair, SystemRandom),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<rsa::KeyPair>),
}

impl KeyPair {
    /// Reads PKCS#8 of a kind that clusterctl generates; `None` if it is damaged or its halves do not match.
    pub(super) fn open(kind: KeyKind, pkcs8: &[u8]) -> Option<Self> {
        let rng = SystemRandom::new();
        let algorithm = match kind {
            KeyKind::EcdsaP256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            KeyKind::EcdsaP384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
            KeyKind::Ed25519 => return Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok().map(Self::Ed25519),
        };
        EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &rng).ok().map(|pair| Self::Ecdsa(pair, rng))
    }

    /// Reads an RSA key, PKCS#8 or PKCS#1; `None` if it is not an RSA key, or has fewer than 2048 or more than 4096
    /// bits.
    pub(super) fn open_rsa(form: KeyForm, der: &[u8]) -> Option<Self> {
        let pair = match form {
            KeyForm::Pkcs8 => rsa::KeyPair::from_pkcs8(der),
            KeyForm::Pkcs1 => rsa::KeyPair::from_der(der),
            KeyForm::Sec1 => return None,
        };
        pair.ok().map(|pair| Self::Rsa(Box::new(pair)))
    }

    /// Returns the public half as ring encodes it: a curve's point, or an RSA key as PKCS#1.
    pub(super) fn public(&self) -> &[u8] {
        match self {
            Self::Ecdsa(pair, _) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
            Self::Rsa(pair) => pair.public().as_ref(),
        }
    }

    /// Returns the SubjectPublicKeyInfo of an RSA key (RFC 3279 § 2.3.1).
    pub(super) fn rsa_spki(&self) -> Option<Vec<u8>> {
        let algorithm = pkcs8::AlgorithmIdentifierRef {
            oid: ObjectIdentifier::new("1.2.840.113549.1.1.1").ok()?,
            parameters: Some(pkcs8::der::asn1::AnyRef::NULL),
        };
        let subject_public_key = pkcs8::der::asn1::BitStringRef::from_bytes(self.public()).ok()?;
        pkcs8::spki::SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().ok()
    }

    /// Returns the length of an RSA key's modulus in octets; `None` for other keys.
    pub(super) fn modulus_len(&self) -> Option<usize> {
        match self {
            Self::Rsa(pair) => Some(pair.public().modulus_len()),
            Self::Ecdsa(..) | Self::Ed25519(_) => None,
        }
    }

    /// Signs with SHA-256 (P-256, RSA), SHA-384 (P-384) or Ed25519; `None` if ring fails.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Ecdsa(pair, rng) => pair.sign(rng, message).ok().map(|made| made.as_ref().to_vec()),
            Self::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}
