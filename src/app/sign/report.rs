//! The content of requests and of the signed certificates.

use std::path::PathBuf;

use time::OffsetDateTime;

use crate::cluster::account::Account;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CertificateSpec, Profile};
use crate::pki::certificate::Serial;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::request::CertificateRequest;
use crate::sanitize::sanitized;

/// The content that a request asks for. Its texts are sanitized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The subject.
    pub subject: String,
    /// The subject alternative names.
    pub names: Vec<String>,
    /// The extended key usages.
    pub usages: Vec<String>,
    /// The kind of the key.
    pub key: String,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub public_key: Fingerprint,
}

impl Asked {
    pub(super) fn of(request: &CertificateRequest) -> Self {
        Self {
            subject: sanitized(&request.subject.text),
            names: request.names.iter().map(|name| sanitized(&name.to_string())).collect(),
            usages: request.extended_key_usage.clone(),
            key: request.key.to_string(),
            public_key: request.spki_fingerprint,
        }
    }
}

/// The content that the cluster file grants to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The subject.
    pub subject: Account,
    /// The subject alternative names.
    pub names: Vec<String>,
    /// The extended key usages.
    pub usages: &'static [&'static str],
    /// The lifetime of the certificate, unless its CA expires earlier.
    pub lifetime: Lifetime,
}

impl Granted {
    pub(super) fn of(spec: &CertificateSpec) -> Self {
        Self {
            subject: spec.subject.clone(),
            names: spec.names.iter().map(ToString::to_string).collect(),
            usages: spec.policy().usage.names(),
            lifetime: spec.lifetime,
        }
    }
}

/// The SSH signature of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyEvidence {
    /// The fingerprint of the key, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// Whether the key is a known key of the host; if false, no key of the host is known.
    pub is_known: bool,
    /// The time of signing, by the host's clock.
    pub time: OffsetDateTime,
}

/// A valid certificate of the same host, purpose and key as a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierCertificate {
    /// Its serial number.
    pub serial: Serial,
    /// When it was issued.
    pub issued_at: OffsetDateTime,
    /// When it expires.
    pub not_after: OffsetDateTime,
    /// Whether it is due for renewal; if false, the request may have been signed before.
    pub is_due: bool,
}

/// A request, the content that is granted to it, and the certificate once it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCertificate {
    /// The request's file.
    pub file: PathBuf,
    /// The host.
    pub host: HostName,
    /// The purpose of the certificate.
    pub profile: Profile,
    /// The content that the request asks for.
    pub asked: Asked,
    /// The content of the certificate.
    pub granted: Granted,
    /// The SSH signature of the request, if it has one.
    pub host_key: Option<HostKeyEvidence>,
    /// The newest valid certificate for the same key, if there is one. It stays valid.
    pub earlier: Option<EarlierCertificate>,
    /// The key in the cluster directory that is deleted, because the certificate is for another key.
    pub replaced_key: Option<PathBuf>,
    /// The certificate's serial number, SHA-256 and expiry, once it is signed.
    pub signed: Option<(Serial, Fingerprint, OffsetDateTime)>,
}

/// The result of signing requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignReport {
    /// The certificates, in the order of the requests.
    pub certificates: Vec<SignedCertificate>,
}

impl SignReport {
    /// Returns the hosts whose bundles have to be packed and delivered, each once, in the order of the requests.
    #[must_use]
    pub fn hosts(&self) -> Vec<&HostName> {
        let mut hosts: Vec<&HostName> = Vec::new();
        for one in &self.certificates {
            if !hosts.contains(&&one.host) {
                hosts.push(&one.host);
            }
        }
        hosts
    }
}
