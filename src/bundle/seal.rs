//! Sealed bundles: age's format (age-encryption.org/v1), which only the recipients open. The one door to the age crate.
//! Sealing draws keys by chance, so that no two sealed files are alike; what is inside is the same bytes every time.

use std::fmt;
use std::io::{Read, Write};
use std::str::FromStr;

use age::{DecryptError, Decryptor, Encryptor};
use zeroize::Zeroizing;

use super::archive::MAX_UNPACKED;
use crate::cluster::recipient::{Recipient, RecipientKind};
use crate::pki::ssh::{SshError, SshKey};

/// Begins every file in age's format.
const MAGIC: &[u8] = b"age-encryption.org/v1\n";
/// Begins one that was made for mail.
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
/// Ends the kind of a stanza that stands for nobody, as the age crate adds them.
const GREASE: &[u8] = b"-grease";
/// A header with more recipients than this, in bytes, is none of ours.
const MAX_HEADER: usize = 256 * 1024;
/// What sealing adds at most: the header, and 16 bytes for every 64 KiB.
const MAX_ADDED: u64 = MAX_HEADER as u64 + (MAX_UNPACKED >> 16) * 16 + 64;
/// No sealed bundle is larger, in bytes.
pub const MAX_SEALED: u64 = MAX_UNPACKED + MAX_ADDED;

/// Seals to the same recipients any number of times, from any number of threads.
pub struct Sealer(Vec<Box<dyn age::Recipient + Send + Sync>>);

/// Why nothing can be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A key that looks like one, and on its curve there is no such point.
    #[error("{recipient} is no usable public key: a character of it was changed")]
    Unusable {
        /// The recipient.
        recipient: Recipient,
    },
    /// age's own.
    #[error("it could not be sealed: {0}")]
    Age(String),
}

impl Sealer {
    /// For these recipients, each of whom can open what is sealed.
    ///
    /// # Errors
    /// When there is none, or one of the keys is not usable.
    pub fn new(recipients: &[Recipient]) -> Result<Self, SealError> {
        let one = |recipient: &Recipient| -> Result<Box<dyn age::Recipient + Send + Sync>, SealError> {
            let unusable = || SealError::Unusable { recipient: recipient.clone() };
            let text = recipient.as_str();
            Ok(match recipient.kind() {
                RecipientKind::Age => Box::new(age::x25519::Recipient::from_str(text).map_err(|_| unusable())?),
                RecipientKind::SshEd25519 | RecipientKind::SshRsa => {
                    Box::new(age::ssh::Recipient::from_str(text).map_err(|_| unusable())?)
                }
            })
        };
        recipients.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Seals `bytes`: never the same file twice.
    ///
    /// # Errors
    /// When there is no recipient.
    pub fn seal(&self, bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let failed = |error: &dyn fmt::Display| SealError::Age(error.to_string());
        let recipients = self.0.iter().map(|recipient| recipient.as_ref() as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(|error| failed(&error))?;
        let mut sealed = Vec::with_capacity(bytes.len() + 4096);
        let mut writer = encryptor.wrap_output(&mut sealed).map_err(|error| failed(&error))?;
        writer.write_all(bytes).map_err(|error| failed(&error))?;
        writer.finish().map_err(|error| failed(&error))?;
        Ok(sealed)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({} recipients)", self.0.len())
    }
}

/// What opens sealed files: one or several secret keys. `Debug` shows none.
pub struct Identity(Vec<Box<dyn age::Identity>>);

/// Why a key file opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Neither of age's nor of SSH's.
    #[error("it is neither an age identity file nor an OpenSSH private key")]
    Unknown,
    /// The file with the keys is encrypted itself.
    #[error("it is encrypted with age itself; decrypt it first, with age -d")]
    Encrypted,
    /// A line of an age identity file is none. The line is not repeated.
    #[error("line {line} of it is no age identity")]
    Line {
        /// From 1.
        line: usize,
    },
    /// An SSH key that does not open anything.
    #[error(transparent)]
    Ssh(#[from] SshError),
}

impl Identity {
    /// Reads an age identity file, as age-keygen writes it: comments, and one `AGE-SECRET-KEY-1…` a line.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_age_file(bytes: &[u8]) -> Result<Self, IdentityError> {
        if bytes.starts_with(MAGIC) || bytes.starts_with(ARMOR) {
            return Err(IdentityError::Encrypted);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| IdentityError::Unknown)?;
        if !text.contains("AGE-SECRET-KEY-1") {
            return Err(IdentityError::Unknown);
        }
        let mut identities: Vec<Box<dyn age::Identity>> = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let identity = age::x25519::Identity::from_str(line);
                identities.push(Box::new(identity.map_err(|_| IdentityError::Line { line: i + 1 })?));
            }
        }
        Ok(Self(identities))
    }

    /// An SSH key that was unlocked.
    ///
    /// # Errors
    /// When it is still encrypted, or of a kind that nothing is sealed to.
    pub fn from_ssh(key: &SshKey) -> Result<Self, IdentityError> {
        let pem = key.to_pem()?;
        match age::ssh::Identity::from_buffer(pem.as_bytes(), None) {
            Ok(identity @ age::ssh::Identity::Unencrypted(_)) => Ok(Self(vec![Box::new(identity)])),
            _ => Err(SshError::Unsupported(key.kind()).into()),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} keys)", self.0.len())
    }
}

