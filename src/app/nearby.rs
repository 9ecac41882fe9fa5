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
        // Files of one kind have the same ending, so what precedes it must be similar, too.
        let is_similar = |other: &&str| nearest(stem(&name), [stem(other)]).is_some();
        match nearest(&name, names.iter().map(String::as_str).filter(is_similar)) {
            Some(similar) => Self::Similar(folder.join(similar)),
            None => Self::Nothing(folder.to_owned()),
        }
    }
}

/// Returns a file's name without its ending.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_name_is_more_than_the_same_ending() {
        let dir = tempfile::tempdir().expect("a folder");
        files::write_new(&dir.path().join("huge.json"), b"", files::PUBLIC).expect("written");
        let near = |name: &str| Nearby::of(&dir.path().join(name));
        assert_eq!(near("none.json"), Nearby::Nothing(dir.path().to_owned()));
        for name in ["huge.jsn", "Huge.json", "huge2.json"] {
            assert_eq!(near(name), Nearby::Similar(dir.path().join("huge.json")), "{name}");
        }
        assert_eq!(near("no/huge.json"), Nearby::NoFolder(dir.path().join("no")));
    }
}
