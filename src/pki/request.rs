//! Certificate signing requests (PKCS#10, RFC 2986).
//!
//! Only the public key of a request is ever used, and only after the request's own signature was verified.

use rcgen::{CertificateParams, DistinguishedName, DnType};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::certificate::{CertificateError, Name, PublicKeyKind, SignatureStatus, SubjectAltName};
use super::fingerprint::Fingerprint;
use super::issue_error::IssueError;
use super::key::KeyError;
use super::malformed;
use super::params::{encode_error, extended_key_usages, san};
use super::parsed::{key_kind, name, subject_alt_name, usages};
use super::rcgen_keys::PublicKey;
use super::signature::Signature;
use super::signing_key::SigningKey;
use super::unsigned::Unsigned;
use crate::cluster::account::Account;
use crate::cluster::address::Address;
use crate::cluster::profile::Usage;

/// A parsed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The subject that it asks for.
    pub subject: Name,
    /// The names that it asks for.
    pub names: Vec<SubjectAltName>,
    /// The extended key usages that it asks for: `serverAuth`, `clientAuth`, …, else an OID.
    pub extended_key_usage: Vec<String>,
    /// Whether it asks to be a CA: by basicConstraints, keyCertSign or cRLSign.
    pub asks_for_ca: bool,
    /// The kind of its key.
    pub key: PublicKeyKind,
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub spki_fingerprint: Fingerprint,
    /// The result of verifying the signature by its own key, which proves possession of the key.
    pub signed_by_itself: SignatureStatus,
}

impl CertificateRequest {
    /// Reads one DER request.
    ///
    /// # Errors
    /// Returns an error if it is malformed or bytes follow it.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, parsed) = X509CertificationRequest::from_der(der)
            .map_err(|error| CertificateError::Malformed(malformed::reason(&error)))?;
        if !rest.is_empty() {
            return Err(CertificateError::Trailing(rest.len()));
        }
        let info = &parsed.certification_request_info;
        let (mut names, mut extended_key_usage, mut asks_for_ca) = (Vec::new(), Vec::new(), false);
        for extension in parsed.requested_extensions().into_iter().flatten() {
            match extension {
                ParsedExtension::SubjectAlternativeName(san) => {
                    names.extend(san.general_names.iter().map(subject_alt_name));
                }
                ParsedExtension::ExtendedKeyUsage(eku) => extended_key_usage.extend(usages(eku)),
                ParsedExtension::BasicConstraints(constraints) => asks_for_ca |= constraints.ca,
                ParsedExtension::KeyUsage(usage) => asks_for_ca |= usage.key_cert_sign() || usage.crl_sign(),
                _ => {}
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
            extended_key_usage,
            asks_for_ca,
            signed_by_itself: signature.verify_by(&info.subject_pki, &key),
            key,
            spki: info.subject_pki.raw.to_vec(),
            spki_fingerprint: Fingerprint::of(info.subject_pki.raw),
        })
    }
}

/// Creates a request for a key: DER, signed by the key.
///
/// The names, the usage and the subject are only requested; the signer decides about the content of the certificate.
///
/// # Errors
/// Returns an error if it cannot be encoded, or the key returns no signature or an invalid one.
pub fn create_request(
    key: &dyn SigningKey,
    common_name: &str,
    names: &[Address],
    usage: Usage,
) -> Result<Vec<u8>, IssueError> {
    let subject = Account { user: common_name.to_owned(), group: None };
    create_request_for(key, &subject, names, usage)
}

/// Like [`create_request`], with a group in the subject.
///
/// # Errors
/// Returns the errors of [`create_request`].
pub fn create_request_for(
    key: &dyn SigningKey,
    subject: &Account,
    names: &[Address],
    usage: Usage,
) -> Result<Vec<u8>, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if let Some(group) = &subject.group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.distinguished_name.push(DnType::CommonName, &subject.user);
    params.subject_alt_names = names.iter().map(san).collect::<Result<_, _>>()?;
    params.extended_key_usages = extended_key_usages(usage);
    let public = PublicKey::read(key.public_key()).ok_or(IssueError::Key(KeyError::Foreign))?;
    let encoded = params.serialize_request(&public).map_err(encode_error)?;
    let not_encodable = || IssueError::Encode("its structure is not PKCS#10's".to_owned());
    let unsigned = Unsigned::read(encoded.der()).ok_or_else(not_encodable)?;
    let der = unsigned.signed(&key.sign(unsigned.tbs())?).ok_or_else(not_encodable)?;
    match CertificateRequest::from_der(&der)?.signed_by_itself {
        SignatureStatus::Valid => Ok(der),
        SignatureStatus::Invalid | SignatureStatus::Unverifiable(_) => Err(IssueError::WrongSignature),
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
    /// Verifies the request's own signature.
    ///
    /// # Errors
    /// Returns an error if the signature is wrong or cannot be verified, or the key is too weak.
    pub fn verify(request: CertificateRequest) -> Result<Self, RequestError> {
        // Checked first, because the signature of a weak key may not be verifiable.
        match &request.key {
            PublicKeyKind::Supported(_) => {}
            PublicKeyKind::Rsa(bits) if *bits >= 2048 => {}
            weak => return Err(RequestError::WeakKey(weak.to_string())),
        }
        match &request.signed_by_itself {
            SignatureStatus::Valid => Ok(Self(request)),
            SignatureStatus::Invalid => Err(RequestError::WrongSignature),
            SignatureStatus::Unverifiable(reason) => Err(RequestError::Unverifiable(reason.clone())),
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
