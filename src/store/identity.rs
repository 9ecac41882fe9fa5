//! What tells a file from any other, and from itself after a change, without reading it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, statat};
use time::OffsetDateTime;

/// What tells a file from any other, and from itself after a change: nobody but the kernel, or whoever may set the clock, sets
/// the time of its last change (ctime).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// When the kernel saw its last change.
    changed: (i64, i64),
}

impl Identity {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether its last change was before that.
    pub(super) fn changed_before(&self, moment: OffsetDateTime) -> bool {
        self.changed < (moment.unix_timestamp(), i64::from(moment.nanosecond()))
    }
}

/// The identity of the file at `path`; `None` when it cannot be looked at.
pub(super) fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|metadata| Identity::of(&metadata))
}

/// Looks at many files below one folder, without going down to it for each.
#[derive(Debug)]
pub(super) struct Looker(File);

impl Looker {
    /// At this folder.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn at(folder: &Path) -> io::Result<Self> {
        File::open(folder).map(Self)
    }

    /// As [`identity`] of the file at that path in the folder.
    pub(super) fn identity(&self, path: &str) -> Option<Identity> {
        let found = statat(&self.0, path, AtFlags::empty()).ok()?;
        Some(Identity {
            inode: found.st_ino,
            size: u64::try_from(found.st_size).ok()?,
            modified: (found.st_mtime, i64::try_from(found.st_mtime_nsec).ok()?),
            changed: (found.st_ctime, i64::try_from(found.st_ctime_nsec).ok()?),
        })
    }
}
