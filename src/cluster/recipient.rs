//! The recipients of encrypted bundles: age or SSH public keys, validated as text. [`crate::bundle::encryption`] uses
//! them.

use std::fmt;

use base64ct::{Base64, Encoding};

/// The smallest RSA key that age takes, in bits.
const MIN_RSA: usize = 2048;
/// The largest RSA key that age takes, in bits.
const MAX_RSA: usize = 4096;
/// The minimum length of base64 that is treated as key material and not as a word.
const LONG: usize = 32;
/// The longest recipient with its comment, in bytes.
const MAX_LENGTH: usize = 4096;

/// The type of a recipient's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecipientKind {
    /// `age1…`, age's own (X25519).
    Age,
    /// `ssh-ed25519 AAAA…`
    SshEd25519,
    /// `ssh-rsa AAAA…`
    SshRsa,
}

impl RecipientKind {
    /// Returns SSH's name of the type, or `age`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::SshEd25519 => "ssh-ed25519",
            Self::SshRsa => "ssh-rsa",
        }
    }
}

/// A public key that bundles can be encrypted to. Its text has no comment, so that equal keys are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Recipient {
    kind: RecipientKind,
    text: String,
}

/// Errors of parsing a recipient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// Not a known form.
    #[error(
        "it is not a recipient; needed: age1…, or ssh-ed25519 or ssh-rsa and a public key, as in an SSH host key's .pub file"
    )]
    Unknown,
    /// A secret key in place of a public one. The text is never repeated.
    #[error(
        "it is a secret key, and only its public half belongs here; age-keygen -y or ssh-keygen -y prints that. Keep the secret key where it is"
    )]
    Secret,
    /// An SSH or age key of a type that is not supported for encryption.
    #[error("bundles cannot be encrypted to a key of the type {kind}; use the host's ssh-ed25519 key")]
    Unsupported {
        /// The type as it is written.
        kind: String,
    },
    /// An `age1…` with a typing error.
    #[error("the checksum in it is wrong: a character of it was changed, lost or added")]
    Checksum,
    /// An SSH key that is not base64.
    #[error("the key after {kind} is not base64: it is cut off or damaged", kind = kind.as_str())]
    Base64 {
        /// The type before it.
        kind: RecipientKind,
    },
    /// An SSH key whose bytes are not a key of its type.
    #[error("the key after {kind} is cut off, damaged, or of another kind", kind = kind.as_str())]
    Damaged {
        /// The type before it.
        kind: RecipientKind,
    },
    /// An RSA key of a size that age does not accept.
    #[error("bundles cannot be encrypted to an RSA key of {bits} bits; it needs {MIN_RSA} to {MAX_RSA}")]
    RsaSize {
        /// Its size in bits.
        bits: usize,
    },
}

impl Recipient {
    /// Parses `age1…`, or `ssh-ed25519` or `ssh-rsa` with its base64 and optionally a comment, as in a `.pub` file.
    ///
    /// # Errors
    /// Returns an error if it is not one. An Ed25519 key that is not a point of its curve only fails at encryption.
    pub fn parse(text: &str) -> Result<Self, RecipientError> {
        let text = text.trim();
        if is_secret(text) {
            return Err(RecipientError::Secret);
        }
        if text.len() > MAX_LENGTH || text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(RecipientError::Unknown);
        }
        let mut words = text.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        let kind = match first {
            "ssh-ed25519" => RecipientKind::SshEd25519,
            "ssh-rsa" => RecipientKind::SshRsa,
            _ if first.starts_with("age1") && words.next().is_none() => return Self::parse_age(first),
            _ if is_other_key(first) => return Err(RecipientError::Unsupported { kind: first.to_owned() }),
            _ => return Err(RecipientError::Unknown),
        };
        let encoded = words.next().ok_or(RecipientError::Base64 { kind })?;
        let blob = Base64::decode_vec(encoded).map_err(|_| RecipientError::Base64 { kind })?;
        check_ssh(kind, &blob)?;
        Ok(Self { kind, text: format!("{first} {encoded}") })
    }

    fn parse_age(text: &str) -> Result<Self, RecipientError> {
        let (prefix, data) = bech32(text).ok_or(RecipientError::Checksum)?;
        match prefix {
            // 32 bytes are 52 groups of five bits, the last of which is padded with four zeros.
            "age" if data.len() == 52 && data.last().is_some_and(|last| last & 0x0f == 0) => {
                Ok(Self { kind: RecipientKind::Age, text: text.to_owned() })
            }
            "age" => Err(RecipientError::Checksum),
            other => Err(RecipientError::Unsupported { kind: other.to_owned() }),
        }
    }

    /// Returns the type of key.
    #[must_use]
    pub fn kind(&self) -> RecipientKind {
        self.kind
    }

    /// Returns the text without a comment: `age1…`, `ssh-ed25519 AAAA…`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns true for a secret key, which must never be shown.
