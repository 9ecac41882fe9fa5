//! Decrypts keys in OpenSSL's form before PKCS#8: PEM with the headers `Proc-Type` and `DEK-Info` (RFC 1421 § 4.6).

use md5::{Digest, Md5};
use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Decode, Tag, Tagged};
use zeroize::Zeroizing;

use super::block_cipher::BlockCipher;
use crate::pki::key_error::KeyError;
use crate::pki::passphrase::Passphrase;
use crate::pki::pem::KeyWithHeaders;

/// The number of bytes of the initialization vector that are the salt, too (OpenSSL, `PEM_do_header`).
const SALT: usize = 8;

/// Decrypts a key, and returns it in the form that its label names.
///
/// # Errors
/// Returns an error if its cipher is not read, it is damaged, or the passphrase is wrong or missing.
pub(super) fn decrypt(key: &KeyWithHeaders, passphrase: Option<&Passphrase>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let cipher = match key.cipher.as_str() {
        "AES-128-CBC" => BlockCipher::Aes128,
        "AES-192-CBC" => BlockCipher::Aes192,
        "AES-256-CBC" => BlockCipher::Aes256,
        "DES-EDE3-CBC" => BlockCipher::TripleDes,
        other => return Err(KeyError::Encryption(format!("OpenSSL's old form with {other}"))),
    };
    let (wanted, found) = (cipher.block_length(), key.iv.len());
    if found != wanted {
        return Err(KeyError::InitializationVector { wanted, found });
    }
    let passphrase = passphrase.ok_or(KeyError::PassphraseNeeded)?;
    let secret = bytes_to_key(passphrase.expose(), &key.iv[..SALT], cipher.key_length());
    let plain = cipher.decrypt(&secret, &key.iv, &key.data)?;
    // The padding of a wrong plaintext is right once in 256 times.
    let is_a_key = AnyRef::from_der(&plain).is_ok_and(|value| value.tag() == Tag::Sequence);
    if is_a_key { Ok(plain) } else { Err(KeyError::WrongPassphrase) }
}

/// Derives a key as OpenSSL's `EVP_BytesToKey` does, with MD5 and one round.
fn bytes_to_key(passphrase: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(length + 16));
    let mut digest = Zeroizing::new(Vec::with_capacity(16));
    while key.len() < length {
        let next: [u8; 16] =
            Md5::new().chain_update(digest.as_slice()).chain_update(passphrase).chain_update(salt).finalize().into();
        *digest = next.to_vec();
        key.extend_from_slice(&digest);
    }
    key.truncate(length);
    key
}
