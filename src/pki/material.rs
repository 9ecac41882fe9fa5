//! Reads the content of a file in any of the formats that other tools write: PEM with older labels, DER, PKCS#7,
//! OpenSSL's trusted certificates. Files of the cluster are only read by [`super::pem`], which is as strict as
//! Kubernetes.

use x509_parser::asn1_rs::{Any, Class, FromDer, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::revocation_list::CertificateRevocationList;
use zeroize::Zeroizing;

use super::pem::{self, EncryptedKey, Item, KeyForm, PemError, Secret};

/// An item found in a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The item.
    pub item: Item,
    /// A remark about how Kubernetes treats its encoding, if that is unexpected.
    pub remark: Option<&'static str>,
}

/// Errors of reading key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaterialError {
    /// The PEM cannot be read.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A byte order mark hides the first section.
    #[error("it begins with a byte order mark, so that Kubernetes finds no certificate in it")]
    ByteOrderMark,
    /// PKCS#12, which needs a passphrase.
    #[error("it is PKCS#12; write what is in it as PEM first: openssl pkcs12 -in FILE -nokeys")]
    Pkcs12,
    /// PKCS#7 without a certificate, or damaged.
    #[error("there is no certificate in its PKCS#7, or it is damaged")]
    Pkcs7,
    /// There are other things in it, such as a key.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// It is neither PEM nor DER of a known kind.
    #[error("it is neither PEM nor DER of a supported kind")]
    Unknown,
}

/// Labels besides those of [`pem::read_known`], and what they mean.
const OTHER_LABELS: [(&str, Label); 6] = [
    ("NEW CERTIFICATE REQUEST", Label::Request),
    ("X509 CERTIFICATE", Label::Certificate("Kubernetes reads no section X509 CERTIFICATE; it is called CERTIFICATE")),
    ("TRUSTED CERTIFICATE", Label::Certificate(TRUSTED)),
    ("PKCS7", Label::Pkcs7),
    ("PKCS #7 SIGNED DATA", Label::Pkcs7),
    ("CMS", Label::Pkcs7),
];
const TRUSTED: &str = "Kubernetes reads no section TRUSTED CERTIFICATE: write it with openssl x509 without -trustout";
const BUNDLED: &str = "Kubernetes reads no PKCS#7: write it with openssl pkcs7 -print_certs";