/// Why a sealed file stays closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Its header is not one.
    #[error("its header is damaged, or it was made by something newer")]
    Header,
    /// Made for mail.
    #[error("it is armored, as for mail; bundles are sealed without that")]
    Armored,
    /// Sealed with a passphrase, as no bundle is.
    #[error("it is sealed with a passphrase, and not to a key, so that it is no bundle of clusterctl")]
    Passphrase,
    /// Sealed to somebody else.
    #[error("it is sealed to somebody else: to {}", list(kinds))]
    Foreign {
        /// What it is sealed to, in words.
        kinds: Vec<String>,
    },
    /// Something in it was changed.
    #[error("it is damaged: what it holds is not what was sealed")]
    Damaged,
    /// Its end is missing.
    #[error("it is cut off, or damaged")]
    CutOff,
    /// More than any bundle.
    #[error("it holds more than {} MiB, which no bundle does", MAX_UNPACKED >> 20)]
    TooLarge,
}

/// True for what age sealed, armored or not.
#[must_use]
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(b"age-encryption.org/") || bytes.starts_with(ARMOR)
}

/// Opens what was sealed to one of these keys.
///
/// # Errors
/// When it was not, or is damaged. Nothing of a damaged file comes back.
pub fn open(bytes: &[u8], identity: &Identity) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let kinds = recipients(bytes)?;
    if kinds.iter().any(|kind| kind == "a passphrase") {
        return Err(OpenError::Passphrase);
    }
    let decryptor = Decryptor::new_buffered(bytes).map_err(|error| closed(&error, &kinds))?;
    let identities = identity.0.iter().map(AsRef::as_ref);
    let reader = decryptor.decrypt(identities).map_err(|error| closed(&error, &kinds))?;
    let mut inside = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let read = reader.take(MAX_UNPACKED + 1).read_to_end(&mut inside).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => OpenError::CutOff,
        _ => OpenError::Damaged,
    })?;
    if read as u64 > MAX_UNPACKED { Err(OpenError::TooLarge) } else { Ok(inside) }
}

fn closed(error: &DecryptError, kinds: &[String]) -> OpenError {
    match error {
        DecryptError::NoMatchingKeys => OpenError::Foreign { kinds: kinds.to_vec() },
        DecryptError::InvalidMac | DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
            OpenError::Damaged
        }
        DecryptError::Io(_) => OpenError::CutOff,
        _ => OpenError::Header,
    }
}

/// What kinds of keys a file is sealed to, in words, as its header says: a stanza for each (age's format, § Header).
/// Whose they are, the header does not say. Stanzas by chance, which keep readers used to kinds that they do not know, are
/// nobody's.
///
/// # Errors
/// When there is no such header.
pub fn recipients(bytes: &[u8]) -> Result<Vec<String>, OpenError> {
    if bytes.starts_with(ARMOR) {
        return Err(OpenError::Armored);
    }
    let header = bytes.strip_prefix(MAGIC).ok_or(OpenError::Header)?;
    let mut kinds = Vec::new();
    for line in header[..header.len().min(MAX_HEADER)].split_inclusive(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\n").ok_or(OpenError::CutOff)?;
        if line.starts_with(b"--- ") {
            return Ok(kinds);
        }
        if let Some(stanza) = line.strip_prefix(b"-> ") {
            let kind = stanza.split(|&b| b == b' ').next().unwrap_or_default();
            if !kind.ends_with(GREASE) {
                kinds.push(in_words(kind));
            }
        }
    }
    Err(OpenError::CutOff)
}

fn in_words(kind: &[u8]) -> String {
    match kind {
        b"X25519" => "an age key".to_owned(),
        b"ssh-ed25519" => "an SSH key (ssh-ed25519)".to_owned(),
        b"ssh-rsa" => "an SSH key (ssh-rsa)".to_owned(),
        b"scrypt" => "a passphrase".to_owned(),
        other => {
            let name: String = other.iter().filter(|b| b.is_ascii_graphic()).take(40).map(|&b| char::from(b)).collect();
            format!("a key of the kind {name}")
        }
    }
}

fn list(kinds: &[String]) -> String {
    // A header can have thousands.
    let more = if kinds.len() > 4 { format!(" and {} more", kinds.len() - 4) } else { String::new() };
    format!("{}{more}", kinds.iter().take(4).cloned().collect::<Vec<_>>().join(", "))
}
