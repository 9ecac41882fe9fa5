//! PEM (RFC 7468), read and written. The only door to `rustls-pemfile`, which is no longer developed
//! (RUSTSEC-2025-0134): replacing it means replacing [`read_all`].

use pkcs8::der::pem::{LineEnding, encode_string};
use rustls_pemfile::Item as Section;
use zeroize::Zeroizing;

/// One section of a PEM file, as DER.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// `CERTIFICATE`
    Certificate(Vec<u8>),
    /// A private key in the clear.
    Key(KeyForm, Secret),
    /// `ENCRYPTED PRIVATE KEY` (PKCS#8, RFC 5958)
    EncryptedKey(Vec<u8>),
    /// `CERTIFICATE REQUEST` (RFC 2986)
    Csr(Vec<u8>),
    /// `X509 CRL` (RFC 5280)
    Crl(Vec<u8>),
    /// `PUBLIC KEY` (RFC 5280 SubjectPublicKeyInfo)
    PublicKey(Vec<u8>),
}

/// How a private key is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// `PRIVATE KEY` (RFC 5958)
    Pkcs8,
    /// `EC PRIVATE KEY` (RFC 5915)
    Sec1,
    /// `RSA PRIVATE KEY` (RFC 8017)
    Pkcs1,
}

/// A key's bytes: wiped on drop, never shown.
#[derive(PartialEq, Eq)]
pub struct Secret(pub(super) Zeroizing<Vec<u8>>);

impl Secret {
    /// The DER, for a TLS client that signs with it.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a file is not PEM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// A section begins and does not end, or its base64 is broken.
    #[error("its PEM is damaged: {0}")]
    Damaged(String),
    /// A key as OpenSSL encrypted it before PKCS#8 (RFC 1421's `Proc-Type` header).
    #[error("there is a key in it in OpenSSL's old encrypted form; openssl pkcs8 -topk8 writes it in one that is read")]
    OldEncryption,
    /// Sections, and none of a kind that is read here.
    #[error("there is a section {0:?} in it, and nothing that is read here")]
    Others(String),
    /// Text without a PEM section.
    #[error("there is no PEM section in it")]
    Nothing,
}

const ENCRYPTED_KEY: &str = "ENCRYPTED PRIVATE KEY";
const BEGIN: &str = "-----BEGIN ";
const OLD_ENCRYPTION: &str = "\nProc-Type: 4,ENCRYPTED";

/// Every section of `text` that we know, in order, encrypted keys last; what stands between sections is passed over (RFC 7468
/// § 2).
///
/// # Errors
/// When a section is damaged, or there is none.
pub fn read_all(text: &[u8]) -> Result<Vec<Item>, PemError> {
    let mut items = Vec::new();
    let mut rest = text;
    let damaged = |error: rustls_pemfile::Error| {
        let old = find(text, OLD_ENCRYPTION, 0).is_some();
        if old { PemError::OldEncryption } else { PemError::Damaged(describe(&error)) }
    };
    while let Some((section, after)) = rustls_pemfile::read_one_from_slice(rest).map_err(damaged)? {
        rest = after;
        let secret = |form, der: &[u8]| Item::Key(form, Secret(Zeroizing::new(der.to_vec())));
        items.push(match section {
            Section::X509Certificate(der) => Item::Certificate(der.to_vec()),
            Section::Pkcs8Key(der) => secret(KeyForm::Pkcs8, der.secret_pkcs8_der()),
            Section::Sec1Key(der) => secret(KeyForm::Sec1, der.secret_sec1_der()),
            Section::Pkcs1Key(der) => secret(KeyForm::Pkcs1, der.secret_pkcs1_der()),
            Section::Csr(der) => Item::Csr(der.to_vec()),
            Section::Crl(der) => Item::Crl(der.to_vec()),
            Section::SubjectPublicKeyInfo(der) => Item::PublicKey(der.to_vec()),
            _ => continue,
        });
    }
    items.extend(encrypted_keys(text)?);
    if items.is_empty() { Err(label_of_first(text).map_or(PemError::Nothing, PemError::Others)) } else { Ok(items) }
}

/// What the first section is called.
fn label_of_first(text: &[u8]) -> Option<String> {
    let begin = find(text, BEGIN, 0)? + BEGIN.len();
    let end = find(text, "-----", begin).filter(|end| end - begin < 64)?;
    Some(String::from_utf8_lossy(&text[begin..end]).into_owned())
}

