//! Deletes files and folders.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rustix::fs::{OFlags, RenameFlags};

use super::FOLDER;
use super::list::{Listing, Unfinished, list};
use super::sync::{sync_all, sync_folder};
use super::waiting::in_threads;
use super::write::{parent, rename, unfinished_sibling};
use crate::store::error::StoreError;

/// The number of threads that delete at the same time, independent of the number of cores: on a file system that
/// discards freed blocks immediately (ext4 with `discard` and without a journal), each thread waits for the disk most
/// of the time.
const DELETING_THREADS: usize = 64;

/// Deletes files and folders, by their paths below `folder`, if they exist. Durable on return.
///
/// # Errors
/// Returns the system's error.
pub fn remove_all(folder: &Path, names: &[PathBuf]) -> Result<(), StoreError> {
    let mut removed = false;
    for name in names {
        let path = folder.join(name);
        // Most do not exist, and checking first would take the same time again.
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

/// Deletes a folder in one step, if it exists. Durable on return. A process that is killed leaves it complete, or under a
/// temporary name, for [`sweep`].
///
/// # Errors
/// Returns the system's error.
pub fn remove_folder(path: &Path) -> Result<(), StoreError> {
    if !is_itself_a_folder(path) {
        return Ok(());
    }
    let gone = unfinished_sibling(path);
    rename(path, &gone, RenameFlags::empty()).map_err(|error| error.at_place(&gone, path))?;
    sync_folder(parent(path))?;
    remove_own_folder(&gone).map_err(|error| StoreError::io("remove", path, &error))
}

/// Deletes a folder and its content, even if its owner, who runs this program, has no write permission.
///
/// The folder is open until its name is gone. Otherwise the kernel would free its inode and blocks under the lock of the
/// parent folder, one folder at a time.
pub(in crate::store) fn remove_own_folder(path: &Path) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let open = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let removed = fs::remove_dir_all(path).or_else(|error| {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Err(error);
        }
        fs::set_permissions(path, fs::Permissions::from_mode(FOLDER))?;
        fs::remove_dir_all(path)
    });
    drop(open);
    removed
}

/// Returns true for a folder, and false for a link to one, because only the link must be deleted, and not its target.
fn is_itself_a_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Deletes unfinished files and folders of killed processes in `folder`, and replaced folders.
///
/// Returns the remaining names, like [`names_in`](super::names_in). Only the holder of the lock may call this.
///
/// # Errors
/// Returns the system's error.
pub fn sweep(folder: &Path) -> Result<Vec<String>, StoreError> {
    let Listing { names, mut unfinished, .. } = list(folder)?;
    // ext4 lists names in the order of their hashes. Deleting in the order of inodes, which is that of creation, frees
    // neighbouring blocks one after another.
    unfinished.sort_unstable_by_key(|one| one.inode);
    remove_unfinished(&unfinished)?;
    Ok(names)
}

/// Deletes unfinished files and folders concurrently, because a large cluster leaves as many replaced folders as it has
/// hosts.
fn remove_unfinished(unfinished: &[Unfinished]) -> Result<(), StoreError> {
    let remove = |Unfinished { path, is_folder, .. }: &Unfinished| {
        let removed = if *is_folder { remove_own_folder(path) } else { fs::remove_file(path) };
        removed.map_err(|error| StoreError::io("remove what an interrupted command left in", parent(path), &error))
    };
    in_threads(DELETING_THREADS, unfinished.len(), || unfinished.par_iter().try_for_each(remove))
}
