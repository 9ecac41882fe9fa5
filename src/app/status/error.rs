//! Errors of reporting the status.

use crate::app::Remedy;
use crate::app::inspect::names;
use crate::cluster::host_pattern::HostPatternError;

/// Errors of reporting the status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// A given name matches no host.
    #[error(transparent)]
    Host(#[from] HostPatternError),
    /// The files have no certificate, kubeconfig or CRL.
    #[error("there is no certificate, kubeconfig or CRL in {}", names(.0))]
    NothingFound(Vec<String>),
}

impl StatusError {
    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Host(HostPatternError::Unknown { similar: Some(name), .. }) => Some(Remedy::DidYouMean(name.clone())),
            Self::Host(_) => None,
            Self::NothingFound(_) => Some(Remedy::InspectKnownKinds),
        }
    }
}
