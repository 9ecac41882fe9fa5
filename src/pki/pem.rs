//! Reads and writes PEM (RFC 7468). It is read by the rules of Go's `encoding/pem`, which Kubernetes uses: everything
//! that Go reads is read, and a section that Go would skip silently is an error with its line. rustls-pemfile decodes
//! each section. It misses sections that are indented, truncated, or without a line break between them, so the bounds
//! of sections are found here first.

mod headers;

use base64ct::{Base64, Encoding};
use pkcs8::der::pem::{LineEnding, encode_string};
use rustls_pemfile::Item as Decoded;
use zeroize::Zeroizing;

pub use self::headers::{HeaderFault, KeyWithHeaders};

/// One section of a PEM file, as DER.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// `CERTIFICATE`
    Certificate(Vec<u8>),
    /// An unencrypted private key.
    Key(KeyForm, Secret),
    /// An encrypted private key.
    EncryptedKey(EncryptedKey),
    /// `CERTIFICATE REQUEST` (RFC 2986)
    Csr(Vec<u8>),
    /// `X509 CRL` (RFC 5280)
    Crl(Vec<u8>),
    /// `PUBLIC KEY` (RFC 5280 SubjectPublicKeyInfo)
    PublicKey(Vec<u8>),
}

/// An encrypted private key.
#[derive(Debug, PartialEq, Eq)]
pub enum EncryptedKey {
    /// `ENCRYPTED PRIVATE KEY` (PKCS#8, RFC 5958), as DER.
    Pkcs8(Vec<u8>),
    /// A key in OpenSSL's form before PKCS#8, whose header lines name the encryption (RFC 1421).
    WithHeaders(KeyWithHeaders),
}

/// The encoding of a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// `PRIVATE KEY` (RFC 5958)
    Pkcs8,
    /// `EC PRIVATE KEY` (RFC 5915)
    Sec1,
    /// `RSA PRIVATE KEY` (RFC 8017)
    Pkcs1,
}

impl KeyForm {
    fn of_label(label: &str) -> Option<Self> {
        match label {
            "PRIVATE KEY" => Some(Self::Pkcs8),
            "EC PRIVATE KEY" => Some(Self::Sec1),
            "RSA PRIVATE KEY" => Some(Self::Pkcs1),
            _ => None,
        }
    }
}

/// A key's bytes: wiped on drop, never shown.
#[derive(PartialEq, Eq)]
pub struct Secret(pub(super) Zeroizing<Vec<u8>>);

impl Secret {
    /// Returns the DER, for a TLS client that signs with it.
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

/// Errors of parsing PEM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// A section has no end, or its base64 is damaged.
    #[error("its PEM is damaged: {0}")]
    Damaged(String),
    /// A key in OpenSSL's form before PKCS#8 has header lines that do not name its encryption (RFC 1421).
    #[error("the header lines of the encrypted key in line {line} are damaged: {fault}")]
    Headers {
        /// The first line of the section.
        line: usize,
        /// What is wrong.
        fault: HeaderFault,
    },
    /// The file has only sections of kinds that are not read here.
    #[error("there is a section {0:?} in it, and nothing of a supported kind")]
    Others(String),
    /// Text without a PEM section.
    #[error("there is no PEM section in it")]
    Nothing,
}