#[must_use]
pub fn is_secret(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    upper.contains("AGE-SECRET-KEY-") || upper.contains("PRIVATE KEY")
}

/// Returns true for a secret key, and for long base64 that may be a line of a private key's file.
///
/// Age recipients are not secret, nor is base64 after the type of a public key, which begins with the type's length
/// (RFC 4253 § 6.6).
#[must_use]
pub fn may_be_secret(text: &str) -> bool {
    let long =
        |word: &str| word.len() >= LONG && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    let public = |place: usize, word: &str| word.starts_with("age1") || (place > 0 && word.starts_with("AAAA"));
    let mut words = text.split_ascii_whitespace().enumerate();
    is_secret(text) || words.any(|(place, word)| long(word) && !public(place, word))
}

fn is_other_key(word: &str) -> bool {
    if !word.bytes().all(|b| b.is_ascii_graphic()) {
        return false;
    }
    word.starts_with("ecdsa-sha2-") || word.starts_with("sk-") || word == "ssh-dss" || word.contains("-cert-v01@")
}

/// Checks an SSH key's bytes: the type again, then the key, then nothing (RFC 8709 § 4, RFC 4253 § 6.6).
fn check_ssh(kind: RecipientKind, blob: &[u8]) -> Result<(), RecipientError> {
    let damaged = RecipientError::Damaged { kind };
    let (name, rest) = ssh_string(blob).ok_or_else(|| damaged.clone())?;
    if name != kind.as_str().as_bytes() {
        return Err(damaged);
    }
    let (first, rest) = ssh_string(rest).ok_or_else(|| damaged.clone())?;
    if kind == RecipientKind::SshEd25519 {
        return if first.len() == 32 && rest.is_empty() { Ok(()) } else { Err(damaged) };
    }
    let (modulus, rest) = ssh_string(rest).ok_or_else(|| damaged.clone())?;
    let positive = |number: &[u8]| match number {
        [0, second, ..] => *second >= 0x80,
        [first, ..] => (1..0x80).contains(first),
        [] => false,
    };
    if !rest.is_empty() || !positive(first) || !positive(modulus) {
        return Err(damaged);
    }
    let magnitude = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let bits = magnitude.len() * 8 - magnitude.first().map_or(0, |first| first.leading_zeros() as usize);
    if (MIN_RSA..=MAX_RSA).contains(&bits) { Ok(()) } else { Err(RecipientError::RsaSize { bits }) }
}

/// Splits off a string: a length of four bytes and that many bytes (RFC 4251 § 5).
fn ssh_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (length <= rest.len()).then(|| rest.split_at(length))
}

/// Decodes Bech32 (BIP 173) in lower case: returns the prefix and the five-bit groups without the checksum.
///
/// `None` if the checksum is wrong.
fn bech32(text: &str) -> Option<(&str, Vec<u8>)> {
    const CHARACTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let (prefix, data) = text.rsplit_once('1')?;
    let mut groups = Vec::with_capacity(data.len());
    for byte in data.bytes() {
        groups.push(u8::try_from(CHARACTERS.iter().position(|&known| known == byte)?).ok()?);
    }
    let of_prefix = prefix.bytes().map(|b| b >> 5).chain([0]).chain(prefix.bytes().map(|b| b & 31));
    let checksum = of_prefix.chain(groups.iter().copied()).fold(1, bech32_step);
    let without = groups.len().checked_sub(6)?;
    groups.truncate(without);
    (checksum == 1 && !prefix.is_empty() && prefix.is_ascii()).then_some((prefix, groups))
}

