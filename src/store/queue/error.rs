//! Errors of the queue.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::enrol::request::State;

/// The kinds of failures of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Another process has locked it.
    Busy,
    /// The disk is full, or a limit of the system is reached.
    Full,
    /// It cannot be opened or written.
    Access,
    /// It is damaged, or is not a queue.
    Damaged,
    /// A later version wrote it.
    Newer,
    /// Any other.
    Other,
}

/// Reasons why a change is not made. Nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is a request of this name.
    #[error("there is a request of this name")]
    Exists,
    /// There is no request of this name.
    #[error("there is no request of this name")]
    Missing,
    /// It changed meanwhile, or is another request of the same name.
    #[error("it changed meanwhile")]
    Conflict,
    /// The host has too many open requests.
    #[error("{open} requests of this host are open already")]
    TooManyOfHost {
        /// The number of open requests.
        open: u32,
    },
    /// There are too many open requests of hosts that the cluster file does not have.
    #[error("{open} requests of unknown hosts are open already")]
    TooManyUnknown {
        /// The number of open requests.
        open: u32,
    },
    /// The one-time token was used for another key.
    #[error("the token was used already")]
    TokenUsed,
    /// The state does not change in this way.
    #[error("a request that is {from} does not become {to}")]
    State {
        /// The present state.
        from: State,
        /// The requested one.
        to: State,
    },
    /// A condition was removed or changed.
    #[error("a condition cannot be removed or changed")]
    ConditionChanged,
    /// A certificate cannot be changed.
    #[error("the certificate cannot be changed")]
    CertificateChanged,
    /// The certificate has another key than the request.
    #[error("the certificate has another key than the request")]
    OtherKey,
}

/// Errors of the queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// A change is refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The database fails; nothing is written.
    #[error("the queue {} cannot be used: {reason}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// The kind of failure.
        cause: Cause,
        /// SQLite's message.
        reason: String,
    },
}

impl QueueError {
    pub(super) fn database(path: &Path, error: &rusqlite::Error) -> Self {
        let cause = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Cause::Busy,
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => Cause::Full,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Cause::Access,
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Cause::Damaged,
            _ if matches!(error, rusqlite::Error::FromSqlConversionFailure(..)) => Cause::Damaged,
            _ => Cause::Other,
        };
        Self::Database { path: path.to_owned(), cause, reason: error.to_string() }
    }
}
