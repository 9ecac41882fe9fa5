//! The manifest of a backup: what is in it, with the SHA-256 of each file.

use std::collections::HashSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cluster::duration::stamp;
use crate::cluster::name::ClusterName;
use crate::pki::fingerprint::Fingerprint;

/// The format's name.
const FORMAT: &str = "clusterctl backup";
/// The version that is written, and the newest that is read. It increases when an older reader would misinterpret the
/// manifest.
pub const VERSION: u64 = 1;
/// The name of the manifest in the archive, where it is first.
pub const MANIFEST: &str = "backup.json";
/// The largest manifest, in bytes: enough for [`MAX_ENTRIES`].
pub const MAX_MANIFEST: u64 = 512 << 20;
/// The largest number of files and folders. A hundred thousand hosts need a third of it.
pub const MAX_ENTRIES: usize = 2_000_000;
/// The largest size of all files together, in bytes.
pub const MAX_BYTES: u64 = 64 << 30;
/// The longest path, in bytes.
const MAX_PATH: usize = 2048;
/// The bits that a mode may have.
const MODES: u32 = 0o777;

/// The manifest of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackupManifest {
    format: String,
    version: u64,
    /// The program that wrote it.
    pub tool: String,
    /// The cluster's name.
    #[serde(with = "name")]
    pub cluster: ClusterName,
    /// When it was made.
    #[serde(with = "time_stamp")]
    pub created: OffsetDateTime,
    /// Who made it: `user@machine`.
    pub created_by: String,
    /// SHA-256 of the SubjectPublicKeyInfo of the cluster CA's root.
    pub root_pin: Fingerprint,
    /// The hash of the last link of the ledger's hash chain.
    pub ledger_head: Option<Fingerprint>,
    /// Whether the hosts' bundles are in it.
    pub bundles: bool,
    /// The folders, each before what is in it.
    pub folders: Vec<FolderEntry>,
    /// The files, in the order of the archive.
    pub files: Vec<FileEntry>,
}

/// A folder in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderEntry {
    /// Its path below the cluster directory, with `/`.
    pub path: String,
    /// Its permission bits.
    #[serde(with = "octal")]
    pub mode: u32,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its path below the cluster directory, with `/`.
    pub path: String,
    /// Its permission bits.
    #[serde(with = "octal")]
    pub mode: u32,
    /// Its length, in bytes.
    pub size: u64,
    /// The SHA-256 of its content.
    pub sha256: Fingerprint,
}

/// What a new manifest has besides folders and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFacts {
    /// The cluster's name.
    pub cluster: ClusterName,
    /// When it is made.
    pub created: OffsetDateTime,
    /// Who makes it: `user@machine`.
    pub created_by: String,
    /// SHA-256 of the SubjectPublicKeyInfo of the cluster CA's root.
    pub root_pin: Fingerprint,
    /// The hash of the last link of the ledger's hash chain.
    pub ledger_head: Option<Fingerprint>,
    /// Whether the hosts' bundles are in it.
    pub bundles: bool,
}

/// Errors of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupManifestError {
    /// It is something else.
    #[error("there is no {MANIFEST} of clusterctl at its beginning")]
    NotOne,
    /// A later version wrote it.
    #[error("it has version {found} of the format; this program knows up to {VERSION}")]
    Newer {
        /// Its version.
        found: u64,
    },
    /// Its JSON is not what clusterctl writes.
    #[error("its {MANIFEST} is not what clusterctl writes: {0}")]
    Json(String),
    /// A path that leads out of the folder, or is no path.
    #[error("{0:?} is not a path that a backup may have")]
    Path(String),
    /// A path is there twice, or the folder that it is in is not.
    #[error("{0:?} is duplicated, or the folder that it is in is missing")]
    Order(String),
    /// More or larger files than a backup may have.
    #[error("it has more than {MAX_ENTRIES} files and folders, or more than {} GiB", MAX_BYTES >> 30)]
    TooLarge,
}

