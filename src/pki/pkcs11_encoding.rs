//! Converts between the encodings of PKCS#11 and those of X.509.

use pkcs8::ObjectIdentifier;
use pkcs8::der::asn1::{AnyRef, BitStringRef, OctetStringRef, PrintableStringRef, UintRef};
use pkcs8::der::{Decode, Encode, Tag};
use ring::digest;

use super::key::{EC, P256, P384};
use super::signing_key::SignatureAlgorithm;
use crate::cluster::key_kind::KeyKind;

/// rsaEncryption (RFC 8017 § A.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// id-Ed25519 (RFC 8410 § 3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// The name of its curve in CKA_EC_PARAMS (PKCS#11 3.0 § 2.3.5).
const EDWARDS25519: &str = "edwards25519";
/// The length of its public keys, in bytes (RFC 8032 § 5.1.5).
const ED25519_LENGTH: usize = 32;

/// Returns the digest of a message, which a token signs with CKM_ECDSA; `None` for keys of other kinds.
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

/// Returns CKA_EC_PARAMS of a kind of key: the OID of its curve, or the curve's name for Ed25519.
#[must_use]
pub fn ec_params(kind: KeyKind) -> Option<Vec<u8>> {
    match kind {
        KeyKind::EcdsaP256 => P256.to_der().ok(),
        KeyKind::EcdsaP384 => P384.to_der().ok(),
        KeyKind::Ed25519 => PrintableStringRef::new(EDWARDS25519).ok()?.to_der().ok(),
    }
}

/// Returns true if CKA_EC_PARAMS are those of Ed25519: the name of its curve, or the OID of the algorithm.
fn is_ed25519(params: &[u8]) -> bool {
    ObjectIdentifier::from_der(params).is_ok_and(|oid| oid == ED25519)
        || ec_params(KeyKind::Ed25519).is_some_and(|name| name == params)
}

/// Returns the SubjectPublicKeyInfo of CKA_EC_PARAMS and CKA_EC_POINT, which is an OCTET STRING, or with some tokens
/// the point itself.
#[must_use]
pub fn ec_public_key(params: &[u8], point: &[u8]) -> Option<Vec<u8>> {
    if is_ed25519(params) {
        // An OCTET STRING (PKCS#11 3.0), a BIT STRING (3.1), or with some tokens the key itself.
        let bits = match point.len() {
            ED25519_LENGTH => point,
            _ => match <&OctetStringRef>::from_der(point) {
                Ok(octets) => octets.as_bytes(),
                Err(_) => BitStringRef::from_der(point).ok()?.as_bytes()?,
            },
        };
        return if bits.len() == ED25519_LENGTH { spki(ED25519, None, bits) } else { None };
    }
    // Uncompressed points of P-256 and P-384. They begin with 4, as an OCTET STRING does.
    let is_bare = [65, 97].contains(&point.len());
    let point = if is_bare { point } else { <&OctetStringRef>::from_der(point).ok()?.as_bytes() };
    spki(EC, Some(AnyRef::from_der(params).ok()?), point)
}

/// Returns the SubjectPublicKeyInfo of CKA_MODULUS and CKA_PUBLIC_EXPONENT.
#[must_use]
pub fn rsa_public_key(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    spki(RSA, Some(AnyRef::NULL), &two_numbers(modulus, exponent)?)
}

/// Returns an Ecdsa-Sig-Value (RFC 3279 § 2.2.3) or an RSAPublicKey (RFC 8017 § A.1.1), DER.
fn two_numbers(first: &[u8], second: &[u8]) -> Option<Vec<u8>> {
    let number = |octets| UintRef::new(octets).ok()?.to_der().ok();
    AnyRef::new(Tag::Sequence, &[number(first)?, number(second)?].concat()).ok()?.to_der().ok()
}

fn spki(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, bits: &[u8]) -> Option<Vec<u8>> {
    let algorithm = pkcs8::AlgorithmIdentifierRef { oid, parameters };
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
    fn an_ed25519_key_of_a_token_is_that_of_x509() {
        let spki = PrivateKey::generate(KeyKind::Ed25519).expect("a key").spki();
        let key = &spki[spki.len() - ED25519_LENGTH..];
        let octets = OctetStringRef::new(key).expect("a key").to_der().expect("DER");
        let bits = BitStringRef::from_bytes(key).expect("a key").to_der().expect("DER");
        let oid = ED25519.to_der().expect("DER");
        for params in [&ec_params(KeyKind::Ed25519).expect("a curve"), &oid] {
            for point in [key, &octets, &bits] {
                assert_eq!(ec_public_key(params, point).as_ref(), Some(&spki), "{point:x?}");
            }
            assert_eq!(ec_public_key(params, &key[1..]), None);
        }
    }

    #[test]
    fn numbers_of_a_signature_are_der() {
        let raw = [[0, 0x80], [0x7f, 1]].concat();
        assert_eq!(ecdsa_signature(&raw), Some(vec![0x30, 8, 2, 2, 0, 0x80, 2, 2, 0x7f, 1]));
        assert_eq!((ecdsa_signature(&[]), ecdsa_signature(&[1, 2, 3])), (None, None));
    }
}
