//! What one certificate says (RFC 5280), read once into values that own themselves. Judging it is [`super::lint`]'s.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use ring::agreement::{ECDH_P256, ECDH_P384, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::SystemRandom;
use time::OffsetDateTime;
use x509_parser::asn1_rs::BitString;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo, X509Version};

use super::der::{Der, SEQUENCE};
use super::fingerprint::{Fingerprint, hex};
use super::go;
use super::made_by::Signature;
use super::malformed;
use super::parsed::{Extensions, key_kind, name, signature_kind};
use super::pem;
use crate::cluster::account::Account;
use crate::cluster::address::Address;
use crate::cluster::key_kind::KeyKind;

/// A parsed certificate and its DER.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    /// Of the DER: whoever looks at a certificate asks for it, and most more than once.
    fingerprint: Fingerprint,
    /// Where in the DER stands what is signed (tbsCertificate, RFC 5280 § 4.1.1); the signature follows it.
    signed: Range<usize>,
    /// Who it is about.
    pub subject: Name,
    /// Who signed it.
    pub issuer: Name,
    /// X.509's version: 1, 2 or 3.
    pub version: u32,
    /// Serial number: the INTEGER's octets, big-endian, without the sign's leading zero.
    pub serial: Serial,
    /// Whether the serial number is below zero, so that its octets are a two's complement.
    pub has_negative_serial: bool,
    /// Valid from.
    pub not_before: OffsetDateTime,
    /// Valid until, inclusive (RFC 5280 § 4.1.2.5).
    pub not_after: OffsetDateTime,
    /// Subject alternative names.
    pub names: Vec<SubjectName>,
    /// basicConstraints, if there.
    pub basic_constraints: Option<BasicConstraints>,
    /// keyUsage, if there.
    pub key_usage: Option<KeyUsage>,
    /// extKeyUsage, if there: `serverAuth`, `clientAuth`, `anyExtendedKeyUsage`, else an OID.
    pub extended_key_usage: Option<Vec<String>>,
    /// subjectKeyIdentifier.
    pub subject_key_id: Option<Vec<u8>>,
    /// authorityKeyIdentifier's keyIdentifier.
    pub authority_key_id: Option<Vec<u8>>,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// The public key's kind.
    pub key: PublicKeyKind,
    /// The signature's algorithm.
    pub signature: SignatureKind,
    /// OIDs of critical extensions that neither we nor Kubernetes process.
    pub unknown_critical: Vec<String>,
    /// Whether it limits the names of what is signed below it.
    pub has_name_constraints: bool,
    /// Whether it limits URIs or mail addresses, which webpki refuses without a look at the limits.
    pub constrains_uris_or_mail: bool,
    /// Whether it has rules for certificate policies: mappings, constraints, anyPolicy inhibited.
    pub has_policy_rules: bool,
    /// Why Go's crypto/x509, with which all of Kubernetes reads certificates, cannot read it; `None` where it can.
    pub go_refuses: Option<String>,
}

/// A distinguished name.
#[derive(Clone, PartialEq, Eq)]
pub struct Name {
    /// As encoded: what has to be equal between an issuer and its root's subject.
    pub der: Vec<u8>,
    /// Every CN.
    pub common_names: Vec<String>,
    /// Every O.
    pub organizations: Vec<String>,
    /// The whole name as text (RFC 4514's attributes in encoded order).
    pub text: String,
}

/// A serial number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(pub Vec<u8>);

impl Serial {
    /// Reads hexadecimal digits, with colons between bytes as openssl prints them, or without.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        let digits = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let bytes = digits.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        let bytes = bytes.collect::<Option<Vec<u8>>>()?;
        // DER's sign octet is no part of the number.
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len() - 1);
        Some(Self(bytes[zeros..].to_vec()))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectName {
    /// dNSName, as encoded.
    Dns(String),
    /// iPAddress
    Ip(IpAddr),
    /// Any other kind, as text.
    Other(String),
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl SubjectName {
    /// Returns the address that stands in it as a DNS name, which matches nothing: an address has to be an iPAddress.
    #[must_use]
    pub fn address_in_a_dns_name(&self) -> Option<IpAddr> {
        match self {
            Self::Dns(name) => name.trim_matches(['[', ']']).parse().ok(),
            Self::Ip(_) | Self::Other(_) => None,
        }
    }

    /// Returns it as text, with its kind where it could be taken for another.
    #[must_use]
    pub fn with_its_kind(&self) -> String {
        if self.address_in_a_dns_name().is_some() { format!("DNS {self}") } else { self.to_string() }
    }
}

/// basicConstraints (RFC 5280 § 4.2.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasicConstraints {
    /// Marked critical.
    pub critical: bool,
    /// May sign certificates.
    pub ca: bool,
    /// How many intermediates may follow.
    pub path_len: Option<u32>,
}

