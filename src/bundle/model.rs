//! A bundle in memory. [`super::render`] creates bundles, [`super::packer`] packs them.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::manifest::{Manifest, ManifestFile, RotationMark};
use crate::pki::fingerprint::Fingerprint;

/// The bundle's manifest.
pub const MANIFEST: &str = "manifest.json";
/// SHA-256 of [`MANIFEST`], in `sha256sum`'s format.
///
/// The manifest does not list itself, this file or its signature.
pub const MANIFEST_SUM: &str = "manifest.sha256";
/// The signature of [`MANIFEST`], if it is signed.
pub const SIGNATURE: &str = "manifest.json.sig";
/// The script that installs the bundle on its host.
pub const INSTALLER: &str = "install.sh";

/// Returns the contents of [`MANIFEST_SUM`].
pub(super) fn manifest_sum(of: Fingerprint) -> String {
    format!("{of}  {MANIFEST}\n")
}

/// Returns the mode of a folder that the installer creates on the host. The kubelet's own folders have keys.
#[must_use]
pub fn folder_mode(path: &str) -> u32 {
    if path == KUBELET_FOLDER || path.starts_with(&format!("{KUBELET_FOLDER}/")) { 0o750 } else { 0o755 }
}

const KUBELET_FOLDER: &str = "var/lib/kubelet";

/// A bundle: its manifest, and all files, including the manifest.
#[derive(Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The manifest.
    pub manifest: Manifest,
    /// All files, sorted by path, each path once.
    pub files: Vec<BundleFile>,
}

impl Bundle {
    /// Returns the bundle of `files`: they are listed in `manifest`, which is added with its checksum.
    pub(super) fn with_manifest(mut manifest: Manifest, mut files: Vec<BundleFile>) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let listed =
            |file: &BundleFile| ManifestFile { path: file.path.clone(), mode: file.mode, sha256: file.bytes.sha256() };
        manifest.files = files.iter().map(listed).collect();
        let json = manifest.to_json().into_bytes();
        let sum = manifest_sum(Fingerprint::of(&json)).into_bytes();
        for (path, bytes) in [(MANIFEST, json), (MANIFEST_SUM, sum)] {
            files.push(BundleFile { path: path.to_owned(), mode: 0o644, bytes: bytes.into() });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { manifest, files }
    }

    /// Returns the bundle with another phase in its manifest.
    #[must_use]
    pub fn marked(mut self, rotation: Option<RotationMark>) -> Self {
        self.manifest.rotation = rotation;
        let json = self.manifest.to_json().into_bytes();
        let sum = manifest_sum(Fingerprint::of(&json)).into_bytes();
        for (path, bytes) in [(MANIFEST, json), (MANIFEST_SUM, sum)] {
            if let Some(file) = self.files.iter_mut().find(|file| file.path == path) {
                file.bytes = bytes.into();
            }
        }
        self
    }

    /// Returns SHA-256 of the manifest without its generation: equal for two bundles with the same contents.
    #[must_use]
    pub fn content(&self) -> Fingerprint {
        let json: &[u8] = self.file(MANIFEST).map_or(&[], |file| &file.bytes);
        // A line feed in a value is escaped, so only this line can match.
        let line = format!("\n  \"generation\": {},\n", self.manifest.generation);
        let at = json.windows(line.len()).position(|window| window == line.as_bytes());
        match at {
            Some(at) => Fingerprint::of(&[&json[..at], &json[at + line.len()..]].concat()),
            None => Fingerprint::of(json),
        }
    }

    /// Returns the file at `path`.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&BundleFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// One file of a bundle. `Debug` does not show its contents, which may be a key.
#[derive(PartialEq, Eq)]
pub struct BundleFile {
    /// Its path on the host, relative to the host's root.
    pub path: String,
    /// Permission bits, such as 0o600.
    pub mode: u32,
    /// Its contents.
    pub bytes: Contents,
}

/// The bytes of a file. Contents of a single host are wiped on drop.
pub struct Contents(Kind);

enum Kind {
    Own(Zeroizing<Vec<u8>>),
    Common(Common),
}

/// Contents without secrets that all hosts' bundles share. They are in memory once, with their checksum.
#[derive(Clone)]
pub(super) struct Common(Arc<(Vec<u8>, Fingerprint)>);

impl Common {
    /// Computes the checksum of `bytes`.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let sha256 = Fingerprint::of(&bytes);
        Self(Arc::new((bytes, sha256)))
    }
}

impl fmt::Debug for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Common({} bytes)", self.0.0.len())
    }
}

impl Contents {
    /// Returns SHA-256 of the bytes.
    #[must_use]
    pub fn sha256(&self) -> Fingerprint {
        match &self.0 {
            Kind::Own(bytes) => Fingerprint::of(bytes),
            Kind::Common(common) => common.0.1,
        }
    }
}

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kind::Own(bytes) => bytes,
            Kind::Common(common) => &common.0.0,
        }
    }
}

impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Contents {}

impl From<Common> for Contents {
    fn from(common: Common) -> Self {
        Self(Kind::Common(common))
    }
}

impl From<Zeroizing<Vec<u8>>> for Contents {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(Kind::Own(bytes))
    }
}

impl From<Vec<u8>> for Contents {
    fn from(bytes: Vec<u8>) -> Self {
        Zeroizing::new(bytes).into()
    }
}

impl fmt::Debug for BundleFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BundleFile({} {:04o} {} bytes)", self.path, self.mode, self.bytes.len())
    }
}
