//! What exists near a file that was named and does not exist.

use std::path::{Path, PathBuf};

use crate::cluster::similar::nearest;
use crate::store::files;

/// What exists near a file that does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nearby {
    /// A file with a similar name.
    Similar(PathBuf),
    /// Nothing similar in this folder.
    Nothing(PathBuf),
    /// The folder does not exist, either.
    NoFolder(PathBuf),
}

impl Nearby {
    /// Looks near a file that does not exist.
    pub(super) fn of(path: &Path) -> Self {
        let folder = path.parent().unwrap_or(path);
        if !files::is_folder(folder) {
            return Self::NoFolder(folder.to_owned());
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let names = files::names_in(folder).unwrap_or_default();
        match nearest(&name, names.iter().map(String::as_str)) {
            Some(similar) => Self::Similar(folder.join(similar)),
            None => Self::Nothing(folder.to_owned()),
        }
    }
}
