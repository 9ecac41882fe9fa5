//! The identity of a file's content, from its metadata, without reading it.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, statat};
use time::OffsetDateTime;

/// Metadata that differs between any two files, and changes whenever a file changes. Only the kernel sets the time of
/// the last change (ctime), so only a change of the machine's clock can hide a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// The ctime.
    changed: (i64, i64),
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Returns true if the last change was before `moment`.
    pub(super) fn changed_before(&self, moment: OffsetDateTime) -> bool {
        self.changed < (moment.unix_timestamp(), i64::from(moment.nanosecond()))
    }
}

/// Returns the identity of the file at a path, links followed; `None` if it is missing or inaccessible.
#[must_use]
pub fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|metadata| Identity::of(&metadata))
}

/// Returns the identity of the file at a path below an open folder; `None` if it is missing or inaccessible.
pub(super) fn identity_at(folder: &File, path: &str) -> Option<Identity> {
    let found = statat(folder, path, AtFlags::empty()).ok()?;
    Some(Identity {
        inode: found.st_ino,
        size: u64::try_from(found.st_size).ok()?,
        modified: (found.st_mtime, i64::try_from(found.st_mtime_nsec).ok()?),
        changed: (found.st_ctime, i64::try_from(found.st_ctime_nsec).ok()?),
    })
}
