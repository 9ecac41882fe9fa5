//! What PKCS#11 tokens take and give, from and to the encodings of X.509.

use pkcs8::ObjectIdentifier;
use pkcs8::der::asn1::{AnyRef, BitStringRef, OctetStringRef, UintRef};
use pkcs8::der::{Decode, Encode, Tag};
use ring::digest;

use super::key::{EC, P256, P384};
use super::signing_key::SignatureAlgorithm;
use crate::cluster::key_kind::KeyKind;

/// rsaEncryption (RFC 8017 § A.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Returns what a token signs of a message by CKM_ECDSA: its digest. `None` for keys of other kinds.
#[must_use]
pub fn ecdsa_digest(algorithm: SignatureAlgorithm, message: &[u8]) -> Option<Vec<u8>> {
    let hash = match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => &digest::SHA256,
        SignatureAlgorithm::EcdsaP384Sha384 => &digest::SHA384,
        SignatureAlgorithm::Ed25519 | SignatureAlgorithm::RsaSha256 => return None,
    };
    Some(digest::digest(hash, message).as_ref().to_vec())
}

/// Returns an ECDSA signature of CKM_ECDSA, two numbers of the same length (PKCS#11 § 6.3.1), as DER.
#[must_use]
pub fn ecdsa_signature(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.is_empty() || !raw.len().is_multiple_of(2) {
        return None;
    }
    let (first, second) = raw.split_at(raw.len() / 2);
    two_numbers(first, second)
}

/// Returns CKA_EC_PARAMS of a kind of key: the OID of its curve. `None` for keys of other kinds.
#[must_use]
pub fn ec_params(kind: KeyKind) -> Option<Vec<u8>> {
    match kind {
        KeyKind::EcdsaP256 => P256.to_der().ok(),
        KeyKind::EcdsaP384 => P384.to_der().ok(),
        KeyKind::Ed25519 => None,
    }
}

/// Returns the SubjectPublicKeyInfo of CKA_EC_PARAMS and CKA_EC_POINT, which is an OCTET STRING, or with some tokens
/// the point itself.
#[must_use]
pub fn ec_public_key(params: &[u8], point: &[u8]) -> Option<Vec<u8>> {
    // Uncompressed points of P-256 and P-384. They begin with 4, as an OCTET STRING does.
    let is_bare = [65, 97].contains(&point.len());
    let point = if is_bare { point } else { <&OctetStringRef>::from_der(point).ok()?.as_bytes() };
    spki(EC, AnyRef::from_der(params).ok()?, point)
}

/// Returns the SubjectPublicKeyInfo of CKA_MODULUS and CKA_PUBLIC_EXPONENT.
#[must_use]
pub fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    spki(RSA, AnyRef::NULL, &two_numbers(modulus, exponent)?)
}

/// Returns an Ecdsa-Sig-Value (RFC 3279 § 2.2.3) or an RSAPublicKey (RFC 8017 § A.1.1), DER.
fn two_numbers(first: &[u8], second: &[u8]) -> Option<Vec<u8>> {
    let number = |octets| UintRef::new(octets).ok()?.to_der().ok();
    AnyRef::new(Tag::Sequence, &[number(first)?, number(second)?].concat()).ok()?.to_der().ok()
}

fn spki(oid: ObjectIdentifier, parameters: AnyRef<'_>, bits: &[u8]) -> Option<Vec<u8>> {
    let algorithm = pkcs8::AlgorithmIdentifierRef { oid, parameters: Some(parameters) };
    let subject_public_key = BitStringRef::from_bytes(bits).ok()?;
    pkcs8::spki::SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::key::PrivateKey;

    #[test]
    fn a_public_key_of_a_token_is_that_of_x509() {
        for kind in [KeyKind::EcdsaP256, KeyKind::EcdsaP384] {
            let spki = PrivateKey::generate(kind).expect("a key").spki();
            let point = &spki[spki.len() - if kind == KeyKind::EcdsaP256 { 65 } else { 97 }..];
            let wrapped = OctetStringRef::new(point).expect("a point").to_der().expect("DER");
            let params = ec_params(kind).expect("a curve");
            assert_eq!(ec_public_key(&params, &wrapped).as_ref(), Some(&spki));
            assert_eq!(ec_public_key(&params, point).as_ref(), Some(&spki));
        }
    }

    #[test]
    fn numbers_of_a_signature_are_der() {
        let raw = [[0, 0x80], [0x7f, 1]].concat();
        assert_eq!(ecdsa_signature(&raw), Some(vec![0x30, 8, 2, 2, 0, 0x80, 2, 2, 0x7f, 1]));
        assert_eq!((ecdsa_signature(&[]), ecdsa_signature(&[1, 2, 3])), (None, None));
    }
}
