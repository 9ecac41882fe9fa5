//! Errors of issuing credentials.

use std::fmt;

use crate::app::Remedy;
use crate::app::count::certificates;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, CertificateSpec, Profile};
use crate::pki::issuer::IssueError;
use crate::store::credentials::CredentialProblem;

/// Errors of issuing credentials.
#[derive(Debug, thiserror::Error)]
pub enum IssuanceError {
    /// A stop was requested before anything was changed.
    #[error("stopped on request; nothing was changed")]
    StoppedBeforeChange,
    /// A stop was requested. Everything issued until then is recorded, and its files are written.
    #[error("stopped on request; {issued} of {} issued", certificates(*total))]
    Stopped {
        /// The certificates that were issued.
        issued: usize,
        /// The certificates that were to be issued.
        total: usize,
    },
    /// A credential that was to be kept changed after the plan was made.
    #[error("{credential} changed while it was checked: {problem}")]
    Changed {
        /// The credential.
        credential: CredentialName,
        /// The problem.
        problem: CredentialProblem,
    },
    /// The CA that signs a credential was not given.
    #[error("the {} that signs {credential} was not opened", role.as_str())]
    NoIssuer {
        /// The CA.
        role: CaRole,
        /// The credential.
        credential: CredentialName,
    },
    /// A certificate cannot be issued.
    #[error("no valid certificate can be made for {credential}")]
    Certificate {
        /// The credential.
        credential: CredentialName,
        /// The reason.
        source: IssueError,
    },
    /// The key pair that signs service account tokens cannot be used.
    #[error("the service-account key cannot be used: {0}")]
    ServiceAccountKey(CredentialProblem),
    /// The system does not permit enough threads.
    #[error("the system permits this process too few threads: {0}")]
    TooFewThreads(#[from] rayon::ThreadPoolBuildError),
}

/// The name of a credential: its host, if it has one, and its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialName {
    /// The host.
    pub host: Option<HostName>,
    /// The profile.
    pub profile: Profile,
}

impl From<&CertificateSpec> for CredentialName {
    fn from(spec: &CertificateSpec) -> Self {
        Self { host: spec.host.clone(), profile: spec.profile }
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profile = self.profile.policy().name;
        match &self.host {
            Some(host) => write!(f, "{host} {profile}"),
            None => f.write_str(profile),
        }
    }
}

impl IssuanceError {
    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        Some(match self {
            Self::StoppedBeforeChange | Self::Stopped { .. } => Remedy::Continue,
            Self::Changed { .. } => Remedy::RunAgain,
            Self::ServiceAccountKey(_) => Remedy::RestoreServiceAccountKey,
            Self::TooFewThreads(_) => Remedy::RaiseThreadLimit,
            Self::NoIssuer { .. } | Self::Certificate { .. } => return None,
        })
    }
}
