//! A file with a passphrase, or a PIN, in its first line.

use std::path::Path;

use zeroize::Zeroizing;

use crate::cli::context::{Context, read_given};
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::pki::passphrase::Passphrase;
use crate::store::credentials::{self, CredentialProblem};

/// The largest passphrase file, in bytes.
const LIMIT: u64 = 4096;

/// Returns the passphrase in the first line of a file.
///
/// # Errors
/// Returns an error if it does not exist or cannot be read.
pub(crate) fn passphrase_in(path: &Path) -> Result<Passphrase> {
    let bytes = Zeroizing::new(read_given(path, LIMIT, "passphrase file")?);
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let what = format!("the passphrase file {} is not text", path.display());
        CliError::new(Exit::Usage, what).because(error)
    })?;
    // Editors of Windows write a byte order mark, which is not typed.
    let line = text.strip_prefix('\u{feff}').unwrap_or(text).lines().next().unwrap_or_default();
    if line.is_empty() {
        let what = format!("the passphrase file {} has no passphrase in its first line", path.display());
        return Err(CliError::new(Exit::Usage, what));
    }
    Ok(Passphrase::new(line.to_owned()))
}

/// Like [`passphrase_in`], and warns where other users can read the file.
///
/// # Errors
/// Returns the errors of [`passphrase_in`].
pub(crate) fn passphrase_of_file(given: &Path, context: &mut Context<'_>) -> Result<Passphrase> {
    let path = context.path(given);
    let passphrase = passphrase_in(&path)?;
    if let Some(CredentialProblem::Mode(path, mode)) = credentials::file_readable_by_others(&path) {
        context.screen.warn(format_args!(
            "others can read the passphrase file {0}: it has mode {mode:04o}. Close it with: chmod 600 {0}",
            path.display()
        ));
    }
    Ok(passphrase)
}
