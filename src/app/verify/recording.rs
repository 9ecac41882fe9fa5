//! Recordings of runs in files.

use std::path::Path;

use super::error::VerifyError;
use crate::app::Error;
use crate::app::input::InputError;
use crate::store::error::StoreError;
use crate::store::files;
use crate::verify::recording::{MAX_BYTES, Recording};

/// Refuses, before the run, a file for a recording that already exists or whose folder does not exist.
///
/// # Errors
/// Returns [`StoreError::Exists`], [`VerifyError::NoFolder`].
pub fn check_writable(path: &Path) -> Result<(), Error> {
    if files::exists(path) {
        return Err(StoreError::Exists(path.to_owned()).into());
    }
    match path.parent().filter(|parent| !files::exists(parent)) {
        Some(parent) => Err(VerifyError::NoFolder(parent.to_owned()).into()),
        None => Ok(()),
    }
}

/// Writes a recording to a new file.
///
/// # Errors
/// Returns an error if the run has more than a recording may have, or the file cannot be written.
pub fn write(path: &Path, recording: &Recording) -> Result<(), Error> {
    let bytes = recording.to_bytes().map_err(|source| VerifyError::Unwritten { path: path.to_owned(), source })?;
    Ok(files::write_new(path, &bytes, files::PRIVATE)?)
}

/// Reads a recording.
///
/// # Errors
/// Returns an error if the file does not exist, cannot be read, or is not a recording.
pub fn read(path: &Path) -> Result<Recording, Error> {
    let bytes = match files::read_named(path, MAX_BYTES) {
        Err(StoreError::Missing(_)) => {
            return Err(InputError::Missing { what: "recording", path: path.to_owned() }.into());
        }
        Err(source @ StoreError::TooLarge { .. }) => {
            return Err(VerifyError::RecordingTooLarge { path: path.to_owned(), source }.into());
        }
        other => other?,
    };
    Ok(Recording::from_bytes(&bytes).map_err(|source| VerifyError::Recording { path: path.to_owned(), source })?)
}
