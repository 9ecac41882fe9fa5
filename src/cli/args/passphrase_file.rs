//! A file with a passphrase, or a PIN, in its first line.

use std::path::Path;

use zeroize::Zeroizing;

use crate::cli::context::{Context, read_secret};
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::pki::passphrase::Passphrase;
use crate::store::credentials::{self, CredentialProblem};

/// The largest passphrase file, in bytes.
const LIMIT: u64 = 4096;

/// The kind of secret in the first line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secret {
    Passphrase,
    Pin,
}

impl Secret {
    fn file(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase file",
            Self::Pin => "PIN file",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::Pin => "PIN",
        }
    }
}

/// Returns the passphrase in the first line of a file, and warns where other users can read the file.
///
/// # Errors
/// Returns an error if it does not exist or cannot be read.
pub(crate) fn passphrase_of_file(given: &Path, context: &mut Context<'_>) -> Result<Passphrase> {
    of_file(Secret::Passphrase, given, context)
}

/// Like [`passphrase_of_file`], for the PIN of a token.
///
/// # Errors
/// Returns the errors of [`passphrase_of_file`].
pub(crate) fn pin_of_file(given: &Path, context: &mut Context<'_>) -> Result<Passphrase> {
    of_file(Secret::Pin, given, context)
}

fn of_file(secret: Secret, given: &Path, context: &mut Context<'_>) -> Result<Passphrase> {
    let (path, file) = (context.path(given), secret.file());
    let found = first_line(secret, &path)?;
    warn_if_open(file, &path, context);
    Ok(found)
}

/// Warns if other users can read a file with a secret.
pub(crate) fn warn_if_open(file: &str, path: &Path, context: &mut Context<'_>) {
    if let Some(CredentialProblem::Mode(path, mode)) = credentials::file_readable_by_others(path) {
        context.screen.warn(format_args!(
            "others can read the {file} {0}: it has mode {mode:04o}. Close it with: chmod 600 {0}",
            path.display()
        ));
    }
}

fn first_line(secret: Secret, path: &Path) -> Result<Passphrase> {
    let file = secret.file();
    let bytes = Zeroizing::new(read_secret(path, LIMIT, file)?);
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        CliError::new(Exit::Usage, format!("the {file} {} is not text", path.display())).because(error)
    })?;
    // Editors of Windows write a byte order mark, which is not typed.
    let line = text.strip_prefix('\u{feff}').unwrap_or(text).lines().next().unwrap_or_default();
    if line.is_empty() {
        let what = format!("the {file} {} has no {} in its first line", path.display(), secret.name());
        return Err(CliError::new(Exit::Usage, what));
    }
    Ok(Passphrase::new(line.to_owned()))
}