/// keyUsage (RFC 5280 § 4.2.1.3): the bits that matter here, and whether others are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage {
    /// Marked critical.
    pub critical: bool,
    /// digitalSignature
    pub digital_signature: bool,
    /// keyCertSign
    pub cert_sign: bool,
    /// cRLSign
    pub crl_sign: bool,
    /// Any other bit.
    pub others: bool,
}

impl KeyUsage {
    /// Returns whether any bit is set: without one, Kubernetes takes it for no key usage at all.
    #[must_use]
    pub fn is_set(self) -> bool {
        self.digital_signature || self.cert_sign || self.crl_sign || self.others
    }
}

/// What kind of public key a certificate holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKeyKind {
    /// One that we make.
    Ours(KeyKind),
    /// RSA, with the modulus' length in bits.
    Rsa(usize),
    /// Anything else, by OID or curve.
    Other(String),
}

impl fmt::Display for PublicKeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(kind) => kind.fmt(f),
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Which signature a certificate bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureKind {
    /// SHA-256 or better with ECDSA, Ed25519 or RSA.
    Strong(&'static str),
    /// MD5 or SHA-1.
    WeakHash(&'static str),
    /// One that we do not know.
    Unknown,
}

/// Whether a key made a certificate's signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignedBy {
    /// It did.
    It,
    /// Another did, or what was signed has changed.
    Another,
    /// It cannot be verified here; why.
    Unverifiable(String),
}

/// Why bytes are no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not DER, or not X.509.
    #[error("it is not an X.509 certificate: {0}")]
    Malformed(String),
    /// Bytes behind the certificate's end.
    #[error("{0} bytes follow the certificate's end")]
    Trailing(usize),
    /// An extension that is there but cannot be read, or is there twice.
    #[error("its extension {0} cannot be read")]
    Extension(String),
}

impl Certificate {
    /// Reads one DER certificate.
    ///
    /// # Errors
    /// When it is malformed or bytes follow it.
    pub fn from_der(der: Vec<u8>) -> Result<Self, CertificateError> {
        let (rest, parsed) =
            X509Certificate::from_der(&der).map_err(|error| CertificateError::Malformed(malformed::reason(&error)))?;
        if !rest.is_empty() {
            return Err(CertificateError::Trailing(rest.len()));
        }
        // Go looks at the extensions of no other version.
        let is_third = parsed.version() == X509Version::V3;
        let extensions = if is_third { Extensions::read(&parsed)? } else { Extensions::default() };
        let serial = parsed.raw_serial();
        let has_negative_serial = serial.first().is_some_and(|first| first & 0x80 != 0);
        let serial = Serial(serial.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(serial).to_vec());
        let validity = parsed.validity();
        let tbs = parsed.tbs_certificate.as_ref();
        let start = tbs.as_ptr().addr() - der.as_ptr().addr();
        Ok(Self {
            signed: start..start + tbs.len(),
            subject: name(parsed.subject()),
            issuer: name(parsed.issuer()),
            version: parsed.version().0.saturating_add(1),
            serial,
            has_negative_serial,
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
            names: extensions.names,
            basic_constraints: extensions.basic_constraints,
            key_usage: extensions.key_usage,
            extended_key_usage: extensions.extended_key_usage,
            subject_key_id: extensions.subject_key_id,
            authority_key_id: extensions.authority_key_id,
            spki: parsed.public_key().raw.to_vec(),
            key: key_kind(parsed.public_key()),
            signature: signature_kind(&parsed.signature_algorithm.algorithm.to_id_string()),
            unknown_critical: extensions.unknown_critical,
            has_name_constraints: extensions.has_name_constraints,
            constrains_uris_or_mail: extensions.constrains_uris_or_mail,
            has_policy_rules: extensions.has_policy_rules,
            go_refuses: go::refusal(&der),
            fingerprint: Fingerprint::of(&der),
            der,
        })
    }

    /// Returns the same certificate with another signature: `der` must hold the same tbsCertificate.
    pub(super) fn with_signature(self, der: Vec<u8>) -> Result<Self, CertificateError> {
        let changed = || CertificateError::Malformed("what was signed is not what was checked".to_owned());
        let tbs = Der::new(&der).inside(SEQUENCE).and_then(|mut outer| outer.element(SEQUENCE)).ok_or_else(changed)?;
        if tbs.whole != &self.der[self.signed.clone()] {
            return Err(changed());
        }
        let start = tbs.whole.as_ptr().addr() - der.as_ptr().addr();
        let signed = start..start + tbs.whole.len();
        Ok(Self { signed, fingerprint: Fingerprint::of(&der), der, ..self })
    }