const ENCRYPTED_KEY: &str = "ENCRYPTED PRIVATE KEY";
const CERTIFICATE: &str = "CERTIFICATE";
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &str = "-----";
/// The labels whose sections rustls-pemfile decodes.
const KNOWN: [&str; 7] =
    [CERTIFICATE, "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "CERTIFICATE REQUEST", "X509 CRL", "PUBLIC KEY"];

/// Returns every section of a known kind, in order, encrypted keys last. Text between sections is ignored (RFC 7468 §
/// 2). A section that Go's `encoding/pem` would refuse or skip silently is an error.
///
/// # Errors
/// Returns an error if a section is damaged, or there is none.
pub fn read_all(text: &[u8]) -> Result<Vec<Item>, PemError> {
    sections(text, &mut |section| section.is_no_other_certificate())?;
    read_known(text)
}

/// Like [`read_all`], but ignores certificates with labels that Kubernetes does not read.
pub(super) fn read_known(text: &[u8]) -> Result<Vec<Item>, PemError> {
    let (mut items, mut encrypted) = (Vec::new(), Vec::new());
    let mut first = None;
    sections(text, &mut |section| {
        first.get_or_insert_with(|| section.label.clone());
        match section.item()? {
            Some(item @ Item::EncryptedKey(_)) => encrypted.push(item),
            Some(item) => items.push(item),
            None => {}
        }
        Ok(())
    })?;
    items.append(&mut encrypted);
    if items.is_empty() { Err(first.map_or(PemError::Nothing, PemError::Others)) } else { Ok(items) }
}

/// A section of a file.
struct Section<'a> {
    label: String,
    /// The number of its first line, from 1.
    line: usize,
    /// The lines between its first line and its last one.
    body: Vec<&'a [u8]>,
}

fn damaged(what: impl Into<String>) -> PemError {
    PemError::Damaged(what.into())
}

/// Finds sections as Go does: their first and last lines must contain nothing else except trailing blanks.
fn sections<'a>(text: &'a [u8], found: &mut impl FnMut(Section<'a>) -> Result<(), PemError>) -> Result<(), PemError> {
    let mut open: Option<Section<'a>> = None;
    for (at, line) in text.split(|octet| *octet == b'\n').enumerate() {
        let number = at + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // Most lines are base64, and need no further check.
        if !line.contains(&b'-') {
            if let Some(section) = &mut open {
                section.body.push(line);
            }
            continue;
        }
        let line = trimmed_at_the_end(line);
        if let Some(rest) = line.strip_prefix(BEGIN) {
            if let Some(section) = &open {
                let start = section.line;
                return Err(damaged(format!(
                    "the section of line {start} does not end before another begins in line {number}"
                )));
            }
            open = Some(Section { label: label(rest, number)?, line: number, body: Vec::new() });
        } else if let Some(rest) = line.strip_prefix(END) {
            let Some(section) = open.take() else {
                return Err(damaged(format!("line {number} ends a section that no line begins")));
            };
            ends(&section.label, rest, number)?;
            found(section)?;
        } else if contains(line, BEGIN) || contains(line, END) {
            if open.is_some() || is_meant_to_begin(line) {
                let what = "and nothing may precede that in its line (a byte order mark, blanks?)";
                return Err(damaged(format!("line {number} begins or ends a section, {what}")));
            }
        } else if let Some(section) = &mut open {
            section.body.push(line);
        }
    }
    match open {
        Some(section) => Err(damaged(format!("the section that begins in line {} has no end line", section.line))),
        None => Ok(()),
    }
}

/// Returns the label of a section whose first line continues with `rest`.
fn label(rest: &[u8], line: usize) -> Result<String, PemError> {
    if rest.contains(&b'\r') {
        return Err(damaged(format!("line {line} ends with a carriage return alone: use line feeds")));
    }
    let text = std::str::from_utf8(rest).ok().and_then(|rest| rest.strip_suffix(DASHES));
    let label = text.filter(|label| !label.contains(DASHES));
    label.map(str::to_owned).ok_or_else(|| damaged(format!("a section begins with a malformed line, line {line}")))
}

/// Checks the last line of a section, which continues with `rest`.
fn ends(label: &str, rest: &[u8], line: usize) -> Result<(), PemError> {
    let after = rest.strip_prefix(label.as_bytes()).and_then(|rest| rest.strip_prefix(DASHES.as_bytes()));
    match after {
        Some([]) => Ok(()),
        Some(after) if contains(after, BEGIN) => {
            Err(damaged(format!("line {line} ends one section and begins another: put a line break between")))
        }
        Some(_) => Err(damaged(format!("line {line} ends a section, and something follows in the same line"))),
        None => Err(damaged(format!("line {line} does not end the open section {label:?}"))),
    }
}

