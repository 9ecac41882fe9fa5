//! The flags that sign bundles, and the file of signers that are allowed.

use std::path::{Path, PathBuf};

use clap::Args;

use super::secrets;
use super::ssh_keys::NamedKey;
use crate::app::package::PackageError;
use crate::bundle::format::Format;
use crate::cli::context::{Context, read_given};
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::pki::allowed_signers::AllowedSigners;
use crate::pki::ssh::SshKey;

/// The largest file of allowed signers, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// The maximal number of unreadable lines that are reported.
const NAMED: usize = 5;

/// The flags that sign bundles.
#[derive(Debug, Args)]
pub(crate) struct SigningArgs {
    /// Sign each bundle with this SSH private key, so that install.sh and open can check who made it
    #[arg(long, value_name = "KEY", value_hint = clap::ValueHint::FilePath)]
    sign_with: Option<PathBuf>,
    /// File with the passphrase of that key in its first line
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "sign_with")]
    sign_passphrase_file: Option<PathBuf>,
}

impl SigningArgs {
    /// Reads and unlocks the key to sign with; `None` if none was named.
    ///
    /// # Errors
    /// Returns an error if it cannot be read or unlocked, is not an SSH private key, or the format cannot be signed.
    pub(crate) fn key(&self, format: Format, context: &mut Context<'_>) -> Result<Option<SshKey>> {
        let Some(given) = &self.sign_with else { return Ok(None) };
        if !format.can_be_signed() {
            return Err(PackageError::FormatNotSigned(format).into());
        }
        let path = context.path(given);
        secrets::not_one(&given.to_string_lossy(), &path)?;
        let named = NamedKey {
            what: "signing key",
            path: &path,
            passphrase_file: self.sign_passphrase_file.as_ref(),
            flag: Some("--sign-passphrase-file"),
        };
        let bytes = named.read()?;
        let key = named.unlock(&bytes, context)?;
        // A key type that cannot sign is detected here, before any bundle is rendered.
        key.sign("clusterctl-try", b"").map_err(|error| {
            CliError::new(Exit::Usage, format!("the signing key {} cannot be used", path.display()))
                .hint("create a key that works with: ssh-keygen -t ed25519")
                .because(error)
        })?;
        Ok(Some(key))
    }
}

/// Reads a file of allowed signers, and warns of lines that cannot be read.
///
/// # Errors
/// Returns a usage error if it does not exist, or no line can be used.
pub(crate) fn allowed_signers(path: &Path, context: &mut Context<'_>) -> Result<AllowedSigners> {
    let bytes = read_given(path, MAX_BYTES, "file of allowed signers")?;
    let signers = AllowedSigners::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| {
        CliError::new(Exit::Usage, format!("the file of allowed signers {} cannot be used", path.display()))
            .hint("a line is a name and a public key: admin@example.net ssh-ed25519 AAAA…")
            .because(error)
    })?;
    for error in signers.invalid_lines().iter().take(NAMED) {
        context.screen.warn(format_args!("in {}, {error}; this line is ignored", path.display()));
    }
    Ok(signers)
}
