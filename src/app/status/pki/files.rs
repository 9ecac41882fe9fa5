//! Reads the files that were found.

use zeroize::Zeroizing;

use super::walk::{FoundFile, SkipReason, Skipped, Walk};
use crate::app::input::{self, InputError};
use crate::app::inspect::content::{Content, LIMIT, is_of_known_kind};
use crate::app::inspect::{InputFile, InspectError};
use crate::store::error::StoreError;
use crate::store::files;

/// How many bytes are read of all files together.
const MAX_BYTES: u64 = 512 << 20;

/// A file that was read.
pub(super) struct ReadFile {
    pub(super) file: FoundFile,
    pub(super) content: Content,
}

/// Reads files, and all files of known kinds in folders.
///
/// # Errors
/// When a file that was named is not there.
pub(super) fn read(inputs: &[InputFile]) -> Result<(Vec<ReadFile>, Vec<Skipped>), InputError> {
    let mut walk = Walk::default();
    for InputFile { label, path } in inputs {
        if files::is_missing(path) {
            return Err(InputError::Missing { what: "file", path: path.clone() });
        }
        walk.add(label, path);
    }
    let Walk { found, mut skipped, .. } = walk;
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

/// Reads a file; `None` where it is of another kind and was not named itself.
fn content_of(file: &FoundFile, left: &mut u64) -> Result<Option<Content>, SkipReason> {
    if *left == 0 {
        return Err(SkipReason::TooLargeTogether { limit: MAX_BYTES });
    }
    let bytes = match file.is_named {
        // It may be standard input.
        true => input::read_or_wait(&file.path, LIMIT, "file").map_err(InspectError::from)?,
        false => match files::read(&file.path, LIMIT) {
            Err(StoreError::Missing(path)) => return Err(StoreError::Missing(path).into()),
            other => other?,
        },
    };
    let bytes = Zeroizing::new(bytes);
    *left = left.saturating_sub(bytes.len() as u64);
    if !file.is_named && !is_of_known_kind(&bytes) {
        return Ok(None);
    }
    Ok(Some(Content::of_file(&file.path, &bytes)?))
}
