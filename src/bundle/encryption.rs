//! Encrypts bundles to recipients in age's format (age-encryption.org/v1), and decrypts them.
//!
//! Only this module and [`super::encrypted_stream`] use `age`.
//!
//! Encryption is randomized: two encrypted files differ, though their contents are the same bytes.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use age::Decryptor;
use zeroize::Zeroizing;

use super::archive::MAX_UNPACKED;
use crate::cluster::recipient::{Recipient, RecipientKind};
use crate::pki::passphrase::Passphrase;
use crate::pki::ssh::{SshError, SshKey};

/// The first line of every file in age's format.
const MAGIC: &[u8] = b"age-encryption.org/v1\n";
/// The first line of an armored file.
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
/// The recipient of a file that is encrypted with a passphrase, in words.
pub(super) const PASSPHRASE: &str = "a passphrase";
/// The suffix of the type of a random stanza, which the age crate adds and which has no recipient.
const GREASE: &[u8] = b"-grease";
/// The largest header, in bytes.
pub(super) const MAX_HEADER: usize = 256 * 1024;
/// The maximum size that encryption adds: the header, and 16 bytes for every 64 KiB.
const MAX_ADDED: u64 = MAX_HEADER as u64 + (MAX_UNPACKED >> 16) * 16 + 64;
/// The largest encrypted bundle, in bytes.
pub const MAX_ENCRYPTED: u64 = MAX_UNPACKED + MAX_ADDED;

/// Encrypts bundles to the same recipients. It may be used by several threads.
pub struct Encryptor(Vec<Box<dyn age::Recipient + Send + Sync>>);

/// Errors of encrypting a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// A key is well-formed, but not a point of its curve.
    #[error("{recipient} is not a usable public key: a character of it was changed")]
    Unusable {
        /// The recipient.
        recipient: Recipient,
    },
    /// The age crate failed.
    #[error("it could not be encrypted: {0}")]
    Age(String),
}

impl Encryptor {
    /// Returns an encryptor to these recipients, each of whom can decrypt alone.
    ///
    /// # Errors
    /// Returns an error if there is none, or one of the keys is not usable.
    pub fn new(recipients: &[Recipient]) -> Result<Self, EncryptError> {
        let one = |recipient: &Recipient| -> Result<Box<dyn age::Recipient + Send + Sync>, EncryptError> {
            let unusable = || EncryptError::Unusable { recipient: recipient.clone() };
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

    /// Returns an encryptor with a passphrase (age's scrypt recipient).
    #[must_use]
    pub fn with_passphrase(passphrase: &Passphrase) -> Self {
        Self(vec![Box::new(age::scrypt::Recipient::new(secret(passphrase)))])
    }

    /// Encrypts `bytes`; the result differs each time.
    ///
    /// # Errors
    /// Returns an error if there is no recipient.
    pub fn encrypt(&self, bytes: &[u8]) -> Result<Vec<u8>, EncryptError> {
        let failed = |error: &dyn fmt::Display| EncryptError::Age(error.to_string());
        let mut encrypted = Vec::with_capacity(bytes.len() + 4096);
        let mut writer = self.writer(&mut encrypted)?;
        writer.write_all(bytes).map_err(|error| failed(&error))?;
        writer.finish().map_err(|error| failed(&error))?;
        Ok(encrypted)
    }

    /// Returns a writer that encrypts what is written to it.
    ///
    /// # Errors
    /// Returns an error if there is no recipient, or the header cannot be written.
    pub fn writer<W: Write>(&self, out: W) -> Result<EncryptedWriter<W>, EncryptError> {
        let failed = |error: &dyn fmt::Display| EncryptError::Age(error.to_string());
        let recipients = self.0.iter().map(|recipient| recipient.as_ref() as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(|error| failed(&error))?;
        encryptor.wrap_output(out).map(EncryptedWriter).map_err(|error| failed(&error))
    }
}

/// Encrypts what is written to it. Without [`EncryptedWriter::finish`] the result is truncated.
pub struct EncryptedWriter<W: Write>(age::stream::StreamWriter<W>);

impl<W: Write> EncryptedWriter<W> {
    /// Ends the encrypted file.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for EncryptedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn secret(passphrase: &Passphrase) -> age::secrecy::SecretString {
    age::secrecy::SecretString::from(passphrase.text().to_owned())
}

impl fmt::Debug for Encryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encryptor({} recipients)", self.0.len())
    }
}

/// One or more secret keys that decrypt files. `Debug` does not show them.
pub struct Identity(Vec<Box<dyn age::Identity>>);

/// Errors of parsing an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It is neither an age key nor an SSH key.
    #[error("it is neither an age identity file nor an OpenSSH private key")]
    Unknown,
    /// The file with the keys is encrypted itself.
    #[error("it is encrypted with age itself; decrypt it first, with age -d")]
    Encrypted,
    /// A line of an age identity file is not an identity. The error does not contain the line, which may be secret.
    #[error("line {line} of it is not an age identity")]
    Line {
        /// Its number, from 1.
        line: usize,
    },
    /// The SSH key cannot decrypt.
    #[error(transparent)]
    Ssh(#[from] SshError),
}

impl Identity {
    /// Reads an age identity file, as age-keygen writes it: comments, and one `AGE-SECRET-KEY-1…` per line.
    ///
    /// # Errors
    /// Returns an error if it is not one.
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

