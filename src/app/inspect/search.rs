//! Finds the files to describe: a file that was named, or the files of a folder.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::content::{Content, LIMIT, is_of_known_kind};
use super::error::{InspectError, Unreadable};
use crate::app::input::{self, InputError};
use crate::bundle::model::MANIFEST;
use crate::store::files;

/// The maximal depth of the search in a folder.
const MAX_DEPTH: usize = 6;
/// The maximal number of files that are read in a folder.
const MAX_FILES: usize = 2000;

/// A file or folder to describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Its name on the command line.
    pub label: String,
    /// Its path.
    pub path: PathBuf,
}

/// A file that was found, and its content.
pub(super) struct FoundFile {
    pub(super) label: String,
    pub(super) path: PathBuf,
    pub(super) content: Result<Content, InspectError>,
}

/// Reads a file, or all files of known kinds in a folder that is not a bundle.
pub(super) fn find(input: &InputFile) -> Vec<FoundFile> {
    let InputFile { label, path } = input;
    let single = |content| vec![FoundFile { label: label.clone(), path: path.clone(), content }];
    if !files::is_folder(path) {
        return single(read(path));
    }
    if files::exists(&path.join(MANIFEST)) {
        return single(Content::of_bundle_folder(path));
    }
    let mut found = Vec::new();
    walk(path, Path::new(label), 0, &mut found);
    if found.is_empty() {
        return single(Err(InspectError::Unreadable { path: path.clone(), reason: Unreadable::Folder }));
    }
    found
}

fn read(path: &Path) -> Result<Content, InspectError> {
    let bytes = Zeroizing::new(input::read_or_wait(path, LIMIT, "file")?);
    Content::of_file(path, &bytes)
}

fn walk(folder: &Path, label: &Path, depth: usize, found: &mut Vec<FoundFile>) {
    for name in files::names_in(folder).unwrap_or_default() {
        let (path, label) = (folder.join(&name), label.join(&name));
        if files::is_folder(&path) {
            if depth < MAX_DEPTH {
                walk(&path, &label, depth + 1, found);
            }
            continue;
        }
        if found.len() >= MAX_FILES {
            return;
        }
        let content = match files::read(&path, LIMIT).map(Zeroizing::new) {
            Ok(bytes) if is_of_known_kind(&bytes) => Content::of_file(&path, &bytes),
            Ok(_) => continue,
            Err(error) => Err(InputError::Store(error).into()),
        };
        found.push(FoundFile { label: label.display().to_string(), path, content });
    }
}
