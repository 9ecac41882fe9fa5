//! The owner of new files and folders: what root creates in the folder of another user belongs to that user.
//!
//! With `sudo`, or with `--trust-owner`, root writes in a directory of another user, who could not read or replace the files
//! afterwards.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, fchown, lchown};
use std::path::Path;

/// Gives a new file to the owner of its folder, if root made it. A file system without owners is no error.
pub(in crate::store) fn give_file(file: &File, path: &Path) {
    if let Some((uid, gid)) = other_owner(path) {
        let _ = fchown(file, Some(uid), Some(gid));
    }
}

/// Like [`give_file`], for a new folder.
pub(in crate::store) fn give_folder(path: &Path) {
    if let Some((uid, gid)) = other_owner(path) {
        let _ = lchown(path, Some(uid), Some(gid));
    }
}

/// Returns the owner and the group of the folder of `path`, if this process runs as root and the folder is another
/// user's.
fn other_owner(path: &Path) -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs::metadata(folder).ok()?;
    (folder.uid() != 0).then(|| (folder.uid(), folder.gid()))
}
