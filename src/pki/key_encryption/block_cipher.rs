//! Decrypts with block ciphers in CBC mode with PKCS#7 padding, as RFC 1421 and RFC 7292 use them.

use aes::{Aes128Dec, Aes192Dec, Aes256Dec};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit};
use des::TdesEde3;
use zeroize::Zeroizing;

use crate::pki::key_error::KeyError;

/// A block cipher of old tools that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockCipher {
    Aes128,
    Aes192,
    Aes256,
    TripleDes,
}

impl BlockCipher {
    /// Returns the length of a key, in bytes.
    pub(super) fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 | Self::TripleDes => 24,
            Self::Aes256 => 32,
        }
    }

    /// Returns the length of a block, in bytes.
    pub(super) fn block_length(self) -> usize {
        match self {
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
            Self::TripleDes => 8,
        }
    }

    /// Decrypts `data`, and removes the padding.
    ///
    /// # Errors
    /// Returns an error if the lengths cannot be right, or the key is another one.
    pub(super) fn decrypt(self, key: &[u8], iv: &[u8], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        // Otherwise a truncated file would look like a wrong passphrase.
        if data.is_empty() || !data.len().is_multiple_of(self.block_length()) {
            return Err(KeyError::Damaged);
        }
        match self {
            Self::Aes128 => decrypt::<Aes128Dec>(key, iv, data),
            Self::Aes192 => decrypt::<Aes192Dec>(key, iv, data),
            Self::Aes256 => decrypt::<Aes256Dec>(key, iv, data),
            Self::TripleDes => decrypt::<TdesEde3>(key, iv, data),
        }
    }
}

fn decrypt<C: BlockCipherDecrypt + KeyInit>(
    key: &[u8],
    iv: &[u8],
    data: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut buffer = Zeroizing::new(data.to_vec());
    let cipher = cbc::Decryptor::<C>::new_from_slices(key, iv).map_err(|_| KeyError::Damaged)?;
    let length = cipher.decrypt_padded::<Pkcs7>(&mut buffer).map_err(|_| KeyError::WrongPassphrase)?.len();
    buffer.truncate(length);
    Ok(buffer)
}
