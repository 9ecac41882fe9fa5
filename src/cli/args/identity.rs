//! The identity that decrypts bundles: an OpenSSH private key, or a file of age identities.

use std::path::PathBuf;

use clap::Args;
use zeroize::Zeroizing;

use super::secrets;
use super::ssh_keys::{KEY_LIMIT, NamedKey};
use crate::bundle::encryption::{Identity, IdentityError};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::store::error::StoreError;
use crate::store::files;

/// The host's own key, which bundles are encrypted to with `--known-hosts`.
const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key";

/// The flags that name an identity.
#[derive(Debug, Args)]
pub(crate) struct IdentityArgs {
    /// The key to decrypt with: an OpenSSH private key, or a file of age identities
    #[arg(short, long, value_name = "KEY", default_value = HOST_KEY, value_hint = clap::ValueHint::FilePath)]
    identity: PathBuf,
    /// File with the passphrase of that key in its first line, if it is an SSH key with a passphrase
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    identity_passphrase_file: Option<PathBuf>,
}

impl IdentityArgs {
    /// Makes the arguments of a key, and of a file with its passphrase.
    pub(crate) fn of(identity: PathBuf, identity_passphrase_file: Option<PathBuf>) -> Self {
        Self { identity, identity_passphrase_file }
    }

    /// Reads and unlocks the identity.
    ///
    /// # Errors
    /// Returns an error if it cannot be read or unlocked, or is neither an SSH private key nor a file of age
    /// identities.
    pub(crate) fn read(&self, context: &mut Context<'_>) -> Result<Identity> {
        let path = context.path(&self.identity);
        secrets::not_one(&self.identity.to_string_lossy(), &path)?;
        let named = NamedKey {
            what: "identity",
            path: &path,
            passphrase_file: self.identity_passphrase_file.as_ref(),
            flag: Some("--identity-passphrase-file"),
        };
        let shown = path.display();
        let failed = |exit, what: String| {
            let hint = "run as root on the host, to read the host's SSH key, or name another key with --identity";
            CliError::new(exit, what).hint(hint)
        };
        let bytes = match files::read(&path, KEY_LIMIT) {
            Err(StoreError::Missing(_)) => {
                return Err(failed(Exit::Usage, format!("there is no identity {shown}")));
            }
            Err(error @ StoreError::Io { .. }) => {
                return Err(failed(Exit::Environment, format!("the identity {shown} cannot be read")).because(error));
            }
            other => Zeroizing::new(other?),
        };
        let unusable =
            |error: IdentityError| failed(Exit::Usage, format!("the identity {shown} cannot be used")).because(error);
        match Identity::from_age_file(&bytes) {
            Err(IdentityError::Unknown) => {
                let key = named.unlock(&bytes, context)?;
                Identity::from_ssh(&key).map_err(unusable)
            }
            other => other.map_err(unusable),
        }
    }
}
