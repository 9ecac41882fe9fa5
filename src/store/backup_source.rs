//! The files of a cluster directory that a backup contains, with their modes. They are listed and opened without
//! following links.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::error::StoreError;
use super::files::{self, Input};
use super::layout::{Layout, UNFINISHED};
use super::ledger::Ledger;
use super::staged::StagedFolder;

/// The permission bits, which a backup records.
const MODES: u32 = 0o777;
/// The name of the copy of the ledger.
const COPY: &str = "ledger.sqlite3";

/// A file or folder of the cluster directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceEntry {
    /// Its path below the cluster directory, with `/`.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
}

/// The files and folders of a cluster directory, each folder before what is in it.
#[derive(Debug, Default)]
pub struct Source {
    /// The folders.
    pub folders: Vec<SourceEntry>,
    /// The files, without unfinished ones, and without the ledger, of which there is a copy.
    pub files: Vec<SourceEntry>,
}

/// Lists the files of a cluster directory that clusterctl writes and reads: the cluster file, `pki`, `policy`, the record
/// of packed bundles, the bundles if `bundles` is true, and the folder of templates that the cluster file names, if it is
/// inside the directory.
///
/// # Errors
/// Returns [`StoreError::InTheWay`] for anything that is not a plain file or folder, or whose name is not UTF-8, or the
/// system's error.
pub fn list(layout: &Layout, bundles: bool, templates: Option<&Path>) -> Result<Source, StoreError> {
    let mut source = Source::default();
    let mut tops = vec![layout.cluster_file(), layout.packing_record(), layout.pki(), layout.policy()];
    if bundles {
        tops.extend([layout.bundles(), layout.verifier_bundle()]);
    }
    for top in tops {
        source.add(layout.dir(), &top)?;
    }
    if let Some(templates) = templates {
        source.add_with_parents(layout.dir(), templates)?;
    }
    let ledger = layout.ledger();
    let beside: Vec<String> = ["", "-wal", "-shm"]
        .iter()
        .filter_map(|ending| relative(layout.dir(), &ledger).map(|path| format!("{path}{ending}")))
        .collect();
    source.files.retain(|file| !beside.contains(&file.path));
    Ok(source)
}

fn relative(dir: &Path, path: &Path) -> Option<String> {
    path.strip_prefix(dir).ok()?.to_str().map(str::to_owned)
}

impl Source {
    /// Adds a file, or a folder with its content; does nothing if `path` does not exist.
    fn add(&mut self, dir: &Path, path: &Path) -> Result<(), StoreError> {
        let facts = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|error| StoreError::io("read", path, &error))?,
        };
        let Some(relative) = relative(dir, path) else { return Err(StoreError::InTheWay(path.to_owned())) };
        let entry = SourceEntry { path: relative, mode: facts.permissions().mode() & MODES };
        if facts.is_file() {
            self.files.push(entry);
            return Ok(());
        }
        if !facts.is_dir() {
            return Err(StoreError::InTheWay(path.to_owned()));
        }
        self.folders.push(entry);
        let failed = |error: io::Error| StoreError::io("list", path, &error);
        let mut names = Vec::new();
        for found in fs::read_dir(path).map_err(failed)? {
            let name = found.map_err(failed)?.file_name();
            if !name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        names.iter().try_for_each(|name| self.add(dir, &path.join(name)))
    }

    /// Like [`Source::add`], with the folders above it. What is listed already is not added again.
    fn add_with_parents(&mut self, dir: &Path, path: &Path) -> Result<(), StoreError> {
        let Some(below) = relative(dir, path) else { return Ok(()) };
        let has = |source: &Self, path: &str| source.folders.iter().any(|folder| folder.path == path);
        for (end, _) in below.match_indices('/') {
            let parent = &below[..end];
            if !has(self, parent) {
                let mode = files::mode(&dir.join(parent))? & MODES;
                self.folders.push(SourceEntry { path: parent.to_owned(), mode });
            }
        }
        if has(self, &below) { Ok(()) } else { self.add(dir, path) }
    }
}

/// Opens a plain file, without following links.
///
/// # Errors
/// Returns [`StoreError::InTheWay`], or the system's error.
pub fn open(path: &Path) -> Result<Input, StoreError> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let failed = |error: io::Error| StoreError::io("read", path, &error);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let is_plain = file.metadata().map_err(failed)?.is_file();
    if is_plain { Ok(Input::new(file)) } else { Err(StoreError::InTheWay(path.to_owned())) }
}

/// Returns the store's error for a failure to read.
#[must_use]
pub fn read_error(path: &Path, error: &io::Error) -> StoreError {
    StoreError::io("read", path, error)
}

/// A consistent copy of the ledger, which is removed when this value is dropped.
#[derive(Debug)]
pub struct LedgerCopy {
    folder: StagedFolder,
}

impl LedgerCopy {
    /// Copies the ledger into a temporary folder beside it.
    ///
    /// # Errors
    /// Returns an error if the ledger or the disk cannot be used.
    pub fn make(ledger: &Ledger, place: &Path) -> Result<Self, StoreError> {
        let folder = StagedFolder::begin(place)?;
        let copy = folder.path().join(COPY);
        ledger.copy_into(&copy).map_err(|error| error.at_place(&copy, place))?;
        Ok(Self { folder })
    }

    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(COPY)
    }
}
