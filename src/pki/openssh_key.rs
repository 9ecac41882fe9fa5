//! OpenSSH's private key files, with a number that is written short.
//!
//! The private number of an ECDSA key is an `mpint`, which leaves zero bytes in front out (RFC 4251, section 5). ssh-key 0.6
//! reads it at its full length only, and calls one key of ssh-keygen's in 512 damaged. Here such a number gets its zeros back,
//! and the crate reads the rest and judges all of it. The format is that of OpenSSH's `PROTOCOL.key`.

use base64ct::{Base64, Encoding as _};
use ssh_key::{Error, PrivateKey};
use zeroize::Zeroizing;

const MAGIC: &[u8] = b"openssh-key-v1\0";
/// What a key that is not encrypted is padded to, in bytes.
const BLOCK: usize = 8;

/// Reads a private key from its PEM, as [`PrivateKey::from_openssh`] does.
///
/// # Errors
/// The crate's, when it is no key.
pub(super) fn read(pem: &str) -> Result<PrivateKey, Error> {
    PrivateKey::from_openssh(pem).or_else(|error| {
        let short = body(pem).and_then(|file| {
            let parts = Parts::of(&file)?;
            lengthened(parts.public, parts.private)
        });
        short.map_or(Err(error), |file| PrivateKey::from_bytes(&file))
    })
}

/// Decrypts a key, as [`PrivateKey::decrypt`] does.
///
/// # Errors
/// The crate's, when the passphrase is wrong or the key damaged.
pub(super) fn decrypt(key: &PrivateKey, passphrase: &[u8]) -> Result<PrivateKey, Error> {
    key.decrypt(passphrase).or_else(|error| {
        // A wrong passphrase is found out by the two numbers in front, before any length is looked at.
        if matches!(error, Error::Crypto) {
            return Err(error);
        }
        let file = key.to_bytes()?;
        let Some(parts) = Parts::of(&file) else { return Err(error) };
        let mut private = Zeroizing::new(parts.private.to_vec());
        let (secret, iv) = key.kdf().derive_key_and_iv(key.cipher(), passphrase)?;
        key.cipher().decrypt(&secret, &iv, &mut private, parts.tag.try_into().ok())?;
        lengthened(parts.public, &private).map_or(Err(error), |file| PrivateKey::from_bytes(&file))
    })
}

/// The bytes between the lines of a PEM.
fn body(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let lines = pem.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let base64 = Zeroizing::new(lines.collect::<String>());
    Base64::decode_vec(&base64).ok().map(Zeroizing::new)
}

/// What of a file is needed here.
struct Parts<'a> {
    /// The public key.
    public: &'a [u8],
    /// The private key with its check numbers, comment and padding, perhaps encrypted.
    private: &'a [u8],
    /// What a cipher with authentication puts behind.
    tag: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(file: &'a [u8]) -> Option<Self> {
        let mut rest = file.strip_prefix(MAGIC)?;
        let (_cipher, _kdf, _options) = (string(&mut rest)?, string(&mut rest)?, string(&mut rest)?);
        // Of how many keys; ssh-keygen writes one.
        rest = rest.strip_prefix(&1u32.to_be_bytes())?;
        Some(Self { public: string(&mut rest)?, private: string(&mut rest)?, tag: rest })
    }
}

/// A file in the clear of the same key, where `private` holds an ECDSA key whose number is shorter than its curve's.
fn lengthened(public: &[u8], private: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (checks, mut rest) = private.split_at_checked(2 * size_of::<u32>())?;
    let (kind, curve, point) = (string(&mut rest)?, string(&mut rest)?, string(&mut rest)?);
    let (number, comment) = (string(&mut rest)?, string(&mut rest)?);
    // A point is a byte and two coordinates (SEC 1, section 2.3.3), each as long as the number may be.
    let missing = (point.len() / 2).checked_sub(number.len()).filter(|&missing| missing > 0)?;
    if !kind.starts_with(b"ecdsa-sha2-") || number.first().is_none_or(|&first| first >= 0x80) {
        return None;
    }
    let mut longer = Zeroizing::new(vec![0; missing]);
    longer.extend_from_slice(number);

    let mut clear = Zeroizing::new(Vec::with_capacity(private.len() + missing + BLOCK));
    clear.extend_from_slice(checks);
    for field in [kind, curve, point, &longer, comment] {
        put(&mut clear, field);
    }
    let padding = clear.len().next_multiple_of(BLOCK) - clear.len();
    clear.extend((1u8..).take(padding));

    let mut file = Zeroizing::new(Vec::with_capacity(public.len() + clear.len() + 64));
    file.extend_from_slice(MAGIC);
    for field in [&b"none"[..], b"none", b""] {
        put(&mut file, field);
    }
    file.extend_from_slice(&1u32.to_be_bytes());
    put(&mut file, public);
    put(&mut file, &clear);
    Some(file)
}

/// Takes a `string` off the front: its length in four bytes, and the bytes (RFC 4251, section 5).
fn string<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk()?;
    let (taken, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *from = rest;
    Some(taken)
}

/// Puts a `string` behind. Every one here came out of a file of some kilobytes.
fn put(to: &mut Vec<u8>, field: &[u8]) {
    to.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
    to.extend_from_slice(field);
}