/// Returns true if a line outside of sections was meant to begin a section, unlike a comment that mentions one.
fn is_meant_to_begin(line: &[u8]) -> bool {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let line = line.trim_ascii_start();
    line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii_start().starts_with(BEGIN)
}

fn contains(line: &[u8], what: &[u8]) -> bool {
    line.windows(what.len()).any(|window| window == what)
}

fn trimmed_at_the_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|octet| !matches!(octet, b' ' | b'\t'));
    &line[..end.map_or(0, |end| end + 1)]
}

impl Section<'_> {
    /// Refuses a certificate with another label, which Kubernetes would ignore.
    fn is_no_other_certificate(&self) -> Result<(), PemError> {
        let Self { label, line, .. } = self;
        if !matches!(label.as_str(), "X509 CERTIFICATE" | "TRUSTED CERTIFICATE") {
            return Ok(());
        }
        let remedy = "which Kubernetes ignores: openssl x509 converts it to a CERTIFICATE";
        Err(damaged(format!("line {line} begins a {label}, {remedy}")))
    }

    /// Returns the content, if it is of a kind that is read here.
    fn item(&self) -> Result<Option<Item>, PemError> {
        let headers = self.body.iter().take_while(|line| line.contains(&b':')).count();
        let (line, label) = (self.line, self.label.as_str());
        if label == CERTIFICATE && headers > 0 {
            let what = format!("the certificate of line {line} has header lines, which make Kubernetes ignore it");
            return Err(damaged(what));
        }
        let decoded =
            || Base64::decode_vec(&String::from_utf8_lossy(&self.base64(headers)?)).map_err(|_| self.broken());
        if label == ENCRYPTED_KEY {
            return Ok(Some(Item::EncryptedKey(EncryptedKey::Pkcs8(decoded()?))));
        }
        if let Some(form) = KeyForm::of_label(label).filter(|_| headers::is_encrypted(&self.body[..headers])) {
            let damaged = |fault| PemError::Headers { line, fault };
            let (cipher, iv) = headers::encryption(&self.body[..headers]).map_err(damaged)?;
            let key = KeyWithHeaders { form, cipher, iv, data: decoded()? };
            return Ok(Some(Item::EncryptedKey(EncryptedKey::WithHeaders(key))));
        }
        if !KNOWN.contains(&label) {
            return Ok(None);
        }
        let text =
            [BEGIN, label.as_bytes(), b"-----\n", &self.base64(headers)?, b"\n", END, label.as_bytes(), b"-----\n"];
        let text = Zeroizing::new(text.concat());
        let read = rustls_pemfile::read_one_from_slice(&text).map_err(|_| self.broken())?;
        let secret = |form, der: &[u8]| Item::Key(form, Secret(Zeroizing::new(der.to_vec())));
        Ok(match read.map(|(section, _)| section) {
            Some(Decoded::X509Certificate(der)) => Some(Item::Certificate(der.to_vec())),
            Some(Decoded::Pkcs8Key(der)) => Some(secret(KeyForm::Pkcs8, der.secret_pkcs8_der())),
            Some(Decoded::Sec1Key(der)) => Some(secret(KeyForm::Sec1, der.secret_sec1_der())),
            Some(Decoded::Pkcs1Key(der)) => Some(secret(KeyForm::Pkcs1, der.secret_pkcs1_der())),
            Some(Decoded::Csr(der)) => Some(Item::Csr(der.to_vec())),
            Some(Decoded::Crl(der)) => Some(Item::Crl(der.to_vec())),
            Some(Decoded::SubjectPublicKeyInfo(der)) => Some(Item::PublicKey(der.to_vec())),
            _ => None,
        })
    }

    /// Returns the base64 after the header lines, without blanks and line breaks. Checks the padding, which Go requires
    /// and the library does not.
    fn base64(&self, headers: usize) -> Result<Zeroizing<Vec<u8>>, PemError> {
        let length = self.body.iter().map(|line| line.len()).sum();
        let mut octets = Zeroizing::new(Vec::with_capacity(length));
        for line in &self.body[headers..] {
            octets.extend(line.iter().filter(|octet| !matches!(octet, b' ' | b'\t' | b'\r')));
        }
        let digits = octets.iter().rposition(|octet| *octet != b'=').map_or(0, |last| last + 1);
        let is_padded = octets.len().is_multiple_of(4) && octets.len() - digits <= 2;
        if is_padded && !octets[..digits].contains(&b'=') { Ok(octets) } else { Err(self.broken()) }
    }

    fn broken(&self) -> PemError {
        damaged(format!("the base64 of the section of line {} is not valid", self.line))
    }
}

