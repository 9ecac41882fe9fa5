//! SHA-256 fingerprints in the two spellings that Kubernetes uses.

use std::fmt;
use std::hash::{Hash, Hasher};

use ring::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A SHA-256 digest. Shown as 64 lower-case hexadecimal digits, as in Kubernetes's `credential-id`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// The prefix of a certificate's SHA-256 in a `credential-id` (Kubernetes `apiserver/pkg/authentication/request/x509`,
/// `CommonNameUserConversion`).
pub const CREDENTIAL_ID_PREFIX: &str = "X509SHA256=";

impl Fingerprint {
    /// Returns the digest of `bytes`, for example a certificate's DER, a SubjectPublicKeyInfo, or a file.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(out)
    }

    /// Returns the digest of everything that a value's `Hash` covers. Only equal values have the same digest, within
    /// one build of this program.
    #[must_use]
    pub fn of_value(value: &impl Hash) -> Self {
        let mut bytes = Bytes(Vec::with_capacity(1024));
        value.hash(&mut bytes);
        Self::of(&bytes.0)
    }

    /// Creates a fingerprint from the digest itself.
    #[must_use]
    pub fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Returns the digest itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses 64 hexadecimal digits, with or without colons between bytes, as openssl prints them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let without_colons: String;
        let hex = match text.len() {
            95 => {
                without_colons = text.split(':').collect();
                without_colons.as_str()
            }
            _ => text,
        };
        let mut out = [0; 32];
        if hex.len() != 64 {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        for (byte, digits) in out.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = digit(digits[0])? << 4 | digit(digits[1])?;
        }
        Some(Self(out))
    }

    /// Returns the `credential-id` of the certificate whose DER has this digest, as API servers write it into audit logs.
    #[must_use]
    pub fn as_credential_id(&self) -> String {
        format!("{CREDENTIAL_ID_PREFIX}{self}")
    }

    /// Parses a `credential-id`; `None` for any other text.
    #[must_use]
    pub fn from_credential_id(text: &str) -> Option<Self> {
        Self::parse(text.strip_prefix(CREDENTIAL_ID_PREFIX)?)
    }

    /// Returns `sha256:` and the digits, which is kubeadm's format of a CA's pin over its SubjectPublicKeyInfo
    /// (Kubernetes `cmd/kubeadm/app/util/pubkeypin`).
    #[must_use]
    pub fn as_pin(&self) -> String {
        format!("sha256:{self}")
    }
}

/// A hasher that collects the bytes which a value's `Hash` writes.
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Unused by this library: the bytes are compared instead.
    fn finish(&self) -> u64 {
        self.0.len() as u64
    }
}

/// Returns bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    // Allocated once, because the ledger formats many digests.
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
    out
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a SHA-256 fingerprint has 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_abc_is_the_standards() {
        let abc = Fingerprint::of(b"abc");
        // FIPS 180-4's example.
        assert_eq!(abc.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Fingerprint::parse(&abc.to_string()), Some(abc));
        assert_eq!(Fingerprint::parse("zz"), None);
    }
}