impl BackupManifest {
    /// Makes the manifest of these files and folders.
    ///
    /// # Errors
    /// Returns the errors of [`BackupManifest::read`]: what could not be restored is not backed up.
    pub fn new(
        facts: BackupFacts,
        folders: Vec<FolderEntry>,
        files: Vec<FileEntry>,
    ) -> Result<Self, BackupManifestError> {
        let BackupFacts { cluster, created, created_by, root_pin, ledger_head, bundles } = facts;
        let manifest = Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            tool: format!("clusterctl {}", env!("CARGO_PKG_VERSION")),
            cluster,
            created,
            created_by,
            root_pin,
            ledger_head,
            bundles,
            folders,
            files,
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// Returns the manifest as JSON.
    ///
    /// # Errors
    /// Returns an error if it cannot be encoded.
    pub fn to_json(&self) -> Result<Vec<u8>, BackupManifestError> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| BackupManifestError::Json(error.to_string()))?;
        json.push(b'\n');
        match json.len() as u64 > MAX_MANIFEST {
            true => Err(BackupManifestError::TooLarge),
            false => Ok(json),
        }
    }

    /// Reads a manifest from an untrusted archive.
    ///
    /// # Errors
    /// Returns the reason why it is refused.
    pub fn read(bytes: &[u8]) -> Result<Self, BackupManifestError> {
        #[derive(Deserialize)]
        struct Head {
            format: Option<String>,
            version: Option<u64>,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(|_| BackupManifestError::NotOne)?;
        match (head.format.as_deref(), head.version) {
            (Some(FORMAT), Some(VERSION)) => {}
            (Some(FORMAT), Some(found)) if found > VERSION => return Err(BackupManifestError::Newer { found }),
            _ => return Err(BackupManifestError::NotOne),
        }
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| BackupManifestError::Json(error.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Returns the number of bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    fn check(&self) -> Result<(), BackupManifestError> {
        if self.folders.len() + self.files.len() > MAX_ENTRIES || self.bytes() > MAX_BYTES {
            return Err(BackupManifestError::TooLarge);
        }
        let (mut folders, mut files): (HashSet<&str>, HashSet<&str>) = (HashSet::new(), HashSet::new());
        let all = self.folders.iter().map(|folder| (&folder.path, folder.mode, true));
        for (path, mode, is_folder) in all.chain(self.files.iter().map(|file| (&file.path, file.mode, false))) {
            if !is_path(path) || mode & !MODES != 0 {
                return Err(BackupManifestError::Path(path.clone()));
            }
            let is_in_order = path.rsplit_once('/').is_none_or(|(parent, _)| folders.contains(parent));
            let is_new = match is_folder {
                true => folders.insert(path),
                false => !folders.contains(path.as_str()) && files.insert(path),
            };
            if !is_in_order || !is_new {
                return Err(BackupManifestError::Order(path.clone()));
            }
        }
        Ok(())
    }
}

/// Returns true for a relative path without `.` and `..`, which is no manifest's.
fn is_path(path: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\0', '\\']);
    path.len() <= MAX_PATH && path != MANIFEST && path.split('/').all(is_part)
}

mod octal {
    use super::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{mode:04o}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(&text, 8).map_err(de::Error::custom)
    }
}

mod name {
    use super::{ClusterName, Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(name: &ClusterName, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClusterName, D::Error> {
        ClusterName::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

mod time_stamp {
    use super::{Deserialize, Deserializer, OffsetDateTime, Rfc3339, Serializer, de, stamp};

    pub(super) fn serialize<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&stamp(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
        OffsetDateTime::parse(&String::deserialize(deserializer)?, &Rfc3339).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn manifest(folders: &[&str], files: &[&str]) -> Result<BackupManifest, BackupManifestError> {
        let facts = BackupFacts {
            cluster: ClusterName::parse("prod").expect("a name"),
            created: datetime!(2026-11-23 12:00 UTC),
            created_by: "admin@laptop".to_owned(),
            root_pin: Fingerprint::of(b"root"),
            ledger_head: None,
            bundles: true,
        };
        let folder = |path: &&str| FolderEntry { path: (*path).to_owned(), mode: 0o700 };
        let file = |path: &&str| FileEntry {
            path: (*path).to_owned(),
            mode: 0o600,
            size: 1,
            sha256: Fingerprint::of(path.as_bytes()),
        };
        BackupManifest::new(facts, folders.iter().map(folder).collect(), files.iter().map(file).collect())
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let manifest = manifest(&["pki", "pki/etcd"], &["cluster.yaml", "pki/etcd/ca.key"]).expect("good");
        let json = manifest.to_json().expect("JSON");
        assert_eq!(BackupManifest::read(&json), Ok(manifest));
        let text = String::from_utf8(json).expect("text");
        let newer = text.replace("\"version\": 1", "\"version\": 2").replace("\"files\"", "\"entries\"");
        assert_eq!(BackupManifest::read(newer.as_bytes()), Err(BackupManifestError::Newer { found: 2 }));
        for other in ["", "{}", "[]", "{\"format\":\"clusterctl backup\"}"] {
            assert_eq!(BackupManifest::read(other.as_bytes()), Err(BackupManifestError::NotOne), "{other}");
        }
        let wrong = text.replace("0600", "none");
        assert!(matches!(BackupManifest::read(wrong.as_bytes()), Err(BackupManifestError::Json(_))));
        let set_uid = text.replace("0600", "4755");
        assert!(matches!(BackupManifest::read(set_uid.as_bytes()), Err(BackupManifestError::Path(_))));
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in ["/etc/passwd", "..", "../a", "pki/../../a", "pki//a", "./a", "", "backup.json", "a\0"] {
            assert!(matches!(manifest(&["pki"], &[path]), Err(BackupManifestError::Path(_))), "{path}");
        }
        for (folders, files) in
            [(vec![], vec!["pki/a"]), (vec!["pki", "pki"], vec![]), (vec!["a"], vec!["a"]), (vec![], vec!["a", "a"])]
        {
            assert!(matches!(manifest(&folders, &files), Err(BackupManifestError::Order(_))), "{folders:?} {files:?}");
        }
    }
}
