//! Errors of the enrolment CA's server.

use std::path::PathBuf;

use crate::app::remedy::Remedy;
use crate::app::revoke::crl_file::CrlFileError;
use crate::cluster::name::HostName;
use crate::server::ServerError;
use crate::server::credential::TlsError;
use crate::store::credentials::CredentialProblem;

/// Errors of starting the server.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No master has a serving credential in the directory.
    #[error("no master has a serving certificate with its key in {}", .0.display())]
    NoCredential(PathBuf),
    /// Several masters have one, and none is named.
    #[error("several masters have a serving certificate here: {}", names(.0))]
    SeveralMasters(Vec<HostName>),
    /// The cluster file has no such master.
    #[error("the cluster file has no master called {0}")]
    UnknownMaster(HostName),
    /// The serving credential of a master cannot be used.
    #[error("the serving certificate of {master} cannot be used: {problem}")]
    Credential {
        /// The master.
        master: HostName,
        /// The problem.
        problem: Box<CredentialProblem>,
    },
    /// A CRL cannot be used.
    #[error("the CRL cannot be used: {0}")]
    Crl(#[source] CrlFileError),
    /// Another server uses the queue.
    #[error("another server uses the queue in {}", .0.display())]
    InUse(PathBuf),
    /// TLS cannot be configured.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server cannot start.
    #[error(transparent)]
    Server(#[from] ServerError),
}

fn names(masters: &[HostName]) -> String {
    masters.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}

impl ServeError {
    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::NoCredential(_) | Self::Credential { .. } => Some(Remedy::IssueServingCertificate),
            Self::SeveralMasters(_) | Self::UnknownMaster(_) => Some(Remedy::NameTheMaster),
            Self::Server(ServerError::Listen { .. }) => Some(Remedy::ListenElsewhere),
            Self::InUse(_) => Some(Remedy::NameAnotherState),
            Self::Tls(_) | Self::Server(_) | Self::Crl(_) => None,
        }
    }
}
