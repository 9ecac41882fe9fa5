//! Errors of reading the history.

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
}
