//! The header lines of keys that OpenSSL encrypted before PKCS#8 (RFC 1421 § 4.6).

use super::KeyForm;

/// A private key that is encrypted in the form that its header lines name.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyWithHeaders {
    /// The form of the key after decryption.
    pub form: KeyForm,
    /// The name of the cipher, in capitals.
    pub cipher: String,
    /// The initialization vector.
    pub iv: Vec<u8>,
    /// The encrypted key.
    pub data: Vec<u8>,
}

/// Faults of the header lines of an encrypted key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// It has no `DEK-Info`, or several.
    #[error("one line DEK-Info is needed")]
    NotOneDekInfo,
    /// The cipher's name has characters that none has, or is missing.
    #[error("DEK-Info names no cipher")]
    Cipher,
    /// The initialization vector is missing, or not hexadecimal.
    #[error("the initialization vector in DEK-Info is missing, or not hexadecimal")]
    InitializationVector,
}

/// Longer names than any cipher's are not shown.
const LONGEST_NAME: usize = 32;

/// Returns true if the header lines say that the section is encrypted.
pub(super) fn is_encrypted(headers: &[&[u8]]) -> bool {
    values(headers, "Proc-Type").any(|value| value.split(',').any(|part| part.trim() == "ENCRYPTED"))
}

/// Returns the cipher and the initialization vector.
pub(super) fn encryption(headers: &[&[u8]]) -> Result<(String, Vec<u8>), HeaderFault> {
    let mut infos = values(headers, "DEK-Info");
    let (Some(info), None) = (infos.next(), infos.next()) else { return Err(HeaderFault::NotOneDekInfo) };
    let (cipher, iv) = info.split_once(',').unwrap_or((info, ""));
    let cipher = cipher.trim().to_ascii_uppercase();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if cipher.is_empty() || cipher.len() > LONGEST_NAME || !cipher.chars().all(is_name) {
        return Err(HeaderFault::Cipher);
    }
    Ok((cipher, hexadecimal(iv.trim()).ok_or(HeaderFault::InitializationVector)?))
}

/// Returns the values of the header lines with this name.
fn values<'a>(headers: &[&'a [u8]], name: &str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter_map(move |line| {
        let (found, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    })
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
