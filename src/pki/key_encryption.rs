//! Reads and writes encrypted PKCS#8 (RFC 5958 § 3, RFC 8018 PBES2).

use std::fmt;

use pkcs8::der::Decode;
use pkcs8::pkcs5::pbes2;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::key_error::KeyError;
use super::passphrase::Passphrase;
use super::pem;

/// PKCS#8 encryption as `openssl pkey` reads it (RFC 8018 PBES2, RFC 7914 scrypt): N = 2^14, r = 8, p = 5, AES-256-CBC.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 5;
/// The limit of scrypt's memory, in bytes (128 · N · r). clusterctl never writes keys above it, and opening one would
/// take too long. The same limit applies to the number of passes.
const SCRYPT_MEMORY_LIMIT: u64 = 1 << 30;
const SCRYPT_P_LIMIT: u64 = 64;
/// More iterations than any tool uses; each million takes about half a second.
const PBKDF2_LIMIT: u64 = 5_000_000;

/// Decrypts an EncryptedPrivateKeyInfo, DER, and returns PKCS#8 of a key of any kind.
///
/// # Errors
/// Returns an error if it is damaged, encrypted in a way that is not read, or the passphrase is wrong.
pub(super) fn decrypt(der: &[u8], passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let info = EncryptedPrivateKeyInfoRef::from_der(der)
        .map_err(|_| obsolete(der).map_or(KeyError::Damaged, |name| KeyError::Encryption(name.to_owned())))?;
    let scheme = info.encryption_algorithm.pbes2();
    let scheme = scheme.ok_or_else(|| KeyError::Encryption("PBES1".to_owned()))?;
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
        && u64::from(pbkdf2.iteration_count) > PBKDF2_LIMIT
    {
        return Err(KeyError::Encryption(format!("PBKDF2 with {} iterations", pbkdf2.iteration_count)));
    }
    let plain = info.decrypt(passphrase.expose()).map_err(|error| match error {
        // A wrong passphrase appears as bad padding, or as plaintext that is not a key.
        pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::DecryptFailed) | pkcs8::Error::Asn1(_) => {
            KeyError::WrongPassphrase
        }
        other => KeyError::Encryption(other.to_string()),
    })?;
    let plain = Zeroizing::new(plain.as_bytes().to_vec());
    PrivateKeyInfoRef::from_der(&plain).map_err(|_| KeyError::WrongPassphrase)?;
    Ok(plain)
}

/// The encryptions of old tools: the OID in DER without its last numbers, and the name.
const OBSOLETE: [(&[u8], &str); 5] = [
    // RFC 8018 § B.2.2, § B.2.1, § B.2.3.
    (&[0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x07], "3DES"),
    (&[0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x07], "DES"),
    (&[0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x02], "RC2"),
    // pkcs-12PbeIds (RFC 7292 § C).
    (&[0x06, 0x0a, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01], "PBES1 of PKCS#12, with 3DES or RC2"),
    // PBES1 (RFC 8018 § A.3); PBES2 is another number of this arc, and is read.
    (&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05], "PBES1, with DES or RC2"),
];
/// The algorithm precedes the key, whose bytes are arbitrary.
const ALGORITHM: usize = 128;

/// Returns the name of the encryption of a key that is not read.
fn obsolete(der: &[u8]) -> Option<&'static str> {
    let algorithm = &der[..der.len().min(ALGORITHM)];
    let is_in = |oid: &[u8]| algorithm.windows(oid.len()).any(|window| window == oid);
    OBSOLETE.iter().find(|(oid, _)| der.first() == Some(&0x30) && is_in(oid)).map(|(_, name)| *name)
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
