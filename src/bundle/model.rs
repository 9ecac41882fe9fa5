//! What a bundle is made of, in memory. How it comes about is [`super::render`]'s, how it is packed [`super::packer`]'s.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::manifest::{Manifest, ManifestFile};
use crate::pki::fingerprint::Fingerprint;

/// The bundle's record of itself.
pub const MANIFEST: &str = "manifest.json";
/// SHA-256 of [`MANIFEST`], as `sha256sum` writes it. The manifest lists neither itself, nor this, nor its signature.
pub const MANIFEST_SUM: &str = "manifest.sha256";
/// The signature over [`MANIFEST`], where somebody signed it.
pub const SIGNATURE: &str = "manifest.json.sig";
/// Installs the bundle on its host.
pub const INSTALLER: &str = "install.sh";

/// What stands in [`MANIFEST_SUM`], as `sha256sum` writes it.
pub(super) fn manifest_sum(of: Fingerprint) -> String {
    format!("{of}  {MANIFEST}\n")
}

/// The mode of a folder on the host, where the bundle's installer has to make it. The kubelet's own folders hold keys.
#[must_use]
pub fn folder_mode(path: &str) -> u32 {
    if path == KUBELET_FOLDER || path.starts_with(&format!("{KUBELET_FOLDER}/")) { 0o750 } else { 0o755 }
}

const KUBELET_FOLDER: &str = "var/lib/kubelet";

/// A bundle: its manifest, and every file with the manifest among them, sorted by path.
#[derive(Debug, PartialEq, Eq)]
pub struct Bundle {
    /// What the bundle says of itself.
    pub manifest: Manifest,
    /// All files, sorted by path, each path once.
    pub files: Vec<BundleFile>,
}

impl Bundle {
    /// Lists `files` in `manifest`, and adds the manifest and its checksum to them.
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

    /// SHA-256 of all that the manifest says but for its generation: the same for two bundles with the same in them.
    #[must_use]
    pub fn content(&self) -> Fingerprint {
        let json: &[u8] = self.file(MANIFEST).map_or(&[], |file| &file.bytes);
        // A line feed in a value is escaped, so that this is the line and nothing else.
        let line = format!("\n  \"generation\": {},\n", self.manifest.generation);
        let at = json.windows(line.len()).position(|window| window == line.as_bytes());
        match at {
            Some(at) => Fingerprint::of(&[&json[..at], &json[at + line.len()..]].concat()),
            None => Fingerprint::of(json),
        }
    }

    /// The file at `path`.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&BundleFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// One file of a bundle. `Debug` does not show what is in it, for it may be a key.
#[derive(PartialEq, Eq)]
pub struct BundleFile {
    /// Relative, with `/`: where the file goes on its host, seen from the host's root.
    pub path: String,
    /// Permission bits, such as 0o600.
    pub mode: u32,
    /// What is in it.
    pub bytes: Contents,
}

/// The bytes of a file. Those of one host alone are wiped on drop.
pub struct Contents(Kind);

enum Kind {
    Own(Zeroizing<Vec<u8>>),
    Common(Common),
}

/// What every host's bundle has alike: no secret. It lies in memory once, and its checksum is taken once.
#[derive(Clone)]
pub(super) struct Common(Arc<(Vec<u8>, Fingerprint)>);

impl Common {
    /// These bytes.
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
    /// SHA-256 of the bytes.
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
