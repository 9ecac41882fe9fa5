//! Keys for rcgen: a public key by its encoding, and a signer that returns a placeholder, because the signature is
//! created later.

use rcgen::{PublicKeyData, SigningKey as RcgenSigningKey};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::parsed::key_kind;
use super::signing_key::{SignatureAlgorithm, SigningKey};

/// Returns rcgen's value for a signature algorithm.
fn rcgen_algorithm(algorithm: SignatureAlgorithm) -> &'static rcgen::SignatureAlgorithm {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        SignatureAlgorithm::EcdsaP384Sha384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        SignatureAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
        SignatureAlgorithm::RsaSha256 => &rcgen::PKCS_RSA_SHA256,
    }
}

/// A public key, and a signer that returns a placeholder.
pub(super) struct PublicKey {
    /// The key without its algorithm: the bits of SubjectPublicKeyInfo.
    bits: Vec<u8>,
    algorithm: SignatureAlgorithm,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo, DER; `None` if it is malformed, or of a kind that is not used for signing here.
    pub(super) fn read(spki: &[u8]) -> Option<Self> {
        let (_, spki) = SubjectPublicKeyInfo::from_der(spki).ok()?;
        let algorithm = SignatureAlgorithm::of_key(&key_kind(&spki))?;
        Some(Self { bits: spki.subject_public_key.data.to_vec(), algorithm })
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        rcgen_algorithm(self.algorithm)
    }
}

impl RcgenSigningKey for PublicKey {
    /// Returns a placeholder, because the encoded certificate is checked first and then signed by a [`SigningKey`].
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(vec![0])
    }
}

/// A key that signs while rcgen encodes, for certificates that are invalid on purpose and never checked.
pub(super) struct Immediate<'a> {
    key: &'a dyn SigningKey,
    public: PublicKey,
}

impl<'a> Immediate<'a> {
    /// Wraps a key; `None` if its public key is malformed.
    pub(super) fn new(key: &'a dyn SigningKey) -> Option<Self> {
        Some(Self { key, public: PublicKey::read(key.public_key())? })
    }
}

impl PublicKeyData for Immediate<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.public.algorithm()
    }
}

impl RcgenSigningKey for Immediate<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.key.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
