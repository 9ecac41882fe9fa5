//! Syncs written data to the disk.

use std::fs::File;
use std::io;
use std::path::Path;

#[cfg(not(target_os = "linux"))]
use super::files_below;
use crate::store::error::StoreError;

/// Syncs everything that was written to the file system of `folder`.
///
/// # Errors
/// Returns the system's error. If the disk fails here, the written data is lost.
pub fn sync_all(folder: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| StoreError::io("sync", folder, &error);
    let handle = File::open(folder).map_err(failed)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&handle).map_err(|error| failed(error.into()))?;
    #[cfg(not(target_os = "linux"))]
    {
        drop(handle);
        for path in files_below(folder)? {
            File::open(folder.join(path)).and_then(|file| file.sync_all()).map_err(failed)?;
        }
    }
    Ok(())
}

/// Syncs the names in a folder to the disk.
pub(in crate::store) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|dir| dir.sync_all()).map_err(|error| StoreError::io("sync", folder, &error))
}
