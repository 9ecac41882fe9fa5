//! Replaces a lost or damaged ledger.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::RenameFlags;

use super::{Ledger, wal};
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::staged::StagedFolder;

/// The name of the ledger while it is filled.
const NAME: &str = "ledger.sqlite3";

/// A ledger that is filled under a temporary name and then renamed, so that it appears complete.
#[derive(Debug)]
pub struct StagedLedger {
    folder: StagedFolder,
    place: PathBuf,
}

impl StagedLedger {
    /// Creates and opens a temporary ledger that will be renamed to `place`. It has to be closed before
    /// [`StagedLedger::publish`].
    ///
    /// # Errors
    /// Returns the system's error.
    pub fn begin(place: &Path) -> Result<(Self, Ledger), StoreError> {
        let folder = StagedFolder::begin(place)?;
        let ledger = Ledger::create_as(&folder.path().join(NAME), place)?;
        Ok((Self { folder, place: place.to_owned() }, ledger))
    }

    /// Renames the ledger to its final path. Durable on return.
    ///
    /// An existing file and its log are kept beside it, under a name that ends in `suffix` or in `suffix` and a number.
    /// Returns that name.
    ///
    /// # Errors
    /// Returns the system's error. In that case, the previous content is unchanged.
    pub fn publish(self, suffix: &str) -> Result<Option<PathBuf>, StoreError> {
        self.folder.sync()?;
        let kept = match files::exists(&self.place) {
            true => Some(self.keep(suffix)?),
            false => None,
        };
        let folder = files::parent(&self.place);
        files::sync_folder(folder)?;
        // SQLite would apply an old log to the new ledger.
        for ending in ["-wal", "-shm"] {
            let path = wal::beside(&self.place, ending);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", &path, &error));
                }
                _ => {}
            }
        }
        files::rename(&self.folder.path().join(NAME), &self.place, RenameFlags::empty())?;
        files::sync_folder(folder)?;
        Ok(kept)
    }

    /// Links the existing file and its log to another name.
    fn keep(&self, suffix: &str) -> Result<PathBuf, StoreError> {
        let mut kept = wal::beside(&self.place, suffix);
        let mut count = 1;
        while files::exists(&kept) {
            count += 1;
            kept = wal::beside(&self.place, &format!("{suffix}-{count}"));
        }
        for ending in ["", "-wal"] {
            let (from, to) = (wal::beside(&self.place, ending), wal::beside(&kept, ending));
            if files::exists(&from) {
                // A folder has no second name, and some file systems have none for files.
                let kept = fs::hard_link(&from, &to).or_else(|_| fs::rename(&from, &to));
                kept.map_err(|error| StoreError::io("keep", &from, &error))?;
            }
        }
        Ok(kept)
    }
}