/// The certificates of a PEM file, in order.
///
/// # Errors
/// Returns an error if it is damaged or holds none.
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

/// Returns a certificate as PEM, with LF line endings.
#[must_use]
pub fn write_certificate(der: &[u8]) -> String {
    encode("CERTIFICATE", der)
}

/// Returns a SubjectPublicKeyInfo as PEM (RFC 7468 § 13), with LF line endings.
#[must_use]
pub fn write_public_key(spki: &[u8]) -> String {
    encode("PUBLIC KEY", spki)
}

/// Returns a certificate signing request as PEM (RFC 7468 § 7), with LF line endings.
#[must_use]
pub fn write_request(der: &[u8]) -> String {
    encode("CERTIFICATE REQUEST", der)
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
    // Labels are constants and lengths fit into memory, so encoding cannot fail.
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
        assert!(matches!(read_all(cut), Err(PemError::Damaged(_))));
        let encrypted = write_encrypted_key(b"three");
        let key = || Item::EncryptedKey(EncryptedKey::Pkcs8(b"three".to_vec()));
        assert_eq!(read_all(encrypted.as_bytes()), Ok(vec![key()]));
        let several = format!("{encrypted}{}words\n{encrypted}", write_certificate(b"one"));
        assert_eq!(read_all(several.as_bytes()), Ok(vec![Item::Certificate(b"one".to_vec()), key(), key()]));
        assert!(matches!(read_all(&encrypted.as_bytes()[..40]), Err(PemError::Damaged(_))));
    }

    /// Go 1.27's `encoding/pem` finds both certificates in each of these.
    #[test]
    fn pem_that_go_reads_is_read() {
        let (one, two) = (write_certificate(b"one"), write_certificate(b"two"));
        let both = format!("{one}{two}");
        let parameters = encode("EC PARAMETERS", b"other");
        let texts = [
            both.clone(),
            both.replace('\n', "\r\n"),
            both.replace('\n', " \t\n"),
            both.trim_end().to_owned(),
            both.replace("b25l", "b2 5\n\n\tl"),
            format!("words: of all -----kinds\n# -----BEGIN CERTIFICATE----- is what comes\n{one}---\n{two} \nwords"),
            format!("{parameters}{both}"),
            format!("\n\n{one}\n\n{two}\n\n"),
        ];
        for text in texts {
            let read = certificates(text.as_bytes());
            assert_eq!(read, Ok(vec![b"one".to_vec(), b"two".to_vec()]), "{text}");
        }
        // Unused trailing bits may be set.
        let key = "-----BEGIN PRIVATE KEY-----\nSome: header\n\nb25lIQ==\n-----END PRIVATE KEY-----\n";
        for text in [key.to_owned(), key.replace("IQ==", "IR==")] {
            assert!(matches!(read_all(text.as_bytes()).as_deref(), Ok([Item::Key(KeyForm::Pkcs8, _)])), "{text}");
        }
    }

    /// Go 1.27's `x509.CertPool.AppendCertsFromPEM` takes one certificate of each of these or none, and says nothing of
    /// the other.
    #[test]
    fn pem_that_go_skips_is_an_error_with_line() {
        let (one, two) = (write_certificate(b"one"), write_certificate(b"two"));
        let both = format!("{one}{two}");
        let texts = [
            (format!("{}{two}", one.trim_end()), 3),
            (both.replacen("-----\nb25l", "----\nb25l", 1), 1),
            (both.replacen("-----END", " -----END", 1), 3),
            (both.replacen("\n-----END", "-----END", 1), 2),
            (both.replacen("END CERTIFICATE", "END X509 CRL", 1), 3),
            (both.replacen("CERTIFICATE-----\n-----B", "CERTIFICATE----- words\n-----B", 1), 3),
            (both.replacen("-----END CERTIFICATE-----\n", "", 1), 1),
            (both.replacen("-----BEGIN CERTIFICATE-----\n", "", 1), 2),
            (format!("\u{feff}{both}"), 1),
            (format!("  {both}"), 1),
            (format!("{one}  {}", two.replace('\n', "\n  ")), 4),
            (both.replacen("b25l", "b25", 1), 1),
            (both.replacen("b25l", "b2!l", 1), 1),
            (both.replacen("b25l", "Some: header\n\nb25l", 1), 1),
            (both.replacen("CERTIFICATE", "TRUSTED CERTIFICATE", 2), 1),
            (both.replace('\n', "\r"), 1),
            (format!("{one}-----BEGIN CERTIFICATE-----\nb25l\n"), 4),
        ];
        for (text, line) in texts {
            let Err(PemError::Damaged(reason)) = read_all(text.as_bytes()) else { panic!("{text}") };
            assert!(reason.contains(&format!("line {line}")), "{reason}: {text}");
        }
    }

    #[test]
    fn header_lines_of_encrypted_keys_are_read() {
        let section = |headers: &str| {
            format!(
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n{headers}\nb25l\n-----END RSA PRIVATE KEY-----\n"
            )
        };
        let key = |cipher: &str, iv: &[u8]| {
            let (form, cipher) = (KeyForm::Pkcs1, cipher.to_owned());
            let key = KeyWithHeaders { form, cipher, iv: iv.to_vec(), data: b"one".to_vec() };
            Ok(vec![Item::EncryptedKey(EncryptedKey::WithHeaders(key))])
        };
        let read = |headers: &str| read_all(section(headers).as_bytes());
        assert_eq!(read("DEK-Info: AES-128-CBC,00ffA0\n"), key("AES-128-CBC", &[0, 0xff, 0xa0]));
        assert_eq!(read("DEK-Info:des-ede3-cbc, 01\n"), key("DES-EDE3-CBC", &[1]));
        for (headers, fault) in [
            ("", HeaderFault::NotOneDekInfo),
            ("DEK-Info: AES-128-CBC,00\nDEK-Info: AES-128-CBC,00\n", HeaderFault::NotOneDekInfo),
            ("DEK-Info: ,00\n", HeaderFault::Cipher),
            ("DEK-Info: \x1b[1m,00\n", HeaderFault::Cipher),
            ("DEK-Info: x\n", HeaderFault::InitializationVector),
            ("DEK-Info: AES-128-CBC,0\n", HeaderFault::InitializationVector),
            ("DEK-Info: AES-128-CBC,+1\n", HeaderFault::InitializationVector),
        ] {
            assert_eq!(read(headers), Err(PemError::Headers { line: 1, fault }), "{headers}");
        }
        // A certificate is never encrypted, and Kubernetes ignores one with header lines.
        let certificate = section("").replace("RSA PRIVATE KEY", "CERTIFICATE");
        assert!(matches!(read_all(certificate.as_bytes()), Err(PemError::Damaged(_))));
    }
}
