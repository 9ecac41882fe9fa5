//! What tells a file from any other, and from itself after a change, without reading it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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
