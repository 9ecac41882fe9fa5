//! Finds the files of a folder, however it is made: with loops of links, pipes, and more files than a PKI has.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::app::inspect::InspectError;
use crate::store::error::StoreError;
use crate::store::files::{self, Names};

/// How deep a folder is searched.
const MAX_DEPTH: usize = 16;
/// How many files and folders are looked at.
const MAX_ENTRIES: usize = 10_000;
/// The end of the name of a link that names the newest of several files, as a kubelet makes it.
const CURRENT: &str = "-current.pem";

/// A file or folder that was not read.
#[derive(Debug)]
pub struct Skipped {
    /// How it was named, or its path below the folder that was named.
    pub label: String,
    /// The reason.
    pub reason: SkipReason,
}

/// Errors of reading a file or folder, or a part of it.
#[derive(Debug, thiserror::Error)]
pub enum SkipReason {
    /// It cannot be read, is too large, or is a pipe, a socket or a device.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is damaged, or of a kind that is not read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// A part of it is damaged.
    #[error("a {kind} in it is damaged: {reason}")]
    Damaged {
        /// What the part should be.
        kind: &'static str,
        /// The reason.
        reason: String,
    },
    /// A file that a kubeconfig names cannot be read.
    #[error("it names a file that cannot be read: {0}")]
    Reference(String),
    /// It is a link to a folder that is searched already.
    #[error("it leads back to a folder that is searched already")]
    Loop,
    /// Its name is not UTF-8.
    #[error("its name is not UTF-8: name it itself")]
    Name,
    /// It is too deep.
    #[error("it is more than {MAX_DEPTH} folders deep")]
    TooDeep,
    /// There were too many files before it.
    #[error("more than {MAX_ENTRIES} files and folders precede it")]
    TooMany,
    /// The files before it are too large together.
    #[error("the files before it have more than {limit} bytes together")]
    TooLargeTogether {
        /// The limit.
        limit: u64,
    },
}

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundFile {
    pub(super) label: String,
    pub(super) path: PathBuf,
    /// Whether it was named itself, and not a folder that it is in.
    pub(super) is_named: bool,
}

/// The files that were found so far.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) found: Vec<FoundFile>,
    pub(super) skipped: Vec<Skipped>,
    entries: usize,
    /// The folders that were searched, by device and inode.
    searched: HashSet<(u64, u64)>,
}

impl Walk {
    /// Adds a file, or the files of a folder in the order of their names.
    pub(super) fn add(&mut self, label: &str, path: &Path) {
        if files::is_folder(path) {
            self.folder(Path::new(label), path, 0);
        } else {
            self.found.push(FoundFile { label: label.to_owned(), path: path.to_owned(), is_named: true });
        }
    }

    fn skip(&mut self, label: &Path, reason: impl Into<SkipReason>) {
        self.skipped.push(Skipped { label: label.display().to_string(), reason: reason.into() });
    }

    fn folder(&mut self, label: &Path, path: &Path, depth: usize) {
        if depth > MAX_DEPTH {
            return self.skip(label, SkipReason::TooDeep);
        }
        if let Some(id) = files::folder_id(path)
            && !self.searched.insert(id)
        {
            return self.skip(label, SkipReason::Loop);
        }
        let Names { names, not_utf8 } = match files::all_names_in(path) {
            Ok(names) => names,
            Err(error) => return self.skip(label, error),
        };
        // Their certificates are not known, and must not pass for none.
        for path in not_utf8 {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.skip(&label.join(name), SkipReason::Name);
        }
        let current: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(CURRENT)).collect();
        let is_former = |name: &str| {
            let is_dated = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.ends_with(".pem");
            let rest = |prefix: &&str| name.strip_prefix(*prefix)?.strip_prefix('-');
            current.iter().filter_map(rest).any(is_dated)
        };
        for name in &names {
            let (label, path) = (label.join(name), path.join(name));
            // What a kubelet renewed stays beside what it uses.
            if is_former(name) {
                continue;
            }
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return self.skip(&label, SkipReason::TooMany);
            }
            if files::is_folder(&path) {
                self.folder(&label, &path, depth + 1);
            } else {
                self.found.push(FoundFile { label: label.display().to_string(), path, is_named: false });
            }
        }
    }
}
