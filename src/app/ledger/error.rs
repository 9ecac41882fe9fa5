//! Errors of making a new ledger.

use std::path::PathBuf;

/// Errors of making a new ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {
    /// The ledger can be read.
    #[error("the ledger {} can be read, and is not replaced", .0.display())]
    Good(PathBuf),
}
