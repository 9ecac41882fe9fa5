//! Errors of the cluster directory, with their evidence.

use std::io;
use std::path::{Path, PathBuf};

/// Errors of reading and writing the cluster directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The system reports an error.
    #[error("cannot {doing} {}: {reason}", path.display())]
    Io {
        /// The operation: `read`, `write`, `create`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kind of error.
        kind: io::ErrorKind,
        /// The system's message.
        reason: String,
    },
    /// The file exists, and is never replaced.
    #[error("{} exists already and is not replaced", .0.display())]
    Exists(PathBuf),
    /// A folder contains an entry that clusterctl did not write and cannot keep.
    #[error("{} is in the way: clusterctl did not write it, or it is not a plain file or folder", .0.display())]
    InTheWay(PathBuf),
    /// A file that was named is a folder, a FIFO, a socket or a device.
    #[error("{} is {kind}, and no plain file", path.display())]
    NotPlain {
        /// The path.
        path: PathBuf,
        /// What it is, with an article.
        kind: &'static str,
    },
    /// Nothing was written into a FIFO that was named, or its writer did not close it.
    #[error("{} is a pipe, and within {seconds} seconds no program wrote into it and closed it", path.display())]
    NoWriter {
        /// The FIFO.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A required file is missing.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// A file is larger than any file of its kind.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size, in bytes.
        limit: u64,
    },
    /// The state of the rotation of the token key cannot be read.
    #[error("{} is not the state of a rotation that this program knows", .0.display())]
    TokenRotation(PathBuf),
    /// Another process writes this directory.
    #[error("another process writes in this cluster directory: {holder}")]
    Locked {
        /// The description that the process wrote into the lock.
        holder: String,
    },
    /// There are CAs, but no ledger.
    #[error("the ledger {} does not exist", .0.display())]
    LedgerMissing(PathBuf),
    /// The ledger is an empty file: it was never written, or the file system lost it.
    #[error("the ledger {} is damaged: it is empty", .0.display())]
    LedgerEmpty(PathBuf),
    /// The ledger is damaged.
    #[error("the ledger {} is damaged: {reason}", path.display())]
    LedgerDamaged {
        /// The ledger.
        path: PathBuf,
        /// SQLite's message.
        reason: String,
    },
    /// The file in the ledger's place is not a ledger.
    #[error("the ledger {} is not a ledger of clusterctl: {reason}", path.display())]
    LedgerForeign {
        /// The ledger.
        path: PathBuf,
        /// The property that it lacks.
        reason: String,
    },
    /// The log beside the ledger belongs to another state of the ledger, because an older ledger was restored from a
    /// backup.
    #[error("the log {} does not belong to the ledger beside it, which was probably restored from a backup", .0.display())]
    LedgerLogForeign(PathBuf),
    /// The ledger was written by a later version.
    #[error("the ledger {} has format {found}; this program knows up to {known}", path.display())]
    LedgerNewer {
        /// The ledger.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that this program supports.
        known: i64,
    },
    /// Another program has locked the ledger.
    #[error("the ledger {} is locked by another program", path.display())]
    LedgerLocked {
        /// The ledger.
        path: PathBuf,
    },
    /// Any other error of SQLite's.
    #[error("the ledger {} cannot be used: {reason}", path.display())]
    Ledger {
        /// The ledger.
        path: PathBuf,
        /// SQLite's message.
        reason: String,
    },
}

impl StoreError {
    pub(super) fn io(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), kind: error.kind(), reason: plain(error) }
    }

    /// Names the file or folder that is written, instead of its path while it is written under a temporary name.
    #[must_use]
    pub(super) fn at_place(mut self, temporary: &Path, place: &Path) -> Self {
        let path = match &mut self {
            Self::Io { path, .. }
            | Self::Exists(path)
            | Self::InTheWay(path)
            | Self::NotPlain { path, .. }
            | Self::NoWriter { path, .. }
            | Self::Missing(path)
            | Self::TooLarge { path, .. }
            | Self::TokenRotation(path)
            | Self::LedgerMissing(path)
            | Self::LedgerEmpty(path)
            | Self::LedgerDamaged { path, .. }
            | Self::LedgerForeign { path, .. }
            | Self::LedgerLogForeign(path)
            | Self::LedgerNewer { path, .. }
            | Self::LedgerLocked { path }
            | Self::Ledger { path, .. } => path,
            Self::Locked { .. } => return self,
        };
        if let Ok(below) = path.strip_prefix(temporary) {
            *path = if below.as_os_str().is_empty() { place.to_owned() } else { place.join(below) };
        }
        self
    }
}

/// Returns the system's message without Rust's `(os error 13)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(message, _)| message.to_owned())
}
