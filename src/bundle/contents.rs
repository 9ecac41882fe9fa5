//! What a bundle is made of, in memory. How it comes about is [`super::render`]'s, how it is packed [`super::archive`]'s.

use std::fmt;

use zeroize::Zeroizing;

use super::manifest::Manifest;

/// The bundle's record of itself.
pub const MANIFEST: &str = "manifest.json";
/// SHA-256 of [`MANIFEST`], as `sha256sum` writes it: the one file, besides the manifest, that the manifest does not list.
pub const MANIFEST_SUM: &str = "manifest.sha256";
/// Installs the bundle on its host.
pub const INSTALLER: &str = "install.sh";

/// A bundle: its manifest, and every file with the manifest among them, sorted by path.
#[derive(Debug, PartialEq, Eq)]
pub struct Bundle {
    /// What the bundle says of itself.
    pub manifest: Manifest,
    /// All files, sorted by path, each path once.
    pub files: Vec<BundleFile>,
}

impl Bundle {
    /// The file at `path`.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&BundleFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// One file of a bundle. Its bytes are wiped on drop, for it may be a key, and `Debug` does not show them.
#[derive(PartialEq, Eq)]
pub struct BundleFile {
    /// Relative, with `/`: where the file goes on its host, seen from the host's root.
    pub path: String,
    /// Permission bits, such as 0o600.
    pub mode: u32,
    /// What is in it.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for BundleFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BundleFile({} {:04o} {} bytes)", self.path, self.mode, self.bytes.len())
    }
}
