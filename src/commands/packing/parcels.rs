//! A host's bundle, read in whichever form it was handed over: an archive, a folder, user-data, an Ignition config.

use std::path::Path;

use zeroize::Zeroizing;

use crate::bundle::archive::{self, ArchiveError, MAX_FILES, MAX_UNPACKED};
use crate::bundle::format;
use crate::bundle::model::{Bundle, BundleFile};
use crate::store::error::StoreError;
use crate::store::{files, trees};

/// User-data is text, and longer than what is in it.
const LIMIT: u64 = 2 * MAX_UNPACKED;

/// Why what lies there is no bundle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParcelError {
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is none, or no good one.
    #[error(transparent)]
    Bundle(#[from] ArchiveError),
}

impl ParcelError {
    /// Whether a later version made it, and nothing else is wrong.
    pub(crate) fn is_newer(&self) -> bool {
        matches!(self, Self::Bundle(error) if error.is_newer())
    }
}

/// Reads the bundle at `path`.
///
/// # Errors
/// When it cannot be read, or is no good bundle.
pub(crate) fn read(path: &Path) -> Result<Bundle, ParcelError> {
    if files::is_folder(path) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let tree = trees::read(path, MAX_UNPACKED, MAX_FILES)?;
        let tree = tree.into_iter().map(|(path, mode, bytes)| BundleFile { path, mode, bytes: bytes.into() }).collect();
        return Ok(archive::confirmed(name, tree)?);
    }
    let bytes = Zeroizing::new(files::read(path, LIMIT)?);
    Ok(format::read(&bytes)?)
}

/// Whether these are the beginnings of a bundle, rather than of something else that can be explained.
pub(crate) fn looks_like_one(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(200)];
    bytes.starts_with(&[0x1f, 0x8b])
        || bytes.starts_with(b"#cloud-config\n")
        || (bytes.starts_with(b"{") && head.windows(10).any(|window| window == b"\"ignition\""))
}
