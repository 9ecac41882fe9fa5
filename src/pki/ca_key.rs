//! The private key of a CA as other tools write it: PKCS#8, PKCS#1 and SEC 1, encrypted or not, as PEM or DER.

use std::fmt;

use zeroize::Zeroizing;

use super::key::KeyError;
use super::key_encryption;
use super::local_key::{self, LocalKey, Opened};
use super::material;
use super::passphrase::Passphrase;
use super::pem;

/// A private key that can sign certificates, as PKCS#8. It has no `Clone`, and `Debug` does not show the key.
pub struct CaKey {
    pkcs8: Zeroizing<Vec<u8>>,
    is_weakly_encrypted: bool,
}

impl CaKey {
    /// Reads the first key of a file, PEM or DER.
    ///
    /// # Errors
    /// Returns an error if it does not exist, its passphrase is wrong or missing, it is damaged, or its kind cannot
    /// sign here.
    pub fn read(bytes: &[u8], passphrase: Option<&Passphrase>) -> Result<Self, KeyError> {
        let Opened { pkcs8, is_weakly_encrypted } = local_key::first_key(material::read_strictly(bytes)?, passphrase)?;
        LocalKey::from_pkcs8(&pkcs8)?;
        Ok(Self { pkcs8, is_weakly_encrypted })
    }

    /// Returns true if its file has it in OpenSSL's form before PKCS#8, in which passphrases are tried quickly: a
    /// single round of MD5 derives the key.
    #[must_use]
    pub fn is_weakly_encrypted(&self) -> bool {
        self.is_weakly_encrypted
    }

    /// Opens the key for signing.
    ///
    /// # Errors
    /// Returns an error if it is damaged.
    pub fn open(&self) -> Result<LocalKey, KeyError> {
        LocalKey::from_pkcs8(&self.pkcs8)
    }

    /// Returns the key as unencrypted PEM, PKCS#8.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::write_key(&self.pkcs8)
    }

    /// Returns the key as PEM, encrypted with `passphrase` as `init-ca` encrypts keys.
    ///
    /// # Errors
    /// Returns an error if the operating system provides no random numbers.
    pub fn to_encrypted_pem(&self, passphrase: &Passphrase) -> Result<String, KeyError> {
        key_encryption::encrypt(&self.pkcs8, passphrase)
    }
}

impl fmt::Debug for CaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CaKey(…)")
    }
}
