//! Reads files that the user named.

use std::path::{Path, PathBuf};

use super::nearby::Nearby;
use super::remedy::Remedy;
use crate::store::error::StoreError;
use crate::store::files;

/// Errors of reading a named file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// There is no such file.
    #[error("there is no {what} {}", path.display())]
    Missing {
        /// The purpose of the file, such as "trust file".
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read, or is too large.
    #[error(transparent)]
    Store(StoreError),
}

impl InputError {
    /// Returns the remedy.
    pub(crate) fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Missing { path, .. } => Some(Remedy::NameAFile(Nearby::of(path))),
            Self::Store(error) => Some(Remedy::OfStore(error.clone())),
        }
    }
}

/// Reads a file that was named directly. Blocks on standard input and `<(…)`, and refuses other pipes.
///
/// # Errors
/// Returns an error if it does not exist, is no plain file, is larger than `limit` bytes, or cannot be read.
pub fn read_named(path: &Path, limit: u64, what: &'static str) -> Result<Vec<u8>, InputError> {
    files::read_named(path, limit).map_err(|error| of(error, path, what))
}

/// Reads a file with a secret that was named directly. Waits for every pipe: another program may write the secret into
/// it.
///
/// # Errors
/// Returns an error if it does not exist, is no file, is a pipe into which nothing is written, is larger than `limit` bytes, or cannot be read.
pub fn read_or_wait(path: &Path, limit: u64, what: &'static str) -> Result<Vec<u8>, InputError> {
    files::read_or_wait(path, limit).map_err(|error| of(error, path, what))
}

/// Reads a file that another file refers to. Does not block on a pipe.
///
/// # Errors
/// Returns the errors of [`read_named`].
pub fn read(path: &Path, limit: u64, what: &'static str) -> Result<Vec<u8>, InputError> {
    files::read(path, limit).map_err(|error| of(error, path, what))
}

/// Checks that a folder that was named exists.
///
/// # Errors
/// Returns [`InputError::Missing`].
pub fn check_folder(path: &Path, what: &'static str) -> Result<(), InputError> {
    match files::is_folder(path) {
        true => Ok(()),
        false => Err(InputError::Missing { what, path: path.to_owned() }),
    }
}

/// Opens a file that was named directly.
///
/// # Errors
/// Returns an error if it does not exist, or cannot be opened.
pub fn open(path: &Path, what: &'static str) -> Result<files::Input, InputError> {
    files::open(path).map_err(|error| of(error, path, what))
}

fn of(error: StoreError, path: &Path, what: &'static str) -> InputError {
    match error {
        StoreError::Missing(_) => InputError::Missing { what, path: path.to_owned() },
        other => InputError::Store(other),
    }
}
