//! A remedy of any kind.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::access::{AuthenticationRemedy, AuthorizationRemedy};
use super::certificate::{CertificateRemedy, TrustRemedy};
use super::cluster::{HealthRemedy, VerifierRemedy};
use super::connection::ConnectionRemedy;
use super::directory::{DirectoryRemedy, FileRemedy};
use super::enrolment::EnrolmentRemedy;

/// The remedy of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Remedy {
    /// Remedies for certificates, keys and CRLs.
    Certificate(CertificateRemedy),
    /// Remedies for trust anchors.
    Trust(TrustRemedy),
    /// Remedies for connections and TLS.
    Connection(ConnectionRemedy),
    /// Remedies for client authentication.
    Authentication(AuthenticationRemedy),
    /// Remedies for authorization and admission.
    Authorization(AuthorizationRemedy),
    /// Remedies for nodes and API servers that fail.
    Health(HealthRemedy),
    /// Remedies for the verifier's rights.
    Verifier(VerifierRemedy),
    /// Remedies for credentials in a cluster directory.
    Directory(DirectoryRemedy),
    /// Remedies for other files in a cluster directory.
    File(FileRemedy),
    /// Remedies for the enrolment endpoint.
    Enrolment(EnrolmentRemedy),
}

impl Remedy {
    /// Returns the stable id: the innermost variant's name in kebab case.
    #[must_use]
    pub fn id(&self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(id)) => id,
            Ok(Value::Object(fields)) => fields.into_iter().next().map(|(id, _)| id).unwrap_or_default(),
            _ => String::new(),
        }
    }
}

macro_rules! from_group {
    ($($group:ident($remedy:ident)),+ $(,)?) => {
        $(impl From<$remedy> for Remedy {
            fn from(remedy: $remedy) -> Self {
                Self::$group(remedy)
            }
        })+
    };
}

from_group! {
    Certificate(CertificateRemedy),
    Trust(TrustRemedy),
    Connection(ConnectionRemedy),
    Authentication(AuthenticationRemedy),
    Authorization(AuthorizationRemedy),
    Health(HealthRemedy),
    Verifier(VerifierRemedy),
    Directory(DirectoryRemedy),
    File(FileRemedy),
    Enrolment(EnrolmentRemedy),
}
