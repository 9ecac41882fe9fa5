//! Reads OpenSSH private keys whose private number has leading zeros.
//!
//! The private number of an ECDSA key is an `mpint`, which omits leading zero bytes, except for one before a byte of
//! 0x80 or more (RFC 4251, section 5). ssh-key 0.6 only reads numbers of full length, and rejects one in 512 keys of
//! ssh-keygen as damaged. This module restores the zeros. Everything around the number must be as OpenSSH writes it,
//! and the crate checks the key itself. The format is that of OpenSSH's `PROTOCOL.key`.

use base64ct::{Base64, Encoding as _};
use ssh_key::{Error, PrivateKey};
use zeroize::Zeroizing;

/// The first line of such a file.
pub(super) const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
/// The last one.
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";
/// The encryption fields of an unencrypted key: no cipher, no key derivation, and no options.
const CLEAR: [&[u8]; 3] = [b"none", b"none", b""];
/// The block size that an unencrypted key is padded to, in bytes.
const BLOCK: usize = 8;

/// Reads a private key from its PEM, as [`PrivateKey::from_openssh`] does.
///
/// # Errors
/// Returns the error of the crate if it is not a key.
pub(super) fn read(pem: &str) -> Result<PrivateKey, Error> {
    PrivateKey::from_openssh(pem).or_else(|error| {
        let short = body(pem).and_then(|file| {
            let parts = Parts::of(&file).filter(|parts| parts.encryption == CLEAR && parts.tag.is_empty())?;
            lengthened(parts.public, parts.private, BLOCK)
        });
        short.map_or(Err(error), |file| PrivateKey::from_bytes(&file))
    })
}

/// Decrypts a key, as [`PrivateKey::decrypt`] does.
///
/// # Errors
/// Returns the error of the crate if the passphrase is wrong or the key damaged.
pub(super) fn decrypt(key: &PrivateKey, passphrase: &[u8]) -> Result<PrivateKey, Error> {
    key.decrypt(passphrase).or_else(|error| {
        // A wrong passphrase is detected by the two check numbers, before any length is read.
        if matches!(error, Error::Crypto) {
            return Err(error);
        }
        let file = key.to_bytes()?;
        let Some(parts) = Parts::of(&file) else { return Err(error) };
        let mut private = Zeroizing::new(parts.private.to_vec());
        let (secret, iv) = key.kdf().derive_key_and_iv(key.cipher(), passphrase)?;
        key.cipher().decrypt(&secret, &iv, &mut private, parts.tag.try_into().ok())?;
        let clear = lengthened(parts.public, &private, key.cipher().block_size());
        clear.map_or(Err(error), |file| PrivateKey::from_bytes(&file))
    })
}

/// Decodes a PEM without blank space around it.
fn body(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let lines = pem.strip_prefix(BEGIN)?.strip_suffix(END)?;
    let mut base64 = Zeroizing::new(String::with_capacity(lines.len()));
    lines.lines().for_each(|line| base64.push_str(line.trim()));
    let mut bytes = Zeroizing::new(vec![0; base64.len()]);
    let decoded = Base64::decode(&*base64, &mut bytes).ok()?.len();
    bytes.truncate(decoded);
    Some(bytes)
}

/// The parts of a key file that are needed here.
struct Parts<'a> {
    /// The cipher's name, the key derivation's name, and its options.
    encryption: [&'a [u8]; 3],
    /// The public key.
    public: &'a [u8],
    /// The private key with its check numbers, comment and padding, perhaps encrypted.
    private: &'a [u8],
    /// The authentication tag, if the cipher has one.
    tag: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(file: &'a [u8]) -> Option<Self> {
        let mut rest = file.strip_prefix(MAGIC)?;
        let encryption = [string(&mut rest)?, string(&mut rest)?, string(&mut rest)?];
        // The number of keys; ssh-keygen writes one.
        rest = rest.strip_prefix(&1u32.to_be_bytes())?;
        Some(Self { encryption, public: string(&mut rest)?, private: string(&mut rest)?, tag: rest })
    }
}

/// Returns an unencrypted file of the same key, if `private`, padded to `block` bytes, has an ECDSA key with a
/// shortened number.
fn lengthened(public: &[u8], private: &[u8], block: usize) -> Option<Zeroizing<Vec<u8>>> {
    let (checks, mut rest) = private.split_at_checked(2 * size_of::<u32>())?;
    let (kind, curve, point) = (string(&mut rest)?, string(&mut rest)?, string(&mut rest)?);
    let (number, comment) = (string(&mut rest)?, string(&mut rest)?);
    // A point is a byte and two coordinates (SEC 1, section 2.3.3), each of the number's full length.
    let missing = (point.len() / 2).checked_sub(number.len()).filter(|&missing| missing > 0)?;
    // It must be neither negative nor longer than necessary.
    let is_mpint = !matches!(number, [] | [0x80..=0xff, ..] | [0] | [0, 0..=0x7f, ..]);
    let is_padded =
        private.len().is_multiple_of(block) && rest.len() < block && rest.iter().copied().eq((1u8..).take(rest.len()));
    if !(kind.starts_with(b"ecdsa-sha2-") && is_mpint && is_padded) {
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
    for field in CLEAR {
        put(&mut file, field);
    }
    file.extend_from_slice(&1u32.to_be_bytes());
    put(&mut file, public);
    put(&mut file, &clear);
    Some(file)
}

/// Reads a `string` and advances: its length in four bytes, and the bytes (RFC 4251, section 5).
fn string<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk()?;
    let (taken, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *from = rest;
    Some(taken)
}

/// Appends a `string`. All strings here come from a file of some kilobytes.
fn put(to: &mut Vec<u8>, field: &[u8]) {
    to.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
    to.extend_from_slice(field);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = include_str!("../../tests/data/openssh/ecdsa-256-short");

    fn pem(file: &[u8]) -> String {
        format!("{BEGIN}\n{}\n{END}", Base64::encode_string(file))
    }

    #[test]
    fn a_short_number_is_read_and_any_other_change_is_an_error() {
        let file = body(SHORT.trim()).expect("base64");
        let good = read(SHORT.trim()).expect("a key");
        assert_eq!(read(&pem(&file)).expect("the same"), good);
        let refused = |what: &str, text: &str| assert!(read(text).is_err(), "{what}");
        refused("no last line", SHORT.trim().strip_suffix(END).expect("it ends"));
        refused("another last line", &SHORT.trim().replace("END OPENSSH", "END OTHER"));
        refused("a byte after the end", &pem(&[&file[..], &[0]].concat()));
        // The names after the magic, the public key, and all of the private part: its check numbers, fields and
        // padding.
        let mut accepted = 0;
        for at in 0..file.len() {
            let mut bad = file.to_vec();
            bad[at] ^= 1;
            accepted += usize::from(read(&pem(&bad)).is_ok());
        }
        // One bit of the number, or of the comment, makes another, valid key file: 31 bytes and 12.
        assert_eq!(accepted, 31 + "short scalar".len());
        for cut in 0..file.len() {
            refused("cut off", &pem(&file[..cut]));
        }
    }
}
