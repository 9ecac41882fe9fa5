//! Lists the content of folders.

use std::fs;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use crate::store::error::StoreError;
use crate::store::layout::UNFINISHED;

/// Returns the names in a folder, sorted, without hidden ones; empty if the folder does not exist.
///
/// # Errors
/// Returns the system's error.
pub fn names_in(folder: &Path) -> Result<Vec<String>, StoreError> {
    list(folder).map(|listing| listing.names)
}

/// The names in a folder, without hidden ones.
#[derive(Debug, Default)]
pub struct Names {
    /// The names, sorted.
    pub names: Vec<String>,
    /// The paths whose names are not UTF-8, sorted.
    pub not_utf8: Vec<PathBuf>,
}

/// Returns the names in a folder, and the paths whose names are not UTF-8; empty if the folder does not exist.
///
/// # Errors
/// Returns the system's error.
pub fn all_names_in(folder: &Path) -> Result<Names, StoreError> {
    list(folder).map(|Listing { names, not_utf8, .. }| Names { names, not_utf8 })
}

/// The content of a folder.
#[derive(Debug, Default)]
pub(in crate::store) struct Listing {
    /// The names, sorted, without hidden ones.
    pub(in crate::store) names: Vec<String>,
    /// The paths whose names are not UTF-8, sorted.
    pub(in crate::store) not_utf8: Vec<PathBuf>,
    /// Unfinished files and folders of a running or killed process, and replaced folders until the end of a run.
    pub(in crate::store) unfinished: Vec<Unfinished>,
}

/// A file or folder under a temporary name.
#[derive(Debug)]
pub(in crate::store) struct Unfinished {
    pub(in crate::store) path: PathBuf,
    pub(in crate::store) is_folder: bool,
    /// The number of its inode.
    pub(in crate::store) inode: u64,
}

/// Lists a folder. A folder that does not exist is empty.
///
/// # Errors
/// Returns the system's error.
pub(in crate::store) fn list(folder: &Path) -> Result<Listing, StoreError> {
    let failed = |error: io::Error| StoreError::io("list", folder, &error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Listing::default()),
        other => other.map_err(failed)?,
    };
    let mut listing = Listing::default();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            let is_folder = entry.file_type().map_err(failed)?.is_dir();
            listing.unfinished.push(Unfinished { path: entry.path(), is_folder, inode: entry.ino() });
        }
        match name.into_string() {
            Ok(name) if name.starts_with('.') => {}
            Ok(name) => listing.names.push(name),
            Err(_) => listing.not_utf8.push(entry.path()),
        }
    }
    listing.names.sort_unstable();
    listing.not_utf8.sort_unstable();
    Ok(listing)
}

/// Returns the files below `folder`, as paths relative to it with `/`, sorted.
///
/// # Errors
/// Returns [`StoreError::InTheWay`] for a link, which is not followed, and for a name that is not UTF-8, or the
/// system's error.
pub fn files_below(folder: &Path) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((dir, prefix)) = open.pop() {
        let failed = |error: io::Error| StoreError::io("list", &dir, &error);
        for entry in fs::read_dir(&dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // clusterctl never writes names that are not UTF-8, and cannot represent them here.
            let Ok(name) = entry.file_name().into_string() else { return Err(StoreError::InTheWay(entry.path())) };
            let kind = entry.file_type().map_err(failed)?;
            let path = format!("{prefix}{name}");
            if kind.is_dir() {
                open.push((entry.path(), format!("{path}/")));
            } else if kind.is_file() {
                found.push(path);
            } else {
                return Err(StoreError::InTheWay(entry.path()));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}
