//! What a certificate signing request says (PKCS#10, RFC 2986). It is explained, never signed: a request's own
//! parameters are a stranger's wishes.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::certificate::{CertificateError, Name, PublicKeyKind, SignedBy, SubjectName};
use super::fingerprint::Fingerprint;
use super::made_by::Signature;
use super::malformed;
use super::parsed::{key_kind, name, subject_name};

/// A parsed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// Whom it asks for.
    pub subject: Name,
    /// The names that it asks for.
    pub names: Vec<SubjectName>,
    /// Its key's kind.
    pub key: PublicKeyKind,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki_fingerprint: Fingerprint,
    /// Whether its own key signed it, which proves possession of the key.
    pub signed_by_itself: SignedBy,
}

impl CertificateRequest {
    /// Reads one DER request.
    ///
    /// # Errors
    /// When it is malformed or bytes follow it.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, parsed) = X509CertificationRequest::from_der(der)
            .map_err(|error| CertificateError::Malformed(malformed::reason(&error)))?;
        if !rest.is_empty() {
            return Err(CertificateError::Trailing(rest.len()));
        }
        let info = &parsed.certification_request_info;
        let mut names = Vec::new();
        for extension in parsed.requested_extensions().into_iter().flatten() {
            if let ParsedExtension::SubjectAlternativeName(san) = extension {
                names.extend(san.general_names.iter().map(subject_name));
            }
        }
        let key = key_kind(&info.subject_pki);
        let signature = Signature {
            algorithm: parsed.signature_algorithm.clone(),
            value: parsed.signature_value.clone(),
            signed: info.raw,
        };
        Ok(Self {
            subject: name(&info.subject),
            names,
            signed_by_itself: signature.made_by(&info.subject_pki, &key),
            key,
            spki_fingerprint: Fingerprint::of(info.subject_pki.raw),
        })
    }
}
