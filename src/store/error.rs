//! What can go wrong with the cluster directory, as data.

use std::io;
use std::path::{Path, PathBuf};

use super::files::UNFINISHED;

/// Why the cluster directory could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {doing} {}: {reason}", path.display())]
    Io {
        /// What was being done: `read`, `write`, `create`.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The kind, for the hint.
        kind: io::ErrorKind,
        /// The system's words.
        reason: String,
    },
    /// It is there already and is not to be replaced.
    #[error("{} exists already and is not replaced", .0.display())]
    Exists(PathBuf),
    /// Something lies in a folder of ours that we neither made nor can carry over.
    #[error("{} is in the way: it is not clusterctl's, or no plain file or folder", .0.display())]
    InTheWay(PathBuf),
    /// A file that has to be there is not.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// A file larger than anything of its kind can be.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// In bytes.
        limit: u64,
    },
    /// Another process works on this directory.
    #[error("another process works on this cluster directory: {holder}")]
    Locked {
        /// Who, as it wrote of itself.
        holder: String,
    },
    /// There is a root, and no ledger beside it.
    #[error("the ledger {} does not exist", .0.display())]
    LedgerMissing(PathBuf),
    /// The ledger has no bytes: it was never written, or a file system lost it.
    #[error("the ledger {} is damaged: it is empty", .0.display())]
    LedgerEmpty(PathBuf),
    /// The ledger is not readable as one.
    #[error("the ledger {} is damaged: {reason}", path.display())]
    LedgerDamaged {
        /// The ledger.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
    /// The file in the ledger's place never was a ledger.
    #[error("the ledger {} is something else: {reason}", path.display())]
    LedgerForeign {
        /// The ledger.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The log beside the ledger belongs to another state of it: an older ledger was put back from a backup.
    #[error("the log {} does not belong to the ledger beside it, which was probably put back from a backup", .0.display())]
    LedgerLogForeign(PathBuf),
    /// The ledger was written by a later version.
    #[error("the ledger {} has format {found}; this program knows up to {known}", path.display())]
    LedgerNewer {
        /// The ledger.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The latest that we know.
        known: i64,
    },
    /// Another program holds the ledger.
    #[error("the ledger {} is locked by another program", path.display())]
    LedgerLocked {
        /// The ledger.
        path: PathBuf,
    },
    /// SQLite failed otherwise.
    #[error("the ledger {} cannot be used: {reason}", path.display())]
    Ledger {
        /// The ledger.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
}

impl StoreError {
    pub(super) fn io(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), kind: error.kind(), reason: plain(error) }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io { kind: io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, .. } => {
                "free some space and run the same command again: what is done is kept".to_owned()
            }
            Self::Io { kind: io::ErrorKind::PermissionDenied, path, .. } => match unfinished_in(path) {
                Some(folder) => {
                    format!("check who owns the folder {} and its mode, or run as its owner", folder.display())
                }
                None => format!(
                    "check who owns {} and the folder that it is in, and their modes, or run as their owner",
                    path.display()
                ),
            },
            Self::Io { kind: io::ErrorKind::NotFound, path, .. } => {
                let folder = unfinished_in(path).or_else(|| path.parent())?;
                format!("make the folder {} first", folder.display())
            }
            Self::Io { kind: io::ErrorKind::ReadOnlyFilesystem, .. } => {
                "the file system is mounted read-only".to_owned()
            }
            Self::Io {
                kind: io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists,
                path,
                ..
            } => {
                format!(
                    "a folder and a file took each other's place: look at {}, and move away what is wrong",
                    path.display()
                )
            }
            Self::Io { .. } | Self::TooLarge { .. } => return None,
            Self::Exists(path) => format!("move {} away yourself if it really is to go", path.display()),
            Self::InTheWay(path) => format!("move {} somewhere else, then try again", path.display()),
            Self::Missing(_) => return None,
            Self::Locked { .. } => "wait until it is done, then run the same command again".to_owned(),
            Self::LedgerMissing(path) | Self::LedgerEmpty(path) | Self::LedgerForeign { path, .. } => format!(
                "restore {} from a backup: it is the record of every certificate that was issued. Without one, what was \
                 issued works until it expires, but no more can be issued here: make new roots in a new directory",
                path.display()
            ),
            Self::LedgerDamaged { path, .. } => format!(
                "restore {0} from the newest backup. Without one, save what can be read, with: sqlite3 {0} .recover | sqlite3 \
                 {0}.recovered, and put that in its place",
                path.display()
            ),
            Self::LedgerLogForeign(log) => format!("remove {} to continue with the ledger as it is now", log.display()),
            Self::LedgerNewer { .. } => "use the newer clusterctl that wrote it".to_owned(),
            Self::LedgerLocked { .. } => "close the program that has it open, then try again".to_owned(),
            Self::Ledger { .. } => "check the disk and the file's owner and mode".to_owned(),
        })
    }
}

/// The folder in which a file is being made under a name that nobody knows.
fn unfinished_in(path: &Path) -> Option<&Path> {
    let name = path.file_name()?.to_str()?;
    path.parent().filter(|_| name.starts_with(UNFINISHED))
}

/// The system's words without Rust's `(os error 13)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(words, _)| words.to_owned())
}
