//! Reads the files in a bundle as those in a folder.

use std::path::Path;

use super::content::{Content, may_be_of_known_kind};
use super::error::Unreadable;
use crate::bundle::model::{Bundle, BundleFile};
use crate::explain::kubeconfig::PartError;

/// A file of a known kind in a bundle.
pub(in crate::app) struct BundledFile<'b> {
    pub(in crate::app) file: &'b BundleFile,
    pub(in crate::app) content: Result<Content, Unreadable>,
}

/// Reads the files of known kinds in a bundle. The files that kubeconfigs name are those in the bundle.
pub(in crate::app) fn files_of(bundle: &Bundle) -> Vec<BundledFile<'_>> {
    let open = |named: &Path| {
        let named = named.to_string_lossy().into_owned();
        let bytes = bundle.file(named.trim_start_matches('/')).map(|file| file.bytes.to_vec());
        (named, bytes.ok_or_else(|| PartError::Missing("it is not in the bundle".to_owned())))
    };
    let read = |file: &'_ BundleFile| Content::parse(&file.path, &file.bytes, &open);
    let known = bundle.files.iter().filter(|file| may_be_of_known_kind(Path::new(&file.path), &file.bytes));
    known.map(|file| BundledFile { file, content: read(file) }).collect()
}