/// Where `what` stands in `text`, from `from` on.
fn find(text: &[u8], what: &str, from: usize) -> Option<usize> {
    let (what, mut from) = (what.as_bytes(), from);
    loop {
        let rest = text.get(from..)?;
        // One octet first: comparing all at each place took a quarter of the time that reading a file's PEM takes.
        let at = rest.iter().position(|octet| *octet == what[0])?;
        if rest[at..].starts_with(what) {
            return Some(from + at);
        }
        from += at + 1;
    }
}

/// rustls-pemfile passes encrypted keys over, so that they are looked for here.
fn encrypted_keys(text: &[u8]) -> Result<Vec<Item>, PemError> {
    let (begin, end) = (format!("-----BEGIN {ENCRYPTED_KEY}-----"), format!("-----END {ENCRYPTED_KEY}-----"));
    let (mut items, mut from) = (Vec::new(), 0);
    while let Some(start) = find(text, &begin, from) {
        let unended = || PemError::Damaged("a section begins and never ends".to_owned());
        let stop = find(text, &end, start).ok_or_else(unended)? + end.len();
        let section = pkcs8::der::pem::decode_vec(&text[start..stop]);
        items.push(Item::EncryptedKey(section.map_err(|error| PemError::Damaged(error.to_string()))?.1));
        from = stop;
    }
    Ok(items)
}

fn describe(error: &rustls_pemfile::Error) -> String {
    match error {
        rustls_pemfile::Error::MissingSectionEnd { .. } => "a section begins and never ends".to_owned(),
        rustls_pemfile::Error::IllegalSectionStart { .. } => "a section begins with a malformed line".to_owned(),
        rustls_pemfile::Error::Base64Decode(reason) => format!("base64: {reason}"),
    }
}

/// The certificates of a PEM file, in order.
///
/// # Errors
/// When it is damaged or holds none.
pub fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    let items = read_all(text)?;
    let ders: Vec<_> = items
        .into_iter()
        .filter_map(|item| match item {
            Item::Certificate(der) => Some(der),
            _ => None,
        })
        .collect();
    if ders.is_empty() { Err(PemError::Nothing) } else { Ok(ders) }
}

/// A certificate as PEM, lines ended by LF.
#[must_use]
pub fn write_certificate(der: &[u8]) -> String {
    encode("CERTIFICATE", der)
}

/// A SubjectPublicKeyInfo as PEM (RFC 7468 § 13), lines ended by LF.
#[must_use]
pub fn write_public_key(spki: &[u8]) -> String {
    encode("PUBLIC KEY", spki)
}

pub(super) fn write_revocation_list(der: &[u8]) -> String {
    encode("X509 CRL", der)
}

pub(super) fn write_key(pkcs8: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(encode("PRIVATE KEY", pkcs8))
}

pub(super) fn write_encrypted_key(der: &[u8]) -> String {
    encode(ENCRYPTED_KEY, der)
}

fn encode(label: &str, der: &[u8]) -> String {
    // Labels are this module's constants and lengths fit memory: the encoder has nothing left to refuse.
    encode_string(label, LineEnding::LF, der).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_read_in_order_and_damage_is_named() {
        let two = format!("words\n{}{}", write_certificate(b"one"), encode("X509 CRL", b"two"));
        assert_eq!(read_all(two.as_bytes()), Ok(vec![Item::Certificate(b"one".to_vec()), Item::Crl(b"two".to_vec())]));
        assert_eq!(read_all(b"words"), Err(PemError::Nothing));
        let cut = &two.as_bytes()[..two.len() - 10];
        assert_eq!(read_all(cut), Err(PemError::Damaged("a section begins and never ends".into())));
        let encrypted = write_encrypted_key(b"three");
        assert_eq!(read_all(encrypted.as_bytes()), Ok(vec![Item::EncryptedKey(b"three".to_vec())]));
        let several = format!("{encrypted}{}words\n{encrypted}", write_certificate(b"one"));
        let key = || Item::EncryptedKey(b"three".to_vec());
        assert_eq!(read_all(several.as_bytes()), Ok(vec![Item::Certificate(b"one".to_vec()), key(), key()]));
        assert!(matches!(read_all(&encrypted.as_bytes()[..40]), Err(PemError::Damaged(_))));
    }
}
