//! The text of a secret key where a file was to be named: it is refused, and never repeated, as an error goes to screens and logs.

use std::ffi::OsString;
use std::path::Path;

use crate::cluster::recipient::{is_secret, may_be_secret};
use crate::failure::{Exit, Failure};
use crate::store::files;

/// Looks whether one of the program's arguments is a secret key itself: before anything is made of them, for even a complaint
/// about an unknown flag repeats what was given.
///
/// # Errors
/// A usage error that does not repeat it.
pub fn none_among(arguments: &[OsString]) -> Result<(), Failure> {
    let text = |argument: &OsString| argument.to_string_lossy().into_owned();
    let is_one = |text: &String| {
        let framed = text.contains("-----BEGIN ") || text.to_ascii_uppercase().contains("AGE-SECRET-KEY-1");
        framed && is_secret(text)
    };
    if arguments.iter().map(text).any(|text| is_one(&text)) { Err(repeated()) } else { Ok(()) }
}

/// Looks whether `given`, which names no file from `path` on, may be a part of a secret key.
///
/// # Errors
/// A usage error that does not repeat it.
pub(super) fn not_one(given: &str, path: &Path) -> Result<(), Failure> {
    // A path with a typing error in its last part is told as one.
    let beside = path.parent().filter(|folder| given.contains('/') && folder.parent().is_some());
    let is_a_path = files::exists(path) || beside.is_some_and(files::exists);
    if may_be_secret(given) && !is_a_path { Err(repeated()) } else { Ok(()) }
}

fn repeated() -> Failure {
    Failure::new(Exit::Usage, "what was given looks like a secret key itself, not a file").hint(
        "it is not repeated here, and should be considered as seen by your shell's history. Name the file that holds the key; \
         bundles are sealed to the public half alone, which age-keygen -y or ssh-keygen -y prints",
    )
}
