//! Reads the metadata of files.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::store::error::StoreError;

/// Returns the first link in the path `below` that leads out of `root` or to nothing, if there is one.
///
/// In an image of a host, the target of an absolute link is a file of the machine that the program runs on.
#[must_use]
pub fn leads_out(root: &Path, below: &str) -> Option<PathBuf> {
    let inside = fs::canonicalize(root).ok()?;
    let mut path = root.to_owned();
    for name in Path::new(below).components() {
        path.push(name);
        if fs::symlink_metadata(&path).is_err() {
            return None;
        }
        match fs::canonicalize(&path) {
            Ok(real) if real.starts_with(&inside) => {}
            _ => return Some(path),
        }
    }
    None
}

/// Returns true if `path`, which need not exist, is inside of `folder`, links followed.
#[must_use]
pub fn is_inside(path: &Path, folder: &Path) -> bool {
    let Ok(folder) = fs::canonicalize(folder) else { return false };
    let existing = path.ancestors().find_map(|above| fs::canonicalize(above).ok());
    existing.is_some_and(|existing| existing.starts_with(folder))
}

/// Returns true for a file of no bytes.
pub(in crate::store) fn is_empty(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}

/// Returns true if something is at `path`, even a broken link.
#[must_use]
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Returns true if a folder is at `path`, or a link to one.
#[must_use]
pub fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// Returns the unique identity of a folder, independent of its path: its device and inode; `None` if there is none.
#[must_use]
pub fn folder_id(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Returns true if a plain file is at `path`, or a link to one.
#[must_use]
pub fn is_plain_file(path: &Path) -> bool {
    path.is_file()
}

/// Returns true if nothing is at `path`, and false if that cannot be determined.
#[must_use]
pub fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Returns the time of the last change of a file or folder; `None` if it does not exist, or its metadata cannot be
/// read.
#[must_use]
pub fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// The owner of a file, who is not the user that runs this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The owner.
    pub uid: u32,
    /// The user that runs this program.
    pub ours: u32,
}

/// Returns the owner of a file or folder, unless it is the user that runs this program or, for root, the user who
/// became root with `sudo`; `None` also if the file does not exist.
#[must_use]
pub fn another_owner(path: &Path, sudo: Option<u32>) -> Option<Owner> {
    let (uid, ours) = (fs::metadata(path).ok()?.uid(), rustix::process::geteuid().as_raw());
    let known = uid == ours || (ours == 0 && sudo == Some(uid));
    (!known).then_some(Owner { uid, ours })
}

/// Returns the permission bits of a file or folder.
///
/// # Errors
/// Returns the system's error.
pub fn mode(path: &Path) -> Result<u32, StoreError> {
    let metadata = fs::metadata(path).map_err(|error| StoreError::io("read", path, &error))?;
    Ok(metadata.permissions().mode() & 0o7777)
}

/// Returns the permission bits of a plain file; `None` if it does not exist, or its metadata cannot be read.
#[must_use]
pub fn mode_of_file(path: &Path) -> Option<u32> {
    let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
    Some(metadata.permissions().mode() & 0o7777)
}

/// Returns a file's length in bytes.
///
/// # Errors
/// Returns the system's error.
pub fn size(path: &Path) -> Result<u64, StoreError> {
    fs::metadata(path).map(|facts| facts.len()).map_err(|error| StoreError::io("read", path, &error))
}
