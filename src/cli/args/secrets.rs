//! Detects secret keys among the arguments. They are refused and never repeated, because errors appear on screens and
//! in logs.

use std::ffi::OsString;
use std::path::Path;

use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::recipient::{is_secret, may_be_secret};
use crate::store::files;

/// Refuses arguments that are secret keys.
///
/// This is called before arguments are parsed, because even the error about an unknown flag would repeat a secret.
///
/// # Errors
/// Returns a usage error that does not contain the secret.
pub(crate) fn none_among(arguments: &[OsString]) -> Result<()> {
    let text = |argument: &OsString| argument.to_string_lossy().into_owned();
    let is_one = |text: &String| {
        let framed = text.contains("-----BEGIN ") || text.to_ascii_uppercase().contains("AGE-SECRET-KEY-1");
        framed && is_secret(text)
    };
    if arguments.iter().map(text).any(|text| is_one(&text)) { Err(repeated()) } else { Ok(()) }
}

/// Refuses `given` if it may be a part of a secret key, and `path`, which it resolves to, does not exist.
///
/// # Errors
/// Returns a usage error that does not contain the secret.
pub(crate) fn not_one(given: &str, path: &Path) -> Result<()> {
    // A path with a typing error in its last part is reported as a missing file. Base64 has slashes, too: only a folder
    // that exists makes it a path.
    let names_a_folder = Path::new(given).parent().is_some_and(|folder| folder.parent().is_some());
    let beside = path.parent().filter(|_| names_a_folder);
    let is_a_path = files::exists(path) || beside.is_some_and(files::exists);
    if may_be_secret(given) && !is_a_path { Err(repeated()) } else { Ok(()) }
}

fn repeated() -> CliError {
    CliError::new(Exit::Usage, "what was given looks like a secret key itself, not a file").hint(
        "it is not repeated here, but your shell's history may have it. Name the file with the key; \
         bundles are encrypted to the public key, which age-keygen -y or ssh-keygen -y prints",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_with_a_slash_is_not_a_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let line = "QyNTUxOQAAACC8y539wWxpyLlOn7cyc8OmzPs0Wq1ggVdSIC8uCNLLBAAAAJCWX79Pll";
        for given in
            [format!("{line}/"), format!("/{line}"), format!("{}/{}", &line[..30], &line[30..]), line.to_owned()]
        {
            assert!(not_one(&given, &folder.path().join(&given)).is_err(), "{given}");
        }
        let typo = format!("{}/{line}", folder.path().display());
        assert!(not_one(&typo, Path::new(&typo)).is_ok(), "the folder exists: a typing error after it is reported");
    }
}
