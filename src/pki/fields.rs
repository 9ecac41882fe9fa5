//! The fields of certificates, requests and CRLs as owned values.

use std::fmt;
use std::net::IpAddr;

use super::fingerprint::hex;
use crate::cluster::key_kind::KeyKind;

/// A distinguished name.
#[derive(Clone, PartialEq, Eq)]
pub struct Name {
    /// The DER encoding. The issuer of a certificate has to have the same encoding as the subject of its CA.
    pub der: Vec<u8>,
    /// All values of commonName (CN).
    pub common_names: Vec<String>,
    /// All values of organizationName (O).
    pub organizations: Vec<String>,
    /// The whole name as text: the attributes as in RFC 4514, but in the order in which they are encoded.
    pub text: String,
}

/// A certificate's serial number: big-endian bytes, without the leading zero byte of a DER integer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(pub Vec<u8>);

impl Serial {
    /// Parses a serial number in hexadecimal, with or without colons between the bytes, and with or without `0x`. openssl prints
    /// all of these forms.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
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
        // A leading zero byte, by which DER marks an integer as positive, is not part of the number.
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
pub enum SubjectAltName {
    /// A dNSName, as encoded.
    Dns(String),
    /// An iPAddress.
    Ip(IpAddr),
    /// A name of another kind, as text.
    Other(String),
}

impl fmt::Display for SubjectAltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl SubjectAltName {
    /// Returns the IP address that a dNSName has in place of a DNS name.
    ///
    /// Such an entry matches no server, because clients compare IP addresses with entries of type iPAddress only.
    #[must_use]
    pub fn address_in_a_dns_name(&self) -> Option<IpAddr> {
        match self {
            Self::Dns(name) => name.trim_matches(['[', ']']).parse().ok(),
            Self::Ip(_) | Self::Other(_) => None,
        }
    }

    /// Returns the name as text. `DNS` precedes a dNSName that would look like an iPAddress.
    #[must_use]
    pub fn with_its_kind(&self) -> String {
        if self.address_in_a_dns_name().is_some() { format!("DNS {self}") } else { self.to_string() }
    }
}

/// basicConstraints (RFC 5280 § 4.2.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasicConstraints {
    /// The extension is marked critical.
    pub critical: bool,
    /// cA: the subject is a CA.
    pub ca: bool,
    /// pathLenConstraint: the maximum number of intermediate CAs below this one.
    pub path_len: Option<u32>,
}

/// keyUsage (RFC 5280 § 4.2.1.3): the bits that clusterctl uses, and whether others are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage {
    /// The extension is marked critical.
    pub critical: bool,
    /// The bit digitalSignature.
    pub digital_signature: bool,
    /// The bit keyCertSign.
    pub cert_sign: bool,
    /// The bit cRLSign.
    pub crl_sign: bool,
    /// Any other bit is set.
    pub others: bool,
}

impl KeyUsage {
    /// Returns true if any bit is set. Kubernetes treats a keyUsage extension without bits as absent.
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
    /// Another type: the name of the curve, or the OID of the algorithm.
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

/// The strength of a certificate's signature algorithm, with the algorithm's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureKind {
    /// ECDSA or RSA with SHA-256 or a longer hash, or Ed25519.
    Strong(&'static str),
    /// A signature over an MD5 or SHA-1 hash.
    WeakHash(&'static str),
    /// An unknown algorithm.
    Unknown,
}

/// The result of verifying a certificate's signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignatureStatus {
    /// The signature was made with the key with which it was verified.
    Valid,
    /// The signature was made with another key, or the signed bytes were changed.
    Invalid,
    /// clusterctl cannot verify the signature, for this reason.
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
