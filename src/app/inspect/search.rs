//! Finds the files to describe: a named file, or the files of a folder.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::content::{Content, LIMIT, may_be_of_known_kind};
use super::error::{InspectError, Unreadable};
use super::walk::{FoundPath, Walk, WalkError};
use crate::app::input::{self, InputError};
use crate::bundle::model::MANIFEST;
use crate::sanitize::sanitized;
use crate::store::error::StoreError;
use crate::store::files;

/// A file or folder to describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Its name on the command line.
    pub label: String,
    /// Its path.
    pub path: PathBuf,
}

/// Returns the labels of files.
pub(in crate::app) fn labels(inputs: &[InputFile]) -> Vec<String> {
    inputs.iter().map(|input| input.label.clone()).collect()
}

/// Returns labels as a list for a message.
pub(in crate::app) fn names(labels: &[String]) -> String {
    let name = |label: &String| if label == "-" { "standard input".to_owned() } else { sanitized(label) };
    labels.iter().map(name).collect::<Vec<_>>().join(", ")
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
    let mut walk = Walk::default();
    walk.add(label, path);
    let mut found: Vec<FoundFile> = walk.found.into_iter().filter_map(of_known_kind).collect();
    found.extend(walk.skipped.into_iter().filter_map(skipped));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    if found.is_empty() {
        return single(Err(InspectError::Unreadable { path: path.clone(), reason: Unreadable::Folder }));
    }
    found
}

fn read(path: &Path) -> Result<Content, InspectError> {
    let bytes = Zeroizing::new(input::read_named(path, LIMIT, "file")?);
    Content::of_file(path, &bytes)
}

/// Reads a file that was found in a folder; `None` if it is of another kind.
fn of_known_kind(FoundPath { label, path, .. }: FoundPath) -> Option<FoundFile> {
    let content = match files::read(&path, LIMIT).map(Zeroizing::new) {
        Ok(bytes) if may_be_of_known_kind(&path, &bytes) => Content::of_file(&path, &bytes),
        Ok(_) => return None,
        Err(StoreError::InTheWay(path)) => Err(InspectError::Walk { path, error: WalkError::NotAFile }),
        Err(error) => Err(InputError::Store(error).into()),
    };
    Some(FoundFile { label, path, content })
}

/// Returns a skipped entry as a file with an error; `None` for a link to a folder that is already described.
fn skipped((FoundPath { label, path, .. }, error): (FoundPath, WalkError)) -> Option<FoundFile> {
    let error = match error {
        WalkError::Loop => return None,
        error => InspectError::Walk { path: path.clone(), error },
    };
    Some(FoundFile { label, path, content: Err(error) })
}
