//! The public facts of a private key of any kind, for `show`.

use pkcs8::der::{Decode, Encode};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use x509_parser::asn1_rs::{Any, FromDer};
use zeroize::Zeroizing;

use super::fingerprint::Fingerprint;
use super::key::{EC, P256, P384, PrivateKey};
use super::key_names;
use super::key_pair::KeyPair;
use super::pem::{KeyForm, Secret};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// The curves that a key of RFC 5915 is searched for.
const CURVES: [ObjectIdentifier; 5] = [
    P256,
    P384,
    ObjectIdentifier::new_unwrap("1.3.132.0.35"),
    ObjectIdentifier::new_unwrap("1.3.132.0.33"),
    ObjectIdentifier::new_unwrap("1.3.132.0.10"),
];
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The facts about a private key that may be shown: its kind and its public half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// The kind, such as `ecdsa-p256` or `RSA 2048`.
    pub kind: String,
    /// SHA-256 of the SubjectPublicKeyInfo, if it can be computed.
    pub fingerprint: Option<Fingerprint>,
}

impl KeyFacts {
    /// Reads the facts about a private key. The key itself is not kept.
    #[must_use]
    pub fn of(form: KeyForm, secret: &Secret) -> Self {
        let pkcs8 = match form {
            KeyForm::Pkcs8 => Some(Zeroizing::new(secret.0.to_vec())),
            KeyForm::Sec1 => sec1_to_pkcs8(&secret.0),
            KeyForm::Pkcs1 => None,
        };
        if let Some(key) = pkcs8.and_then(|der| PrivateKey::from_pkcs8(der).ok()) {
            return Self { kind: key.kind().to_string(), fingerprint: Some(key.fingerprint()) };
        }
        let rsa = KeyPair::open_rsa(form, &secret.0).and_then(|pair| Some((pair.modulus_len()?, pair.rsa_spki()?)));
        match rsa {
            Some((octets, spki)) => {
                Self { kind: format!("RSA {}", octets * 8), fingerprint: Some(Fingerprint::of(&spki)) }
            }
            None => Self { kind: foreign_kind(form, &secret.0), fingerprint: None },
        }
    }

    /// Returns true if the key cannot be parsed, and its kind does not explain that.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.fingerprint.is_none() && self.kind.ends_with("damaged")
    }
}

/// Returns the name of a kind of key that ring does not support, from the content of its file.
fn foreign_kind(form: KeyForm, der: &[u8]) -> String {
    let known = || match form {
        KeyForm::Pkcs1 => rsa_bits(der).map(|bits| format!("RSA {bits}")),
        KeyForm::Sec1 => {
            let curve = CURVES
                .into_iter()
                .find(|oid| oid.to_der().is_ok_and(|curve| der.windows(curve.len()).any(|window| window == curve)));
            curve.map(curve_name)
        }
        KeyForm::Pkcs8 => {
            let info = PrivateKeyInfoRef::from_der(der).ok()?;
            let oid = info.algorithm.oid;
            Some(match info.algorithm.parameters_oid() {
                Ok(curve) if oid == EC => curve_name(curve),
                _ if oid == RSA => format!("RSA {}", rsa_bits(info.private_key.as_bytes())?),
                _ if oid == ED25519 => "ed25519, damaged".to_owned(),
                _ => key_names::of_algorithm(&oid.to_string()),
            })
        }
    };
    known().unwrap_or_else(|| "a kind that is not known here, or damaged".to_owned())
}

/// Returns the name of an EC key that ring does not open. One on a curve of clusterctl's keys is damaged.
fn curve_name(curve: ObjectIdentifier) -> String {
    match curve {
        P256 => "ecdsa-p256, damaged".to_owned(),
        P384 => "ecdsa-p384, damaged".to_owned(),
        other => key_names::of_curve(&other.to_string()),
    }
}

/// Returns the length of the modulus, the second number of an `RSA PRIVATE KEY` (RFC 8017 A.1.2).
fn rsa_bits(pkcs1: &[u8]) -> Option<usize> {
    let (_, key) = Any::from_der(pkcs1).ok()?;
    let (after, _version) = Any::from_der(key.data).ok()?;
    let (_, modulus) = Any::from_der(after).ok()?;
    let first = modulus.data.iter().position(|octet| *octet != 0)?;
    let octets = &modulus.data[first..];
    Some(octets.len() * 8 - octets.first()?.leading_zeros() as usize)
}

/// Wraps an `EC PRIVATE KEY` (RFC 5915), which names its curve in its parameters, as PKCS#8.
fn sec1_to_pkcs8(sec1: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    for curve in [P256, P384] {
        let curve_der = curve.to_der().ok()?;
        if sec1.windows(curve_der.len()).any(|window| window == curve_der) {
            let algorithm = pkcs8::AlgorithmIdentifierRef { oid: EC, parameters: Some((&curve).into()) };
            let key = pkcs8::der::asn1::OctetStringRef::new(sec1).ok()?;
            return PrivateKeyInfoRef::new(algorithm, key).to_der().ok().map(Zeroizing::new);
        }
    }
    None
}
