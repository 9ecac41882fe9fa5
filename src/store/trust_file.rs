//! `trust.json`: the CAs of a role with their states, if they are not just a single root that clusterctl generated.
//!
//! ```json
//! {"schemaVersion": 1, "cas": [
//!   {"state": "active", "origin": "imported", "certificates": ["-----BEGIN CERTIFICATE-----\n…"]},
//!   {"state": "trusted", "origin": "generated", "certificates": ["-----BEGIN CERTIFICATE-----\n…"]}
//! ]}
//! ```
//!
//! While a CA is rotated, the version is 2, and `rotation` has the phase:
//!
//! ```json
//! {"phase": "canary", "began": "2026-11-23T12:00:00Z", "old": "SHA-256", "new": "SHA-256",
//!  "canaries": ["master-1", "worker-1"], "since": 120}
//! ```
//!
//! `certificates` begins with the certificate that signs and ends with its root. States are `active` (exactly one),
//! `trusted`, `prepared` (with version 2) and `retired`; origins are `generated` (by `init-ca`) and `imported`. The file
//! is authoritative: `ca.crt` beside it holds the roots of all CAs that are trusted, for people and programs that copy it:
//! the active one's first, and during a rotation the old one's.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cluster::duration::stamp;
use crate::cluster::profile::CaRole;
use crate::pki::ca_certificate::{CaCertificate, CaCertificateError, Origin};
use crate::pki::certificate::{Certificate, CertificateError};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem::{self, PemError};
use crate::pki::rotation::{Phase, Rotation};
use crate::pki::trust_bundle::{CaState, TrustBundle, TrustBundleError};

/// The newest version that is read, which is written while a CA is rotated.
const SCHEMA_VERSION: u64 = 2;
/// The version that is written otherwise, so that older versions of clusterctl can read the file.
const WITHOUT_ROTATION: u64 = 1;

/// Errors of parsing a trust file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustFileError {
    /// It is not JSON, or has other fields.
    #[error("it is not a trust file: {0}")]
    Shape(String),
    /// A newer clusterctl wrote it.
    #[error("it has schema version {0}, and this clusterctl reads up to {SCHEMA_VERSION}; a newer one is needed")]
    Newer(u64),
    /// A state or origin is unknown.
    #[error("its {field} is unknown: {found:?}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// Its value.
        found: String,
    },
    /// A CA has no certificate.
    #[error("a CA in it has no certificate")]
    Empty,
    /// A certificate is not PEM.
    #[error("a certificate in it is not PEM: {0}")]
    Pem(#[from] PemError),
    /// A certificate cannot be parsed.
    #[error("a certificate in it: {0}")]
    Certificate(#[from] CertificateError),
    /// The certificates do not make a CA.
    #[error(transparent)]
    Ca(#[from] CaCertificateError),
    /// The CAs do not make a trust bundle.
    #[error(transparent)]
    Bundle(#[from] TrustBundleError),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TrustFile {
    schema_version: u64,
    cas: Vec<CaEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotation: Option<RotationEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RotationEntry {
    phase: String,
    began: String,
    old: String,
    new: String,
    canaries: Vec<String>,
    since: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaEntry {
    state: String,
    origin: String,
    certificates: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    schema_version: u64,
}

/// Parses a trust file.
///
/// # Errors
/// Returns an error if it is not one, a newer clusterctl wrote it, or its CAs do not make a trust bundle.
pub(super) fn parse(role: CaRole, text: &[u8]) -> Result<TrustBundle, TrustFileError> {
    let shape = |error: serde_json::Error| TrustFileError::Shape(error.to_string());
    let Version { schema_version } = serde_json::from_slice(text).map_err(shape)?;
    if schema_version > SCHEMA_VERSION {
        return Err(TrustFileError::Newer(schema_version));
    }
    let TrustFile { cas, rotation, .. } = serde_json::from_slice(text).map_err(shape)?;
    let cas = cas.into_iter().map(|entry| ca(role, entry)).collect::<Result<_, _>>()?;
    let trust = TrustBundle::new(role, cas)?;
    match rotation {
        None => Ok(trust),
        Some(entry) => Ok(trust.rotating(entry.read()?)?),
    }
}

impl RotationEntry {
    fn read(self) -> Result<Rotation, TrustFileError> {
        let unknown = |field, found: &str| TrustFileError::Field { field, found: found.to_owned() };
        let digest = |field, text: &str| Fingerprint::parse(text).ok_or_else(|| unknown(field, text));
        Ok(Rotation {
            phase: Phase::parse(&self.phase).ok_or_else(|| unknown("phase", &self.phase))?,
            began: OffsetDateTime::parse(&self.began, &Rfc3339).map_err(|_| unknown("began", &self.began))?,
            old: digest("old", &self.old)?,
            new: digest("new", &self.new)?,
            canaries: self.canaries,
            after_sequence: self.since,
        })
    }

    fn of(rotation: &Rotation) -> Self {
        Self {
            phase: rotation.phase.as_str().to_owned(),
            began: stamp(rotation.began),
            old: rotation.old.to_string(),
            new: rotation.new.to_string(),
            canaries: rotation.canaries.clone(),
            since: rotation.after_sequence,
        }
    }
}

fn ca(role: CaRole, entry: CaEntry) -> Result<(CaCertificate, CaState), TrustFileError> {
    let unknown = |field, found: &str| TrustFileError::Field { field, found: found.to_owned() };
    let state = CaState::parse(&entry.state).ok_or_else(|| unknown("state", &entry.state))?;
    let origin = Origin::parse(&entry.origin).ok_or_else(|| unknown("origin", &entry.origin))?;
    let mut certificates = Vec::new();
    for text in &entry.certificates {
        for der in pem::certificates(text.as_bytes())? {
            certificates.push(Certificate::from_der(der)?);
        }
    }
    if certificates.is_empty() {
        return Err(TrustFileError::Empty);
    }
    let others = certificates.split_off(1);
    let certificate = certificates.pop().ok_or(TrustFileError::Empty)?;
    let ca = match origin {
        // As without a trust file, its profile is checked when it signs and when it is audited.
        Origin::Generated if others.is_empty() => CaCertificate::own_root(role, certificate),
        _ => CaCertificate::new(role, origin, certificate, &others)?,
    };
    Ok((ca, state))
}

/// Formats a trust file, or returns `None` if the bundle is a single root that clusterctl generated, which needs no
/// trust file.
pub(super) fn format(trust: &TrustBundle) -> Option<String> {
    let active = trust.active();
    if trust.all().count() == 1 && active.origin() == Origin::Generated && active.chain().is_empty() {
        return None;
    }
    Some(format_in_full(trust))
}

/// Formats a trust file with a line feed at the end, whether the bundle needs one or not.
pub(super) fn format_in_full(trust: &TrustBundle) -> String {
    let entry = |(ca, state): (&CaCertificate, CaState)| CaEntry {
        state: state.as_str().to_owned(),
        origin: ca.origin().as_str().to_owned(),
        certificates: ca.path().map(Certificate::to_pem).collect(),
    };
    let rotation = trust.rotation().map(RotationEntry::of);
    let schema_version = if rotation.is_some() { SCHEMA_VERSION } else { WITHOUT_ROTATION };
    let file = TrustFile { schema_version, cas: trust.all().map(entry).collect(), rotation };
    // Serializing strings and a number cannot fail.
    serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
}
