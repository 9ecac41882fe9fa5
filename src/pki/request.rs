//! Certificate signing requests (PKCS#10, RFC 2986).
//!
//! Only the public key of a request is ever taken, and only after the request's own signature was verified.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::certificate::{CertificateError, Name, PublicKeyKind, SignatureStatus, SubjectName};
use super::fingerprint::Fingerprint;
use super::malformed;
use super::parsed::{key_kind, name, subject_name};
use super::signature::Signature;

/// A parsed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The subject that it asks for.
    pub subject: Name,
    /// The names that it asks for.
    pub names: Vec<SubjectName>,
    /// The kind of its key.
    pub key: PublicKeyKind,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki_fingerprint: Fingerprint,
    /// Whether its own key signed it, which proves possession of the key.
    pub signed_by_itself: SignatureStatus,
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
            signed_by_itself: signature.verify_by(&info.subject_pki, &key),
            key,
            spki: info.subject_pki.raw.to_vec(),
            spki_fingerprint: Fingerprint::of(info.subject_pki.raw),
        })
    }
}

/// Reasons why a request does not prove possession of its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Another key signed it, or it was changed after it was signed.
    #[error("the request is not signed by its own key")]
    WrongSignature,
    /// Its signature cannot be verified here.
    #[error("the request's signature cannot be verified: {0}")]
    Unverifiable(String),
    /// Its key is too weak, or of an unsupported kind.
    #[error("the request's key is {0}; supported are RSA of at least 2048 bits, P-256, P-384 and Ed25519")]
    WeakKey(String),
}

/// A request whose signature proves that the requester has the private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRequest(CertificateRequest);

impl VerifiedRequest {
    /// Takes a request whose own signature was verified.
    ///
    /// # Errors
    /// When the signature is wrong or cannot be verified, or the key is too weak.
    pub fn verify(request: CertificateRequest) -> Result<Self, RequestError> {
        match &request.signed_by_itself {
            SignatureStatus::Valid => {}
            SignatureStatus::Invalid => return Err(RequestError::WrongSignature),
            SignatureStatus::Unverifiable(reason) => return Err(RequestError::Unverifiable(reason.clone())),
        }
        match &request.key {
            PublicKeyKind::Supported(_) => Ok(Self(request)),
            PublicKeyKind::Rsa(bits) if *bits >= 2048 => Ok(Self(request)),
            weak => Err(RequestError::WeakKey(weak.to_string())),
        }
    }

    /// Returns the request.
    #[must_use]
    pub fn request(&self) -> &CertificateRequest {
        &self.0
    }

    /// Returns the public key (SubjectPublicKeyInfo, DER).
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.0.spki
    }
}
