//! Why the history is not read.

/// Why the history is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The ledger has nothing about what was asked for.
    #[error("the ledger has no host, account, serial number or SHA-256 {about:?}")]
    Unknown {
        /// What was asked for.
        about: String,
        /// The most similar name that the ledger has.
        similar: Option<String>,
    },
}