#[derive(Clone, Copy)]
enum Label {
    Request,
    Certificate(&'static str),
    Pkcs7,
}

/// Returns all items of known kinds in a file, in PEM or DER.
///
/// # Errors
/// Returns an error if it is damaged or of an unknown kind.
pub fn read(bytes: &[u8]) -> Result<Vec<Found>, MaterialError> {
    if !is_pem(bytes) {
        return of_der(bytes);
    }
    if bytes.starts_with(b"\xef\xbb\xbf-----BEGIN") {
        return Err(MaterialError::ByteOrderMark);
    }
    let others = of_other_labels(bytes)?;
    let plain = |item| Found { item, remark: None };
    match pem::read_known(bytes) {
        Ok(items) => Ok(items.into_iter().map(plain).chain(others).collect()),
        Err(PemError::Others(_) | PemError::Nothing) if !others.is_empty() => Ok(others),
        Err(error) => Err(error.into()),
    }
}

/// Returns the items of a file that is imported: PEM that is as strict as Kubernetes, or DER.
///
/// # Errors
/// Returns an error if it is damaged or of an unknown kind.
pub(super) fn read_strictly(bytes: &[u8]) -> Result<Vec<Item>, MaterialError> {
    if is_pem(bytes) {
        return Ok(pem::read_all(bytes)?);
    }
    Ok(of_der(bytes)?.into_iter().map(|found| found.item).collect())
}

/// Returns the certificates of a file that is imported, in order.
///
/// # Errors
/// Returns an error if it is damaged, of an unknown kind, or has no certificate.
pub fn certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, MaterialError> {
    let items = read_strictly(bytes)?.into_iter();
    let ders: Vec<_> = items
        .filter_map(|item| match item {
            Item::Certificate(der) => Some(der),
            _ => None,
        })
        .collect();
    if ders.is_empty() { Err(MaterialError::NoCertificate) } else { Ok(ders) }
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(10).any(|window| window == b"-----BEGIN")
}

/// Returns the name of a well-known kind of file that is not read here, by its first bytes.
#[must_use]
pub fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    let starts = |beginnings: &[&[u8]]| beginnings.iter().any(|beginning| bytes.starts_with(beginning));
    let ssh = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "---- BEGIN SSH2 PUBLIC KEY"].map(str::as_bytes);
    Some(if bytes.iter().all(u8::is_ascii_whitespace) {
        "it is empty"
    } else if starts(&[b"\xff\xfe", b"\xfe\xff"]) {
        "it is UTF-16; write it as UTF-8, which is what Kubernetes reads"
    } else if starts(&ssh) {
        "it is an SSH public key, which Kubernetes does not use; ssh-keygen -l -f FILE describes it"
    } else if starts(&[b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce"]) {
        "it is a Java keystore; write it as PKCS#12 first: keytool -importkeystore -deststoretype pkcs12"
    } else if starts(&[b"SQLite format 3\0"]) {
        "it is an SQLite database; sqlite3 FILE .dump prints a ledger"
    } else if starts(&[b"AGE-SECRET-KEY-", b"# created: "])
        && bytes.windows(15).any(|window| window == b"AGE-SECRET-KEY-")
    {
        "it is an age identity, which decrypts encrypted bundles; age-keygen -y FILE prints its recipient"
    } else if starts(&[b"MII"]) {
        "it is base64 without PEM's lines -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----"
    } else if starts(&[b"\x30\x80", b"\x30\x81", b"\x30\x82", b"\x30\x83"]) {
        "it begins like DER, and is truncated, damaged, or of an unsupported kind"
    } else {
        return None;
    })
}

fn of_other_labels(bytes: &[u8]) -> Result<Vec<Found>, MaterialError> {
    let text = String::from_utf8_lossy(bytes);
    let mut found = Vec::new();
    for (label, meaning) in OTHER_LABELS {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        let mut rest = &*text;
        while let Some(start) = rest.find(&begin) {
            let body = &rest[start + begin.len()..];
            let Some(stop) = body.find(&end) else {
                return Err(PemError::Damaged(format!("the section {label} has no end line")).into());
            };
            rest = &body[stop + end.len()..];
            let renamed = format!("-----BEGIN CERTIFICATE-----{}-----END CERTIFICATE-----\n", &body[..stop]);
            for der in pem::certificates(renamed.as_bytes())? {
                match meaning {
                    Label::Request => found.push(Found { item: Item::Csr(der), remark: None }),
                    Label::Certificate(remark) => {
                        found.push(Found { item: Item::Certificate(first_of(&der)), remark: Some(remark) });
                    }
                    Label::Pkcs7 => found.extend(of_pkcs7(&der)?),
                }
            }
        }
    }
    Ok(found)
}

/// Returns the first DER value. In a trusted certificate, OpenSSL's settings follow it.
fn first_of(der: &[u8]) -> Vec<u8> {
    let rest = Any::from_der(der).map_or(0, |(rest, _)| rest.len());
    der[..der.len() - rest].to_vec()
}

