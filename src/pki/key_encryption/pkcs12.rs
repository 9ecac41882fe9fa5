//! Decrypts PKCS#8 that is encrypted as PKCS#12 does it, with SHA-1 and 3DES (RFC 7292 § B and § C).

use pkcs8::ObjectIdentifier;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::{self, Reader};
use pkcs12::kdf::{Pkcs12KeyType, derive_key};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::ITERATIONS_LIMIT;
use super::block_cipher::BlockCipher;
use super::info::Info;
use crate::pki::key_error::KeyError;
use crate::pki::passphrase::Passphrase;

/// pbeWithSHAAnd3-KeyTripleDES-CBC
const SHA1_3DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");

/// A key that is encrypted with SHA-1 and 3DES.
pub(super) struct Pkcs12<'a> {
    salt: &'a [u8],
    iterations: i32,
    data: &'a [u8],
}

impl<'a> Pkcs12<'a> {
    /// Returns the key if it is encrypted in this way.
    ///
    /// # Errors
    /// Returns an error if the parameters are damaged, or the number of iterations is too high.
    pub(super) fn of(info: &Info<'a>) -> Result<Option<Self>, KeyError> {
        if info.algorithm.oid != SHA1_3DES {
            return Ok(None);
        }
        let parameters = info.algorithm.parameters.ok_or(KeyError::Damaged)?;
        let read = parameters.sequence(|reader| {
            let salt: &OctetStringRef = reader.decode()?;
            Ok::<_, der::Error>((salt.as_bytes(), reader.decode::<u64>()?))
        });
        let (salt, iterations) = read.map_err(|_| KeyError::Damaged)?;
        let too_many = || KeyError::Encryption(format!("PBE-SHA1-3DES with {iterations} iterations"));
        let few = i32::try_from(iterations).ok().filter(|_| (1..=ITERATIONS_LIMIT).contains(&iterations));
        Ok(Some(Self { salt, iterations: few.ok_or_else(too_many)?, data: info.data }))
    }

    /// Decrypts the key.
    ///
    /// # Errors
    /// Returns an error if it is damaged, or the passphrase is wrong.
    pub(super) fn decrypt(&self, passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        // UTF-16 with a zero at the end (RFC 7292 § B.1).
        let units = passphrase.text().encode_utf16().chain([0]);
        let text = Zeroizing::new(units.flat_map(u16::to_be_bytes).collect::<Vec<u8>>());
        let cipher = BlockCipher::TripleDes;
        let derive = |what, length| Zeroizing::new(derive_key::<Sha1>(&text, self.salt, what, self.iterations, length));
        let key = derive(Pkcs12KeyType::EncryptionKey, cipher.key_length());
        let iv = derive(Pkcs12KeyType::Iv, cipher.block_length());
        cipher.decrypt(&key, &iv, self.data)
    }
}
