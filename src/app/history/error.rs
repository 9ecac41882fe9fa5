//! Errors of reading the history.

use crate::app::Remedy;
use crate::cluster::host_pattern::HostPatternError;

/// Errors of reading the history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The ledger has no entry for the requested name.
    #[error("the ledger has no host, account, serial number or SHA-256 {query:?}")]
    Unknown {
        /// The requested name.
        query: String,
        /// The most similar name that the ledger has.
        similar: Option<String>,
    },
    /// The ledger has nothing that matches a pattern, or a list has an empty name.
    #[error(transparent)]
    Pattern(#[from] HostPatternError),
}

impl HistoryError {
    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Unknown { similar, .. } => Some(Remedy::NameAKnownHolder(similar.clone())),
            Self::Pattern(_) => None,
        }
    }
}
