//! Verification of signatures on certificates, requests and CRLs, by ring.

use x509_parser::asn1_rs::BitString;
use x509_parser::error::X509Error;
use x509_parser::verify::verify_signature;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::fields::{PublicKeyKind, SignatureKind, SignatureStatus};
use super::parsed::signature_kind;
use crate::cluster::key_kind::KeyKind;

/// RFC 5758 § 3.2. ring has no ECDSA with this hash, on any curve.
const ECDSA_WITH_SHA512: &str = "1.2.840.10045.4.3.4";

/// A signature with the bytes that it covers.
pub(super) struct Signature<'a> {
    pub(super) algorithm: AlgorithmIdentifier<'a>,
    pub(super) value: BitString<'a>,
    pub(super) signed: &'a [u8],
}

impl Signature<'_> {
    /// Verifies the signature with the key `spki`, which is of this kind.
    pub(super) fn verify_by(&self, spki: &SubjectPublicKeyInfo<'_>, kind: &PublicKeyKind) -> SignatureStatus {
        let unverifiable =
            |by: &str| SignatureStatus::Unverifiable(format!("{} by {by} cannot be verified here", self.name()));
        match kind {
            PublicKeyKind::Supported(KeyKind::EcdsaP256 | KeyKind::EcdsaP384) if self.oid() == ECDSA_WITH_SHA512 => {
                return unverifiable(&format!("a key of the kind {kind}"));
            }
            PublicKeyKind::Other(kind) => return unverifiable(&format!("a key of the kind {kind}")),
            // Go accepts RSA from 1024 bits on, ring only from 2048 to 8192.
            PublicKeyKind::Rsa(bits) if (1024..2048).contains(bits) || *bits > 8192 => {
                return unverifiable(&format!("a key of the kind {kind}"));
            }
            _ => {}
        }
        match verify_signature(spki, &self.algorithm, &self.value, self.signed) {
            Ok(()) => SignatureStatus::Valid,
            Err(X509Error::SignatureUnsupportedAlgorithm) if !self.is_of_another_kind_than(kind) => {
                unverifiable(&kind.to_string())
            }
            Err(_) => SignatureStatus::Invalid,
        }
    }

    /// Returns the name of the algorithm, or its OID if the name is not known.
    pub(super) fn name(&self) -> String {
        match self.kind() {
            SignatureKind::Strong(name) => name.to_owned(),
            SignatureKind::WeakHash(hash) => format!("a signature with {hash}"),
            SignatureKind::Unknown => format!("the signature algorithm {}", self.oid()),
        }
    }

    /// Returns true if a key of this kind cannot create such a signature.
    fn is_of_another_kind_than(&self, key: &PublicKeyKind) -> bool {
        match (self.kind(), key) {
            (SignatureKind::Strong(name) | SignatureKind::WeakHash(name), PublicKeyKind::Rsa(_)) => {
                name.starts_with("ecdsa") || name == "ed25519"
            }
            (SignatureKind::Strong(name), PublicKeyKind::Supported(KeyKind::Ed25519)) => name != "ed25519",
            (SignatureKind::Strong(name), PublicKeyKind::Supported(_)) => !name.starts_with("ecdsa"),
            _ => false,
        }
    }

    fn kind(&self) -> SignatureKind {
        signature_kind(&self.oid())
    }

    fn oid(&self) -> String {
        self.algorithm.algorithm.to_id_string()
    }
}
