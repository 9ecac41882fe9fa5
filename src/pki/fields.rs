//! The fields of certificates, requests and CRLs as owned values.

use std::fmt;
use std::net::IpAddr;

use super::fingerprint::hex;
use crate::cluster::key_kind::KeyKind;

/// A distinguished name.
#[derive(Clone, PartialEq, Eq)]
pub struct Name {
    /// The encoded name: an issuer's must equal the subject of its CA.
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
    /// Parses hexadecimal digits, with or without colons between bytes, as openssl prints them.
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
        // DER's sign octet is not part of the number.
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
    /// A dNSName, as encoded.
    Dns(String),
    /// iPAddress
    Ip(IpAddr),
    /// A name of another kind, as text.
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
    /// Returns the address in a DNS name that is an IP address. It matches nothing, because an address has to be an
    /// iPAddress.
    #[must_use]
    pub fn address_in_a_dns_name(&self) -> Option<IpAddr> {
        match self {
            Self::Dns(name) => name.trim_matches(['[', ']']).parse().ok(),
            Self::Ip(_) | Self::Other(_) => None,
        }
    }

    /// Returns the name as text, with its kind if it is ambiguous.
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
    /// The maximum number of intermediates that may follow.
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
    /// Returns true if any bit is set. Kubernetes treats a key usage without bits as absent.
    #[must_use]
    pub fn is_set(self) -> bool {
        self.digital_signature || self.cert_sign || self.crl_sign || self.others
    }
}

/// The type of a certificate's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKeyKind {
    /// A type that clusterctl also generates.
    Supported(KeyKind),
    /// RSA, with the modulus' length in bits.
    Rsa(usize),
    /// Another type, by OID or curve.
    Other(String),
}

impl fmt::Display for PublicKeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Supported(kind) => kind.fmt(f),
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// The kind of a certificate's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureKind {
    /// SHA-256 or better with ECDSA, Ed25519 or RSA.
    Strong(&'static str),
    /// MD5 or SHA-1.
    WeakHash(&'static str),
    /// An unknown kind.
    Unknown,
}

/// The result of verifying a certificate's signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignatureStatus {
    /// The key made the signature.
    Valid,
    /// The signature is by another key, or the signed bytes were changed.
    Invalid,
    /// The signature cannot be verified here, for this reason.
    Unverifiable(String),
}

/// Errors of parsing a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not DER, or not X.509.
    #[error("it is not an X.509 certificate: {0}")]
    Malformed(String),
    /// Bytes after the certificate's end.
    #[error("{0} bytes follow the certificate's end")]
    Trailing(usize),
    /// An extension cannot be parsed, or is duplicated.
    #[error("its extension {0} cannot be read")]
    Extension(String),
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
