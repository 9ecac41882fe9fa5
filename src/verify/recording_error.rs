//! Errors of recordings, and their limits.

use crate::sanitize::sanitized;

/// The version of the format that is written.
pub const VERSION: u64 = 2;
/// The oldest version that is read. Version 1 has the responses to fewer requests, and is evaluated by those only.
pub(super) const OLDEST_VERSION: u64 = 1;

/// The limit of pairs of nodes and control-plane nodes, because every node connects to every control-plane node and
/// vice versa.
pub(super) const MAX_PAIRS: usize = 1_000_000;

pub(super) const MAX_ADDRESSES: usize = 64;

/// Errors of reading a recording, or of recording a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// The file is not a recording.
    #[error("it is not a recording of clusterctl verify")]
    NotARecording,
    /// The recording has another version.
    #[error("it is a recording of version {found}, and this clusterctl reads versions {OLDEST_VERSION} to {VERSION}")]
    Version {
        /// Its version.
        found: u64,
    },
    /// The end of the file is missing.
    #[error("it is incomplete: it ends at line {line}, column {column}")]
    Truncated {
        /// The position of the end.
        line: usize,
        /// The position of the end.
        column: usize,
    },
    /// The content is not that of a recording.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// Something in it exceeds the limit of a run.
    #[error("it has {found} {what}, and at most {limit} are accepted")]
    TooMany {
        /// The thing that exceeds its limit.
        what: &'static str,
        /// The number found.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The run cannot be represented as a recording.
    #[error("the run cannot be recorded: {0}")]
    Unwritable(String),
}

/// Returns an error about damaged content. The reason is sanitized, because it may quote the content.
pub(super) fn damaged(reason: &str) -> RecordingError {
    RecordingError::Damaged(sanitized(reason))
}

pub(super) fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), RecordingError> {
    if found > limit { Err(RecordingError::TooMany { what, found, limit }) } else { Ok(()) }
}
