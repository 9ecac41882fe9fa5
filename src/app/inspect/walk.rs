//! Finds the files of a folder. Loops of links, pipes, and too many files are reported as skipped.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::store::error::StoreError;
use crate::store::files::{self, Names};

/// The maximum depth of the search in a folder.
const MAX_DEPTH: usize = 16;
/// The maximum number of files and folders that are examined.
const MAX_ENTRIES: usize = 10_000;
/// The suffix of the link to the newest of several certificate files, as a kubelet creates it.
const CURRENT: &str = "-current.pem";

/// The reasons why an entry of a folder is not read.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// A folder cannot be listed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is a link to a folder that was already searched.
    #[error("it leads to a folder that was already searched")]
    Loop,
    /// Its name is not UTF-8.
    #[error("its name is not UTF-8: pass its path as an argument")]
    Name,
    /// It is a pipe, a socket or a device.
    #[error("it is not a plain file")]
    NotAFile,
    /// It is too deep.
    #[error("it is more than {MAX_DEPTH} folders deep")]
    TooDeep,
    /// There were too many files before it.
    #[error("more than {MAX_ENTRIES} files and folders precede it")]
    TooMany,
}

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct FoundPath {
    pub(in crate::app) label: String,
    pub(in crate::app) path: PathBuf,
    /// Whether the file itself was named, and not a folder that contains it.
    pub(in crate::app) is_named: bool,
}

/// The files that were found so far.
#[derive(Debug, Default)]
pub(in crate::app) struct Walk {
    pub(in crate::app) found: Vec<FoundPath>,
    /// The entries that are not read, with the reasons.
    pub(in crate::app) skipped: Vec<(FoundPath, WalkError)>,
    entries: usize,
    /// The folders that were searched, by device and inode.
    searched: HashSet<(u64, u64)>,
}

impl Walk {
    /// Adds a file, or the files of a folder in the order of their names.
    pub(in crate::app) fn add(&mut self, label: &str, path: &Path) {
        if files::is_folder(path) {
            self.folder(Path::new(label), path, 0);
        } else {
            self.found.push(FoundPath { label: label.to_owned(), path: path.to_owned(), is_named: true });
        }
    }

    fn skip(&mut self, label: &Path, path: &Path, error: WalkError) {
        let place = FoundPath { label: label.display().to_string(), path: path.to_owned(), is_named: false };
        self.skipped.push((place, error));
    }

    fn folder(&mut self, label: &Path, path: &Path, depth: usize) {
        if depth > MAX_DEPTH {
            return self.skip(label, path, WalkError::TooDeep);
        }
        if let Some(id) = files::folder_id(path)
            && !self.searched.insert(id)
        {
            return self.skip(label, path, WalkError::Loop);
        }
        let Names { names, not_utf8 } = match files::all_names_in(path) {
            Ok(names) => names,
            Err(error) => return self.skip(label, path, error.into()),
        };
        // These files may contain certificates, so the report must mention them.
        for path in not_utf8 {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.skip(&label.join(name), &path, WalkError::Name);
        }
        let current: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(CURRENT)).collect();
        let is_former = |name: &str| {
            let is_dated = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.ends_with(".pem");
            let rest = |prefix: &&str| name.strip_prefix(*prefix)?.strip_prefix('-');
            current.iter().filter_map(rest).any(is_dated)
        };
        for name in &names {
            let (label, path) = (label.join(name), path.join(name));
            // A kubelet keeps its earlier certificates beside the current one.
            if is_former(name) {
                continue;
            }
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return self.skip(&label, &path, WalkError::TooMany);
            }
            if files::is_folder(&path) {
                self.folder(&label, &path, depth + 1);
            } else {
                self.found.push(FoundPath { label: label.display().to_string(), path, is_named: false });
            }
        }
    }
}