fn bech32_step(sum: u32, group: u8) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = sum >> 25;
    let shifted = ((sum & 0x01ff_ffff) << 5) ^ u32::from(group);
    (0..5).filter(|i| top >> i & 1 == 1).fold(shifted, |sum, i| sum ^ GENERATOR[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by age-keygen.
    const AGE: &str = "age1l2ssrztdghwpmjqed7zzhqz68qz8ua9unftxx8w7w767p7k639tsgmkwjz";

    fn ssh(kind: &str, parts: &[&[u8]]) -> String {
        let mut blob = Vec::new();
        for part in [kind.as_bytes()].iter().chain(parts) {
            blob.extend_from_slice(&u32::try_from(part.len()).expect("short").to_be_bytes());
            blob.extend_from_slice(part);
        }
        format!("{kind} {}", Base64::encode_string(&blob))
    }

    fn modulus(bytes: usize) -> Vec<u8> {
        [vec![0], vec![0x91; bytes]].concat()
    }

    #[test]
    fn keys_of_the_three_kinds_are_recipients_and_comments_are_not_part_of_them() {
        assert_eq!(Recipient::parse(AGE).map(|r| r.kind()), Ok(RecipientKind::Age));
        let ed25519 = ssh("ssh-ed25519", &[&[7; 32]]);
        let with_comment = Recipient::parse(&format!("  {ed25519}\troot@on and more\n")).expect("a key");
        assert_eq!(Ok(with_comment.clone()), Recipient::parse(&ed25519));
        assert_eq!((with_comment.kind(), with_comment.as_str()), (RecipientKind::SshEd25519, ed25519.as_str()));
        let rsa = Recipient::parse(&ssh("ssh-rsa", &[&[1, 0, 1], &modulus(384)])).expect("a key");
        assert_eq!(rsa.kind(), RecipientKind::SshRsa);
    }

    #[test]
    fn one_wrong_character_anywhere_is_found() {
        for at in 4..AGE.len() {
            let mut wrong = AGE.as_bytes().to_vec();
            wrong[at] = if wrong[at] == b'q' { b'p' } else { b'q' };
            let wrong = String::from_utf8(wrong).expect("ASCII");
            assert_eq!(Recipient::parse(&wrong), Err(RecipientError::Checksum), "{wrong}");
            assert_eq!(Recipient::parse(&AGE[..at]), Err(RecipientError::Checksum), "cut at {at}");
        }
        assert_eq!(Recipient::parse(&AGE.to_uppercase()), Err(RecipientError::Unknown));
    }

    #[test]
    fn a_damaged_ssh_key_is_refused_with_the_reason() {
        let kind = RecipientKind::SshEd25519;
        let damaged = |text: &str| Recipient::parse(text).expect_err("damaged");
        assert_eq!(damaged("ssh-ed25519"), RecipientError::Base64 { kind });
        assert_eq!(damaged("ssh-ed25519 AAAA!"), RecipientError::Base64 { kind });
        for parts in [&[&[7; 31][..]][..], &[&[7; 33][..]], &[&[7; 32][..], b"x"], &[]] {
            assert_eq!(damaged(&ssh("ssh-ed25519", parts)), RecipientError::Damaged { kind });
        }
        let mislabelled = ssh("ssh-rsa", &[&[1, 0, 1], &modulus(256)]).replacen("ssh-rsa", "ssh-ed25519", 1);
        assert_eq!(damaged(&mislabelled), RecipientError::Damaged { kind });
        let kind = RecipientKind::SshRsa;
        assert_eq!(damaged(&ssh("ssh-rsa", &[&[1, 0, 1], &[0, 1]])), RecipientError::Damaged { kind });
        for (bytes, bits) in [(128, 1024), (513, 4104)] {
            let weak = ssh("ssh-rsa", &[&[1, 0, 1], &modulus(bytes)]);
            assert_eq!(damaged(&weak), RecipientError::RsaSize { bits });
        }
    }

    #[test]
    fn invalid_recipients_are_distinguished() {
        let refused = |text: &str| Recipient::parse(text).expect_err("no recipient");
        for text in ["", "on", "age", "ssh", "10.0.0.1", &format!("{AGE} {AGE}"), "a\u{1b}[2J"] {
            assert_eq!(refused(text), RecipientError::Unknown, "{text:?}");
        }
        let kind = "ecdsa-sha2-nistp256".to_owned();
        assert_eq!(refused("ecdsa-sha2-nistp256 AAAA"), RecipientError::Unsupported { kind });
        let secret = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
        assert_eq!(refused(secret), RecipientError::Secret);
        assert_eq!(refused(&secret.to_lowercase()), RecipientError::Secret);
        assert_eq!(refused("-----BEGIN OPENSSH PRIVATE KEY-----"), RecipientError::Secret);
    }

    #[test]
    fn lines_of_private_keys_may_be_secrets_and_public_keys_are_not() {
        let line = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW";
        for secret in
            [line, &line[38..], &format!("ssh-ed25519 {line}"), &format!("{line}\n{line}"), "AGE-SECRET-KEY-1"]
        {
            assert!(may_be_secret(secret), "{secret}");
        }
        let public = format!("{} root@on", ssh("ssh-ed25519", &[&[7; 32]]));
        for harmless in
            [AGE, public.as_str(), "on", "worker-a1.fra1.example.net", "/etc/ssh/ssh_host_ed25519_key.pub", ""]
        {
            assert!(!may_be_secret(harmless), "{harmless}");
        }
    }
}
