//! Parses the certificates, keys, requests and CRLs of a file.

use crate::pki::certificate::{Certificate, CertificateError};
use crate::pki::crl::Crl;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::key_facts::KeyFacts;
use crate::pki::material::{self, Found, MaterialError};
use crate::pki::pem::Item;
use crate::pki::request::CertificateRequest;

/// An item of a file. A remark says how Kubernetes treats its encoding, if that is unusual.
pub enum FileItem {
    /// A certificate.
    Certificate(Box<Certificate>, Option<&'static str>),
    /// An unencrypted private key.
    Key(KeyFacts, Option<&'static str>),
    /// An encrypted private key.
    EncryptedKey,
    /// A certificate signing request.
    Request(Box<CertificateRequest>),
    /// A certificate revocation list.
    Crl(Box<Crl>),
    /// A public key.
    PublicKey(Fingerprint),
    /// An item whose DER cannot be parsed.
    Damaged {
        /// The name of its type.
        kind: &'static str,
        /// The reason.
        reason: String,
    },
}

/// Returns the items of a file, in PEM or DER.
///
/// # Errors
/// Returns an error if there is no known item.
pub fn read(bytes: &[u8]) -> Result<Vec<FileItem>, MaterialError> {
    Ok(material::read(bytes)?.into_iter().map(FileItem::of).collect())
}

/// The reason for every error of a DER parser, whose own messages do not help.
const DAMAGED: &str = "its DER is damaged or truncated";

impl FileItem {
    fn of(found: Found) -> Self {
        let Found { item, remark } = found;
        match item {
            Item::Certificate(der) => match Certificate::from_der(der) {
                Ok(certificate) => Self::Certificate(Box::new(certificate), remark),
                Err(error) => Self::Damaged { kind: "certificate", reason: unreadable(&error) },
            },
            Item::Key(form, secret) => Self::Key(KeyFacts::of(form, &secret), remark),
            Item::EncryptedKey(_) => Self::EncryptedKey,
            Item::Csr(der) => match CertificateRequest::from_der(&der) {
                Ok(request) => Self::Request(Box::new(request)),
                Err(error) => Self::Damaged { kind: "certificate signing request", reason: unreadable(&error) },
            },
            Item::Crl(der) => match Crl::from_der(der) {
                Ok(crl) => Self::Crl(Box::new(crl)),
                Err(_) => Self::Damaged { kind: "certificate revocation list", reason: DAMAGED.to_owned() },
            },
            Item::PublicKey(der) => Self::PublicKey(Fingerprint::of(&der)),
        }
    }
}

/// Returns why a certificate or a request cannot be parsed.
fn unreadable(error: &CertificateError) -> String {
    match error {
        CertificateError::Malformed(_) => DAMAGED.to_owned(),
        other => other.to_string(),
    }
}