    /// Returns whether its public key is a point of its curve, as far as ring knows that.
    #[must_use]
    pub fn has_key_on_its_curve(&self) -> bool {
        let (algorithm, length) = match self.key {
            PublicKeyKind::Ours(KeyKind::EcdsaP256) => (&ECDH_P256, 65),
            PublicKeyKind::Ours(KeyKind::EcdsaP384) => (&ECDH_P384, 97),
            _ => return true,
        };
        // The point ends the SubjectPublicKeyInfo. ring looks at it before it agrees on anything.
        let point = self.spki.len().checked_sub(length).and_then(|start| self.spki.get(start..));
        let made = EphemeralPrivateKey::generate(algorithm, &SystemRandom::new()).ok();
        point
            .zip(made)
            .is_some_and(|(point, key)| agree_ephemeral(key, &UnparsedPublicKey::new(algorithm, point), |_| ()).is_ok())
    }

    /// Returns why Go, and so Kubernetes, cannot read a certificate; nothing where it can.
    #[must_use]
    pub fn refused_by_go(der: &[u8]) -> Option<String> {
        go::refusal(der)
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// As PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::write_certificate(&self.der)
    }

    /// SHA-256 of the DER: Kubernetes's `credential-id`.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// SHA-256 of the SubjectPublicKeyInfo: kubeadm's pin of a CA.
    #[must_use]
    pub fn spki_fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.spki)
    }

    /// True when subject and issuer are the same bytes.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject.der == self.issuer.der
    }

    /// True when `issuer`'s key made this certificate's signature. Names, dates and usages are not looked at.
    #[must_use]
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        self.signed_by(issuer) == SignedBy::It
    }

    /// Returns whether `issuer`'s key made this certificate's signature, as far as ring can tell. Names, dates and usages are not
    /// looked at.
    #[must_use]
    pub fn signed_by(&self, issuer: &Self) -> SignedBy {
        let Some((algorithm, value)) = self.outer_signature() else { return SignedBy::Another };
        let Ok((_, key)) = SubjectPublicKeyInfo::from_der(&issuer.spki) else { return SignedBy::Another };
        Signature { algorithm, value, signed: &self.der[self.signed.clone()] }.made_by(&key, &issuer.key)
    }

    /// Returns the name of the signature's algorithm, or its OID where it has none here.
    #[must_use]
    pub fn signature_name(&self) -> String {
        let named = |(algorithm, value)| Signature { algorithm, value, signed: &[] }.name();
        self.outer_signature().map(named).unwrap_or_default()
    }

    /// What follows that which is signed: the signature and its algorithm.
    fn outer_signature(&self) -> Option<(AlgorithmIdentifier<'_>, BitString<'_>)> {
        let (behind, algorithm) = AlgorithmIdentifier::from_der(&self.der[self.signed.end..]).ok()?;
        let (_, signature) = BitString::from_der(behind).ok()?;
        Some((algorithm, signature))
    }

    /// The account that Kubernetes derives from it: the last CN and the first O, if any. [`Name::organizations`] has all
    /// groups.
    #[must_use]
    pub fn account(&self) -> Account {
        Account {
            user: self.subject.common_names.last().cloned().unwrap_or_default(),
            group: self.subject.organizations.first().cloned(),
        }
    }

    /// True when a subject alternative name of the right kind is `address` (RFC 9525 § 6): an iPAddress for an IP, a
    /// dNSName for a name, with a wildcard as the whole leftmost label. The common name never counts.
    #[must_use]
    pub fn names_address(&self, address: &Address) -> bool {
        self.names.iter().any(|name| match (name, address) {
            (SubjectName::Ip(seen), Address::Ip(wanted)) => seen == wanted,
            (SubjectName::Dns(seen), Address::Dns(wanted)) => dns_matches(seen, wanted.as_str()),
            _ => false,
        })
    }

    /// True when it carries this extended key usage itself; `anyExtendedKeyUsage` is another thing.
    #[must_use]
    pub fn has_extended_usage(&self, usage: &str) -> bool {
        self.extended_key_usage.as_ref().is_some_and(|usages| usages.iter().any(|u| u == usage))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} {})", self.subject.text, self.fingerprint())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn dns_matches(presented: &str, wanted: &str) -> bool {
    let presented = presented.to_ascii_lowercase();
    let wanted = wanted.trim_end_matches('.');
    match presented.strip_prefix("*.") {
        // One whole label, of a top-level domain too: Go draws no line there.
        Some(parent) => wanted.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => presented == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_one_whole_label() {
        assert!(dns_matches("*.example.net", "api.example.net"));
        assert!(dns_matches("API.example.net", "api.example.net."));
        assert!(!dns_matches("*.example.net", "example.net"));
        assert!(!dns_matches("*.example.net", "a.b.example.net"));
        assert!(dns_matches("*.net", "example.net"));
        assert!(!dns_matches("*.net", "net"));
        assert!(!dns_matches("a*.example.net", "ab.example.net"));
        assert!(!dns_matches("*", "localhost"));
    }

    #[test]
    fn garbage_is_no_certificate() {
        assert!(matches!(Certificate::from_der(b"garbage".to_vec()), Err(CertificateError::Malformed(_))));
        assert!(matches!(Certificate::from_der(Vec::new()), Err(CertificateError::Malformed(_))));
    }
}
