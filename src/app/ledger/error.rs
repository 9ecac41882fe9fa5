//! Errors of rebuilding the ledger.

use std::path::PathBuf;

/// Errors of rebuilding the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {
    /// A check finds nothing wrong with the ledger.
    #[error("nothing is wrong with the ledger {}, so it is not replaced", .0.display())]
    NothingWrong(PathBuf),
}
