//! Errors of removing hosts.

use crate::app::Remedy;
use crate::cluster::host_pattern::HostPatternError;
use crate::cluster::name::{HostName, NameError};

/// Errors of removing hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoveError {
    /// A text is not a valid host name.
    #[error("{name:?} is not a valid host name")]
    Name {
        /// The text.
        name: String,
        /// The reason.
        source: NameError,
    },
    /// A pattern matches no host that left the cluster.
    #[error(transparent)]
    Pattern(#[from] HostPatternError),
    /// A host is neither in the ledger nor has a folder.
    #[error("no host {host} is in this cluster's ledger, and pki/ has no folder of it")]
    Unknown {
        /// The host.
        host: HostName,
        /// The most similar name in the ledger.
        similar: Option<String>,
    },
    /// Hosts are in the cluster file.
    #[error("{} in cluster.yaml: nothing was removed", is_or_are(hosts))]
    InClusterFile {
        /// The hosts.
        hosts: Vec<HostName>,
    },
}

/// The number of hosts that an error names.
const NAMED: usize = 5;

fn is_or_are(hosts: &[HostName]) -> String {
    let names = hosts.iter().take(NAMED).map(HostName::as_str).collect::<Vec<_>>().join(", ");
    match (hosts.len(), hosts.len().saturating_sub(NAMED)) {
        (1, _) => format!("{names} is"),
        (_, 0) => format!("{names} are"),
        (_, more) => format!("{names} and {more} more are"),
    }
}

impl RemoveError {
    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Name { source: NameError::UpperCase { lower }, .. } => Some(Remedy::DidYouMean(lower.clone())),
            Self::Name { .. } | Self::Pattern(_) => None,
            Self::Unknown { similar, .. } => Some(Remedy::NameAKnownHolder(similar.clone())),
            Self::InClusterFile { .. } => Some(Remedy::RemoveFromClusterFile),
        }
    }
}
