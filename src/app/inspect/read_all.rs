//! Reads the files that were found.

use zeroize::Zeroizing;

use super::bundled::{self, BundledFile};
use super::content::{Content, LIMIT, may_be_of_known_kind};
use super::error::InspectError;
use super::search::InputFile;
use super::walk::{FoundPath, Walk, WalkError};
use crate::app::input::{self, InputError};
use crate::store::error::StoreError;
use crate::store::files;

/// The maximum number of bytes of all files together.
const MAX_BYTES: u64 = 512 << 20;

/// A file or folder that was not read.
#[derive(Debug)]
pub struct Skipped {
    /// Its name on the command line, or its path below the named folder.
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
    /// It was found in a folder and is not read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// It is damaged, or of a kind that is not read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// A part of it is damaged.
    #[error("a {kind} in it is damaged: {reason}")]
    Damaged {
        /// The expected kind of the part.
        kind: &'static str,
        /// The reason.
        reason: String,
    },
    /// A file that a kubeconfig names cannot be read.
    #[error("it names a file that cannot be read: {0}")]
    Reference(String),
    /// A part of a kubeconfig cannot be used.
    #[error("{0}")]
    Kubeconfig(String),
    /// A CRL whose CA was not found, so that its revocations cannot be assigned.
    #[error(
        "no CA that was found signed this CRL, so it revokes none of the certificates: name its CA's certificate too"
    )]
    NoSigner,
    /// Together with the files before it, it exceeds the limit.
    #[error("the files before it have more than {limit} bytes together")]
    TooLargeTogether {
        /// The limit.
        limit: u64,
    },
}

/// A file that was read.
pub(in crate::app) struct ReadFile {
    pub(in crate::app) file: FoundPath,
    pub(in crate::app) content: Content,
}

/// Reads files, and all files of known kinds in folders.
///
/// # Errors
/// Returns an error if a file that was named does not exist.
pub(in crate::app) fn read(inputs: &[InputFile]) -> Result<(Vec<ReadFile>, Vec<Skipped>), InputError> {
    let mut walk = Walk::default();
    for InputFile { label, path } in inputs {
        if files::is_missing(path) {
            return Err(InputError::Missing { what: "file", path: path.clone() });
        }
        walk.add(label, path);
    }
    let Walk { found, skipped, .. } = walk;
    let skipped = skipped.into_iter().map(|(place, error)| Skipped { label: place.label, reason: error.into() });
    let mut skipped: Vec<Skipped> = skipped.collect();
    let (mut read, mut left) = (Vec::new(), MAX_BYTES);
    for file in found {
        match content_of(&file, &mut left) {
            Ok(Some(content)) => read.push(ReadFile { file, content }),
            Ok(None) => {}
            Err(reason) => skipped.push(Skipped { label: file.label, reason }),
        }
    }
    Ok((read, skipped))
}

/// Reads a file; `None` if it is of another kind and was only found in a folder.
fn content_of(file: &FoundPath, left: &mut u64) -> Result<Option<Content>, SkipReason> {
    if *left == 0 {
        return Err(SkipReason::TooLargeTogether { limit: MAX_BYTES });
    }
    let bytes = match file.is_named {
        // It may be standard input.
        true => input::read_named(&file.path, LIMIT, "file").map_err(InspectError::from)?,
        false => match files::read(&file.path, LIMIT) {
            Err(StoreError::InTheWay(_)) => return Err(WalkError::NotAFile.into()),
            other => other?,
        },
    };
    let bytes = Zeroizing::new(bytes);
    *left = left.saturating_sub(bytes.len() as u64);
    if !file.is_named && !may_be_of_known_kind(&file.path, &bytes) {
        return Ok(None);
    }
    Ok(Some(Content::of_file(&file.path, &bytes)?))
}

/// Adds the files in bundles, after all others, with those that cannot be read.
pub(in crate::app) fn add_bundled(files: &mut Vec<ReadFile>, skipped: &mut Vec<Skipped>) {
    let mut bundled = Vec::new();
    for ReadFile { file: of, content } in files.iter() {
        let Content::Bundle(bundle) = content else { continue };
        for BundledFile { file, content } in bundled::files_of(bundle.bundle()) {
            let label = format!("{}: {}", of.label, file.path);
            match content {
                Ok(content) => {
                    let file = FoundPath { label, path: of.path.clone(), is_named: false };
                    bundled.push(ReadFile { file, content });
                }
                Err(reason) => {
                    let path = file.path.clone().into();
                    skipped.push(Skipped { label, reason: InspectError::Unreadable { path, reason }.into() });
                }
            }
        }
    }
    files.append(&mut bundled);
}