    /// Returns an unlocked SSH key as an identity.
    ///
    /// # Errors
    /// Returns an error if it is still encrypted, or of a type that age does not support.
    pub fn from_ssh(key: &SshKey) -> Result<Self, IdentityError> {
        let pem = key.to_pem()?;
        match age::ssh::Identity::from_buffer(pem.as_bytes(), None) {
            Ok(identity @ age::ssh::Identity::Unencrypted(_)) => Ok(Self(vec![Box::new(identity)])),
            _ => Err(SshError::Unsupported(key.kind()).into()),
        }
    }
}

impl Identity {
    /// Returns an identity that decrypts files which were encrypted with a passphrase.
    #[must_use]
    pub fn from_passphrase(passphrase: &Passphrase) -> Self {
        Self(vec![Box::new(age::scrypt::Identity::new(secret(passphrase)))])
    }

    /// Returns the keys as the age crate needs them.
    pub(super) fn keys(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} keys)", self.0.len())
    }
}

/// Errors of decrypting a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// Its header is not valid.
    #[error("its header is damaged, or of a later version of age")]
    Header,
    /// It is armored (text for mail).
    #[error("it is armored; encrypted bundles are not")]
    Armored,
    /// It is encrypted with a passphrase; bundles never are.
    #[error("it is encrypted with a passphrase instead of to a key, so it is not a bundle of clusterctl")]
    Passphrase,
    /// The identity is not one of its recipients.
    #[error("it is encrypted to other recipients: to {}", list(kinds))]
    OtherRecipients {
        /// The recipients' types in words.
        kinds: Vec<String>,
    },
    /// It was modified.
    #[error("it is damaged: it was changed after it was encrypted")]
    Damaged,
    /// The end of the file is missing.
    #[error("it is truncated, or damaged")]
    Truncated,
    /// It is larger than any bundle.
    #[error("it decrypts to more than {} MiB, which no bundle does", MAX_UNPACKED >> 20)]
    TooLarge,
}

/// Returns true for a file that age encrypted, armored or not.
#[must_use]
pub fn is_encrypted(bytes: &[u8]) -> bool {
    bytes.starts_with(b"age-encryption.org/") || bytes.starts_with(ARMOR)
}

/// Decrypts a file with one of the keys of `identity`.
///
/// # Errors
/// Returns an error if none of them is a recipient's, or the file is damaged. No part of a damaged file is returned.
pub fn decrypt(bytes: &[u8], identity: &Identity) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let kinds = recipients(bytes)?;
    if kinds.iter().any(|kind| kind == PASSPHRASE) {
        return Err(DecryptError::Passphrase);
    }
    let decryptor = Decryptor::new_buffered(bytes).map_err(|error| closed(&error, &kinds))?;
    let reader = decryptor.decrypt(identity.keys()).map_err(|error| closed(&error, &kinds))?;
    let mut inside = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let read = reader.take(MAX_UNPACKED + 1).read_to_end(&mut inside).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => DecryptError::Truncated,
        _ => DecryptError::Damaged,
    })?;
    if read as u64 > MAX_UNPACKED { Err(DecryptError::TooLarge) } else { Ok(inside) }
}

fn closed(error: &age::DecryptError, kinds: &[String]) -> DecryptError {
    match error {
        age::DecryptError::NoMatchingKeys => DecryptError::OtherRecipients { kinds: kinds.to_vec() },
        age::DecryptError::InvalidMac
        | age::DecryptError::DecryptionFailed
        | age::DecryptError::KeyDecryptionFailed => DecryptError::Damaged,
        age::DecryptError::Io(_) => DecryptError::Truncated,
        _ => DecryptError::Header,
    }
}

/// Returns the types of a file's recipients in words, from its header: a stanza for each (age's format, § Header).
///
/// The header does not identify them. Random stanzas, which keep readers tolerant of unknown types, are left out.
///
/// # Errors
/// Returns an error if there is no such header.
pub fn recipients(bytes: &[u8]) -> Result<Vec<String>, DecryptError> {
    if bytes.starts_with(ARMOR) {
        return Err(DecryptError::Armored);
    }
    let header = bytes.strip_prefix(MAGIC).ok_or(DecryptError::Header)?;
    let mut kinds = Vec::new();
    for line in header[..header.len().min(MAX_HEADER)].split_inclusive(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\n").ok_or(DecryptError::Truncated)?;
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
    Err(DecryptError::Truncated)
}

fn in_words(kind: &[u8]) -> String {
    match kind {
        b"X25519" => "an age key".to_owned(),
        b"ssh-ed25519" => "an SSH key (ssh-ed25519)".to_owned(),
        b"ssh-rsa" => "an SSH key (ssh-rsa)".to_owned(),
        b"scrypt" => PASSPHRASE.to_owned(),
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
