//! Finds the files of the policy folder that change. All others stay as they are.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::bundle::policy::PolicyFile;
use crate::store::error::StoreError;
use crate::store::files::{self, PUBLIC};
use crate::store::staged::StagedFolder;

/// The largest file that is copied, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// A file of the policy folder that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyChange {
    /// Its path in the folder.
    pub path: String,
    /// How it changes.
    pub kind: ChangeKind,
}

/// How a file changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Missing,
    /// It has other content.
    Content,
    /// It is removed.
    Superfluous,
}

impl ChangeKind {
    /// Returns the id, as in JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Content => "content",
            Self::Superfluous => "superfluous",
        }
    }
}

/// Compares files with those of a folder.
pub(super) struct FolderComparison {
    folder: PathBuf,
    wanted: HashSet<String>,
    changes: Vec<PolicyChange>,
}

impl FolderComparison {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), wanted: HashSet::new(), changes: Vec::new() }
    }

    /// Compares the next file, and returns true if it changes.
    pub(super) fn add(&mut self, PolicyFile { path, text }: &PolicyFile) -> bool {
        self.wanted.insert(path.clone());
        let there = self.folder.join(path);
        if files::holds(&there, text.as_bytes()) {
            return false;
        }
        let kind = if files::exists(&there) { ChangeKind::Content } else { ChangeKind::Missing };
        self.changes.push(PolicyChange { path: path.clone(), kind });
        true
    }

    /// Adds the files that are removed, and returns all changes.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be listed.
    pub(super) fn end(mut self) -> Result<Vec<PolicyChange>, StoreError> {
        if files::exists(&self.folder) {
            let removed = files::files_below(&self.folder)?.into_iter().filter(|path| !self.wanted.contains(path));
            self.changes.extend(removed.map(|path| PolicyChange { path, kind: ChangeKind::Superfluous }));
        }
        Ok(self.changes)
    }
}

/// Writes files into a folder, which is replaced as a whole if one of them changes.
pub(super) struct FolderUpdate {
    comparison: FolderComparison,
    /// The new folder, once a file changes.
    staged: Option<StagedFolder>,
    /// The paths of all files, in order.
    paths: Vec<String>,
}

impl FolderUpdate {
    pub(super) fn new(folder: &Path) -> Self {
        Self { comparison: FolderComparison::new(folder), staged: None, paths: Vec::new() }
    }

    /// Adds the next file.
    ///
    /// # Errors
    /// Returns the system's error.
    pub(super) fn add(&mut self, file: PolicyFile) -> Result<(), StoreError> {
        let changes = self.comparison.add(&file);
        let PolicyFile { path, text } = file;
        if changes || self.staged.is_some() {
            let staged = self.stage()?;
            // If the file system has no hard links, the file is written again.
            if changes || staged.keep_below(&path).is_err() {
                staged.add_below(&path, text.as_bytes(), PUBLIC)?;
            }
        }
        self.paths.push(path);
        Ok(())
    }

    /// Returns the new folder, with all files that were added before the first change.
    fn stage(&mut self) -> Result<&StagedFolder, StoreError> {
        let folder = &self.comparison.folder;
        let staged = match self.staged.take() {
            Some(staged) => staged,
            None => {
                let staged = StagedFolder::begin(folder)?;
                for path in &self.paths {
                    if staged.keep_below(path).is_err() {
                        let text = files::read(&folder.join(path), MAX_BYTES)?;
                        staged.add_below(path, &text, PUBLIC)?;
                    }
                }
                staged
            }
        };
        Ok(self.staged.insert(staged))
    }

    /// Replaces the folder if anything changed. Returns all files and the changes.
    ///
    /// # Errors
    /// Returns the system's error. In that case, the old folder is unchanged.
    pub(super) fn publish(mut self, dir: &Path) -> Result<(Vec<PathBuf>, Vec<PolicyChange>), StoreError> {
        let folder = self.comparison.folder.clone();
        let removes = files::exists(&folder)
            && files::files_below(&folder)?.iter().any(|path| !self.comparison.wanted.contains(path));
        if removes {
            self.stage()?;
        }
        let changes = self.comparison.end()?;
        if let Some(staged) = self.staged {
            files::sync_all(dir)?;
            staged.publish()?;
            files::sync_all(dir)?;
        }
        Ok((self.paths.iter().map(|path| folder.join(path)).collect(), changes))
    }
}
