//! Atomic writes: a file is created with its mode under a temporary name in the same folder, synced, and then renamed.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::exists;
use super::owner::{give_file, give_folder};
use super::sync::sync_folder;
use crate::store::error::StoreError;
use crate::store::layout::UNFINISHED;

/// The mode of files that all users may read.
pub const PUBLIC: u32 = 0o644;
/// The mode of files that only their owner may read.
pub const PRIVATE: u32 = 0o600;
/// The mode of folders.
pub const FOLDER: u32 = 0o700;

/// Creates a folder and its missing parents with mode 0700.
///
/// # Errors
/// Returns the system's error.
pub fn create_folder(path: &Path) -> Result<(), StoreError> {
    create(DirBuilder::new().recursive(true).mode(FOLDER), path)
}

/// Creates a folder and its missing parents, readable by all users as far as the umask allows.
///
/// # Errors
/// Returns the system's error.
pub fn create_open_folder(path: &Path) -> Result<(), StoreError> {
    create(DirBuilder::new().recursive(true), path)
}

/// Creates a folder and its missing parents. They belong to the owner of the folder above them.
fn create(builder: &DirBuilder, path: &Path) -> Result<(), StoreError> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !exists(path)).collect();
    builder.create(path).map_err(|error| StoreError::io("create", path, &error))?;
    missing.into_iter().rev().for_each(give_folder);
    Ok(())
}

/// Creates the missing folders of `path` below `root`, each with the mode that `mode` returns for its path below
/// `root`.
///
/// # Errors
/// Returns the system's error.
pub fn create_folders_below(root: &Path, path: &str, mode: impl Fn(&str) -> u32) -> Result<(), StoreError> {
    for (at, _) in path.match_indices('/') {
        let below = &path[..at];
        let folder = root.join(below);
        match DirBuilder::new().mode(mode(below)).create(&folder) {
            Ok(()) => {
                give_folder(&folder);
                sync_folder(parent(&folder))?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(StoreError::io("create", &folder, &error)),
        }
    }
    Ok(())
}

/// Writes a file that must not exist yet.
///
/// # Errors
/// Returns [`StoreError::Exists`] if the file exists, even if another process created it concurrently, or the system's
/// error. No partial file remains.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    put(path, bytes, mode, RenameFlags::NOREPLACE)
}

/// Writes a file, and replaces an existing one.
///
/// # Errors
/// Returns the system's error. In that case, the old file is unchanged, and no partial file remains.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    put(path, bytes, mode, RenameFlags::empty())
}

fn put(path: &Path, bytes: &[u8], mode: u32, how: RenameFlags) -> Result<(), StoreError> {
    if how == RenameFlags::NOREPLACE && exists(path) {
        return Err(StoreError::Exists(path.to_owned()));
    }
    let unfinished = unfinished_sibling(path);
    let written = write_file(&unfinished, bytes, mode, Durable::Now)
        .and_then(|_| rename(&unfinished, path, how))
        .and_then(|()| sync_folder(parent(path)));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written.map_err(|error| error.at_place(&unfinished, path))
}

/// The point at which a written file must be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Durable {
    /// Before the write returns.
    Now,
    /// At the [`super::sync_all`] that follows a batch.
    WithTheBatch,
}

pub(in crate::store) fn write_file(path: &Path, bytes: &[u8], mode: u32, durable: Durable) -> Result<File, StoreError> {
    let failed = |error: io::Error| StoreError::io("write", path, &error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    give_file(&file, path);
    file.write_all(bytes).map_err(failed)?;
    match durable {
        Durable::Now => file.sync_all().map_err(failed)?,
        Durable::WithTheBatch => {}
    }
    Ok(file)
}

/// Writes a file that must not exist yet. It is on the disk only after [`super::sync_all`].
pub(in crate::store) fn write_with_the_batch(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    write_file(path, bytes, mode, Durable::WithTheBatch).map(|_| ())
}

pub(in crate::store) fn rename(from: &Path, to: &Path, how: RenameFlags) -> Result<(), StoreError> {
    match renameat_with(CWD, from, CWD, to, how) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST) => Err(StoreError::Exists(to.to_owned())),
        // Some file systems (NFS, some FUSE) do not support the flag. Under the lock, checking first is sufficient.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if how == RenameFlags::NOREPLACE => {
            if exists(to) {
                return Err(StoreError::Exists(to.to_owned()));
            }
            fs::rename(from, to).map_err(|error| StoreError::io("write", to, &error))
        }
        Err(error) => Err(StoreError::io("write", to, &error.into())),
    }
}

pub(in crate::store) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(in crate::store) fn unfinished_sibling(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = OsString::from(UNFINISHED);
    name.push(format!("{}-{count}", std::process::id()));
    parent(path).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::files::{mode, read};

    #[test]
    fn a_new_file_has_its_mode_and_is_never_replaced() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("ca.key");
        write_new(&path, b"one", PRIVATE).expect("written");
        assert_eq!(mode(&path), Ok(0o600));
        assert_eq!(write_new(&path, b"two", PRIVATE), Err(StoreError::Exists(path.clone())));
        assert_eq!(read(&path, 10), Ok(b"one".to_vec()));
        assert_eq!(read(&path, 2), Err(StoreError::TooLarge { path: path.clone(), limit: 2 }));
        replace(&path, b"two", PRIVATE).expect("replaced");
        assert_eq!(read(&path, 10), Ok(b"two".to_vec()));
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
}
