//! The files to check, including those in bundles.

use std::path::{Path, PathBuf};

use crate::app::inspect::bundled::{self, BundledFile};
use crate::app::inspect::content::Content;
use crate::app::inspect::read_all::ReadFile;
use crate::app::inspect::{InspectError, SkipReason};
use crate::bundle::model::Bundle;
use crate::config::kubeconfig;
use crate::explain::file_item::FileItem;
use crate::explain::kubeconfig::{Field, Part, PartError, ReadKubeconfig};
use crate::store::files;

use super::finding::Place;

/// A file to check.
pub(super) struct Source {
    /// The name of the file; of a file in a bundle, the bundle's.
    pub(super) label: String,
    /// The path in the bundle, of a file in one.
    pub(super) inside: Option<String>,
    /// The path, from which the purpose of certificates is recognized.
    pub(super) path: PathBuf,
    /// Permission bits; `None` if they are not known.
    pub(super) mode: Option<u32>,
    pub(super) content: SourceContent,
}

/// The contents of a file.
pub(super) enum SourceContent {
    Items(Vec<FileItem>),
    Kubeconfig(ReadKubeconfig),
    /// A bundle; its files are sources of their own.
    Bundle {
        has_keys: bool,
    },
}

impl Source {
    /// Returns the place of a part of it.
    pub(super) fn place(&self, part: Option<String>) -> Place {
        let part = match (&self.inside, part) {
            (Some(inside), Some(part)) => Some(format!("{inside}: {part}")),
            (Some(inside), None) => Some(inside.clone()),
            (None, part) => part,
        };
        Place { file: self.label.clone(), part }
    }
}

/// Returns the files to check, after each bundle the files in it, and the files in bundles that cannot be read.
pub(super) fn of(files: Vec<ReadFile>) -> (Vec<Source>, Vec<(Place, SkipReason)>) {
    let (mut sources, mut unreadable) = (Vec::new(), Vec::new());
    for ReadFile { file, content } in files {
        let mode = files::mode_of_file(&file.path);
        let source =
            |content| Source { label: file.label.clone(), inside: None, path: file.path.clone(), mode, content };
        match content {
            Content::Items(items) => sources.push(source(SourceContent::Items(items))),
            Content::Kubeconfig(config) => sources.push(source(SourceContent::Kubeconfig(config))),
            // Only its recipients can read it.
            Content::Encrypted(_) => {}
            Content::Bundle(bundle) => {
                let inside = inside(&file.label, bundle.bundle(), &mut unreadable);
                let has_key =
                    |source: &Source| matches!(&source.content, SourceContent::Items(items) if has_key(items));
                sources.push(source(SourceContent::Bundle { has_keys: inside.iter().any(has_key) }));
                sources.extend(inside);
            }
        }
    }
    (sources, unreadable)
}

fn inside(label: &str, bundle: &Bundle, unreadable: &mut Vec<(Place, SkipReason)>) -> Vec<Source> {
    let mut sources = Vec::new();
    for BundledFile { file, content } in bundled::files_of(bundle) {
        let path = PathBuf::from(&file.path);
        let content = match content {
            Ok(Content::Items(items)) => SourceContent::Items(items),
            Ok(Content::Kubeconfig(config)) => SourceContent::Kubeconfig(config),
            // There are none in a bundle.
            Ok(Content::Bundle(_) | Content::Encrypted(_)) => continue,
            Err(reason) => {
                let place = Place { file: label.to_owned(), part: Some(file.path.clone()) };
                unreadable.push((place, InspectError::Unreadable { path, reason }.into()));
                continue;
            }
        };
        let inside = Some(file.path.clone());
        sources.push(Source { label: label.to_owned(), inside, path, mode: Some(file.mode), content });
    }
    sources
}

/// Returns true if there is an unencrypted private key.
pub(super) fn has_key(items: &[FileItem]) -> bool {
    items.iter().any(|item| matches!(item, FileItem::Key(..)))
}

/// Returns the path that a part of a kubeconfig names; `None` if its content is embedded.
pub(super) fn named_file<'c>(part: &Part, config: &'c ReadKubeconfig) -> Option<&'c Path> {
    let user = || config.config().users.iter().find(|user| user.name == part.of);
    let credential = match part.field {
        Field::Ca => config.config().clusters.iter().find(|cluster| cluster.name == part.of)?.ca.as_ref()?,
        Field::Certificate => user()?.certificate.as_ref()?,
        Field::Key => user()?.key.as_ref()?,
    };
    match credential {
        kubeconfig::Credential::File(path) => Some(path),
        kubeconfig::Credential::Data(_) => None,
    }
}

/// Returns what a part of a kubeconfig contains, or the file that it names.
///
/// The files to check take precedence over the file at an absolute path: in a copy of a host's file system, the path
/// must not lead to the files of this machine.
pub(super) fn followed<'s>(
    part: &'s Part,
    config: &ReadKubeconfig,
    sources: &'s [Source],
) -> Result<&'s [FileItem], &'s PartError> {
    let copy = || {
        let relative = named_file(part, config)?.strip_prefix("/").ok()?;
        sources.iter().find_map(|source| match &source.content {
            SourceContent::Items(items) if source.inside.is_none() && source.path.ends_with(relative) => {
                Some(items.as_slice())
            }
            _ => None,
        })
    };
    match copy() {
        Some(items) => Ok(items),
        None => part.items.as_deref(),
    }
}