fn of_der(der: &[u8]) -> Result<Vec<Found>, MaterialError> {
    let item = match form(der).ok_or(MaterialError::Unknown)? {
        Form::Pkcs12 => return Err(MaterialError::Pkcs12),
        Form::Pkcs7 => return of_pkcs7(der),
        Form::Key(form) => Item::Key(form, Secret(Zeroizing::new(der.to_vec()))),
        Form::EncryptedKey => Item::EncryptedKey(EncryptedKey::Pkcs8(der.to_vec())),
        Form::PublicKey => Item::PublicKey(der.to_vec()),
        Form::Signed if X509Certificate::from_der(der).is_ok() => Item::Certificate(der.to_vec()),
        Form::Signed if CertificateRevocationList::from_der(der).is_ok() => Item::Crl(der.to_vec()),
        Form::Signed if X509CertificationRequest::from_der(der).is_ok() => Item::Csr(der.to_vec()),
        Form::Signed => Item::Certificate(der.to_vec()),
    };
    let remark = matches!(item, Item::Certificate(_) | Item::Key(..))
        .then_some("it is DER: Kubernetes only reads certificates and keys from files as PEM");
    Ok(vec![Found { item, remark }])
}

/// The kind of a DER value, by its outermost structure.
enum Form {
    /// A certificate, a request or a list (X.509's SIGNED).
    Signed,
    Key(KeyForm),
    EncryptedKey,
    PublicKey,
    Pkcs7,
    Pkcs12,
}

fn form(der: &[u8]) -> Option<Form> {
    let (rest, outer) = Any::from_der(der).ok()?;
    if !rest.is_empty() || outer.tag() != Tag::Sequence {
        return None;
    }
    let parts = parts_of(outer.data)?;
    let tags: Vec<Tag> = parts.iter().take(3).map(Any::tag).collect();
    let version = parts.first().filter(|part| part.tag() == Tag::Integer).map(|part| part.data);
    Some(match (tags.as_slice(), version) {
        ([Tag::Sequence, Tag::Sequence, Tag::BitString], _) => Form::Signed,
        ([Tag::Integer, Tag::Sequence, Tag::OctetString], Some([0 | 1])) => Form::Key(KeyForm::Pkcs8),
        ([Tag::Integer, Tag::OctetString, ..], Some([1])) => Form::Key(KeyForm::Sec1),
        ([Tag::Integer, Tag::Integer, Tag::Integer], Some([0 | 1])) => Form::Key(KeyForm::Pkcs1),
        ([Tag::Integer, Tag::Sequence, ..], Some([3])) => Form::Pkcs12,
        ([Tag::Sequence, Tag::OctetString], _) => Form::EncryptedKey,
        ([Tag::Sequence, Tag::BitString], _) => Form::PublicKey,
        ([Tag::Oid, ..], _) => Form::Pkcs7,
        _ => return None,
    })
}

/// Returns consecutive values.
fn parts_of(mut bytes: &[u8]) -> Option<Vec<Any<'_>>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let (rest, part) = Any::from_der(bytes).ok()?;
        parts.push(part);
        bytes = rest;
    }
    Some(parts)
}

/// Returns the certificates of a PKCS#7 file (RFC 2315 § 9.1: ContentInfo, SignedData, `certificates [0]`).
fn of_pkcs7(der: &[u8]) -> Result<Vec<Found>, MaterialError> {
    let certificates = certificates_of_pkcs7(der).filter(|found| !found.is_empty()).ok_or(MaterialError::Pkcs7)?;
    let found = |der| Found { item: Item::Certificate(der), remark: Some(BUNDLED) };
    Ok(certificates.into_iter().map(found).collect())
}

fn certificates_of_pkcs7(der: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (_, info) = Any::from_der(der).ok()?;
    let content = parts_of(info.data)?.into_iter().find(|part| part.class() == Class::ContextSpecific)?;
    let (_, signed) = Any::from_der(content.data).ok()?;
    let set = parts_of(signed.data)?
        .into_iter()
        .find(|part| part.class() == Class::ContextSpecific && part.tag() == Tag(0))?;
    let mut rest = set.data;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let one = first_of(rest);
        rest = rest.get(one.len()..).filter(|_| !one.is_empty())?;
        found.push(one);
    }
    Some(found)
}
