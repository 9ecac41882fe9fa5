//! Deletes files and folders.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::FOLDER;
use super::sync::sync_all;
use crate::store::error::StoreError;
use crate::store::layout::UNFINISHED;

/// Deletes files and folders, by their paths below `folder`, as far as they exist. Durable on return.
///
/// # Errors
/// The system's error.
pub fn remove_all(folder: &Path, names: &[PathBuf]) -> Result<(), StoreError> {
    let mut removed = false;
    for name in names {
        let path = folder.join(name);
        // Most do not exist, and checking first would take as long again.
        let gone = match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound && is_itself_a_folder(&path) => {
                fs::remove_dir_all(&path)
            }
            tried => tried,
        };
        match gone {
            Ok(()) => removed = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("remove", &path, &error)),
        }
    }
    if removed { sync_all(folder) } else { Ok(()) }
}

/// Deletes a folder and its content, also where its owner, who runs this program, may not write in it.
pub(in crate::store) fn remove_own_folder(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path).or_else(|error| {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Err(error);
        }
        fs::set_permissions(path, fs::Permissions::from_mode(FOLDER))?;
        fs::remove_dir_all(path)
    })
}

/// Returns true for a folder, and false for a link to one: only the link is deleted, and not its target.
fn is_itself_a_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Deletes the unfinished files and folders that a killed process left in `folder`, and folders that were replaced.
///
/// Only the holder of the lock may call it.
///
/// # Errors
/// The system's error.
pub fn sweep(folder: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| StoreError::io("clean", folder, &error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    let mut unfinished = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            unfinished.push((entry.path(), entry.file_type().map_err(failed)?.is_dir()));
        }
    }
    // After the folders of a large fleet were replaced there are as many.
    unfinished.into_par_iter().try_for_each(|(path, is_folder)| {
        let removed = if is_folder { remove_own_folder(&path) } else { fs::remove_file(&path) };
        removed.map_err(|error| StoreError::io("remove", &path, &error))
    })
}
