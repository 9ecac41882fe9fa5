//! Reads a host's bundle in each of its formats: archive, folder, user-data for cloud-init, Ignition config.

use std::path::Path;

use zeroize::Zeroizing;

use crate::bundle::archive::{self, ArchiveError, MAX_FILES, MAX_UNPACKED};
use crate::bundle::format;
use crate::bundle::model::{Bundle, BundleFile};
use crate::store::error::StoreError;
use crate::store::{files, trees};

/// The largest bundle that is read, in bytes: user-data is text, and longer than its files.
const MAX_BYTES: u64 = 2 * MAX_UNPACKED;

/// The number of leading bytes that identify a bundle.
const HEAD: usize = 200;

/// Errors of reading a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadBundleError {
    /// A file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not a bundle, or is damaged.
    #[error(transparent)]
    Bundle(#[from] ArchiveError),
}

impl ReadBundleError {
    /// Returns true if a later version wrote the bundle and it has no other problem.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Bundle(error) if error.is_newer())
    }
}

/// Reads the bundle at `path`, a file or a folder.
///
/// # Errors
/// Returns an error if it cannot be read, or is not a valid bundle.
pub fn read(path: &Path) -> Result<Bundle, ReadBundleError> {
    if files::is_folder(path) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let tree = trees::read(path, MAX_UNPACKED, MAX_FILES)?;
        let tree = tree.into_iter().map(|(path, mode, bytes)| BundleFile { path, mode, bytes: bytes.into() }).collect();
        return Ok(archive::confirmed(name, tree)?);
    }
    let bytes = Zeroizing::new(files::read(path, MAX_BYTES)?);
    Ok(format::read(&bytes)?)
}

/// Returns true if a file that begins with `bytes` looks like a bundle.
#[must_use]
pub fn looks_like_bundle(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(HEAD)];
    bytes.starts_with(&[0x1f, 0x8b])
        || bytes.starts_with(b"#cloud-config\n")
        || (bytes.starts_with(b"{") && head.windows(10).any(|window| window == b"\"ignition\""))
}
