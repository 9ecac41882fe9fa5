//! Reads encrypted keys, and writes them as PKCS#8 (RFC 5958 § 3, RFC 8018 PBES2).

mod block_cipher;
mod headers;
mod info;
mod pkcs12;

use std::fmt;

use pkcs8::der::Decode;
use pkcs8::pkcs5::pbes2;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use self::info::Info;
use self::pkcs12::Pkcs12;
use super::key_error::KeyError;
use super::passphrase::Passphrase;
use super::pem::{self, EncryptedKey, KeyForm};

/// PKCS#8 encryption as `openssl pkey` reads it (RFC 8018 PBES2, RFC 7914 scrypt): N = 2^14, r = 8, p = 5, AES-256-CBC.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 5;
/// The limit of scrypt's memory, in bytes (128 · N · r). clusterctl never writes keys above it, and opening one would
/// take too long. The same limit applies to the number of passes.
const SCRYPT_MEMORY_LIMIT: u64 = 1 << 30;
const SCRYPT_P_LIMIT: u64 = 64;
/// More iterations than any tool uses; each million takes about half a second.
const ITERATIONS_LIMIT: u64 = 5_000_000;

/// Decrypts a private key, and returns it with its form.
///
/// # Errors
/// Returns an error if it is damaged, encrypted in a way that is not read, or the passphrase is wrong or missing.
pub(super) fn decrypt(
    key: &EncryptedKey,
    passphrase: Option<&Passphrase>,
) -> Result<(KeyForm, Zeroizing<Vec<u8>>), KeyError> {
    match key {
        EncryptedKey::WithHeaders(key) => Ok((key.form, headers::decrypt(key, passphrase)?)),
        EncryptedKey::Pkcs8(der) => {
            let plain = decrypt_pkcs8(der, passphrase)?;
            // A wrong passphrase appears as bad padding, or as plaintext that is not a key.
            PrivateKeyInfoRef::from_der(&plain).map_err(|_| KeyError::WrongPassphrase)?;
            Ok((KeyForm::Pkcs8, plain))
        }
    }
}

/// Decrypts an EncryptedPrivateKeyInfo, DER.
fn decrypt_pkcs8(der: &[u8], passphrase: Option<&Passphrase>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let any = Info::read(der).ok_or(KeyError::Damaged)?;
    if let Some(pkcs12) = Pkcs12::of(&any)? {
        return pkcs12.decrypt(passphrase.ok_or(KeyError::PassphraseNeeded)?);
    }
    let not_read = || KeyError::Encryption(any.encryption());
    let info = EncryptedPrivateKeyInfoRef::from_der(der).map_err(|_| not_read())?;
    check_cost(info.encryption_algorithm.pbes2().ok_or_else(not_read)?)?;
    let passphrase = passphrase.ok_or(KeyError::PassphraseNeeded)?;
    let plain = info.decrypt(passphrase.expose()).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::DecryptFailed) | pkcs8::Error::Asn1(_) => {
            KeyError::WrongPassphrase
        }
        _ => not_read(),
    })?;
    Ok(Zeroizing::new(plain.as_bytes().to_vec()))
}

/// Refuses a key derivation that would take too long.
fn check_cost(scheme: &pbes2::Parameters) -> Result<(), KeyError> {
    if let pbes2::Kdf::Scrypt(scrypt) = &scheme.kdf {
        let (n, r, p) = (scrypt.cost_parameter, u64::from(scrypt.block_size), u64::from(scrypt.parallelization));
        // N must be a power of two above 1 (RFC 7914 § 2).
        let is_one = n.is_power_of_two() && n > 1 && r > 0 && p > 0;
        let memory = n.checked_mul(r).and_then(|blocks| blocks.checked_mul(128));
        if !is_one || p > SCRYPT_P_LIMIT || memory.is_none_or(|memory| memory > SCRYPT_MEMORY_LIMIT) {
            return Err(KeyError::Encryption(format!("scrypt with N = {n}, r = {r}, p = {p}")));
        }
    }
    if let pbes2::Kdf::Pbkdf2(pbkdf2) = &scheme.kdf
        && u64::from(pbkdf2.iteration_count) > ITERATIONS_LIMIT
    {
        return Err(KeyError::Encryption(format!("PBKDF2 with {} iterations", pbkdf2.iteration_count)));
    }
    Ok(())
}

/// Returns PKCS#8 as PEM, encrypted with `passphrase`.
///
/// # Errors
/// Returns an error if the operating system provides no random numbers.
pub(super) fn encrypt(pkcs8: &[u8], passphrase: &Passphrase) -> Result<String, KeyError> {
    let rng = SystemRandom::new();
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    rng.fill(&mut salt).and_then(|()| rng.fill(&mut iv)).map_err(|_| KeyError::NoRandomness)?;
    let failed = |error: &dyn fmt::Display| KeyError::Encryption(error.to_string());
    let cost = pkcs8::pkcs5::scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).map_err(|error| failed(&error))?;
    let scheme = pbes2::Parameters::generate_scrypt_aes256cbc(cost, &salt, iv).map_err(|error| failed(&error))?;
    let info = PrivateKeyInfoRef::from_der(pkcs8).map_err(|_| KeyError::Damaged)?;
    let encrypted = info.encrypt_with_params(scheme, passphrase.expose()).map_err(|error| failed(&error))?;
    Ok(pem::write_encrypted_key(encrypted.as_bytes()))
}
