//! SSH private keys that are named on the command line: read, and unlocked where they are encrypted.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::passphrase_file::passphrase_of_file;
use crate::cli::context::{Context, read_secret};
use crate::cli::error::{CliError, Result, no_answer};
use crate::cli::exit::Exit;
use crate::pki::ssh::{SshError, SshKey};

/// The largest key file, in bytes.
pub(crate) const KEY_LIMIT: u64 = 64 * 1024;
/// The number of attempts to enter a passphrase.
const TRIES: usize = 3;

/// A key file and the source of its passphrase.
pub(crate) struct NamedKey<'a> {
    /// The purpose of the key in words: "signing key".
    pub(crate) what: &'static str,
    /// Its file.
    pub(crate) path: &'a Path,
    /// A file with its passphrase.
    pub(crate) passphrase_file: Option<&'a PathBuf>,
    /// The flag that names such a file, if the command has one.
    pub(crate) flag: Option<&'static str>,
}

impl NamedKey<'_> {
    /// Reads the file.
    ///
    /// # Errors
    /// Returns a usage error if it does not exist, else the error of the system.
    pub(crate) fn read(&self) -> Result<Zeroizing<Vec<u8>>> {
        Ok(Zeroizing::new(read_secret(self.path, KEY_LIMIT, self.what)?))
    }

    /// Parses the key in `bytes`, and unlocks it with its passphrase file or a prompt.
    ///
    /// # Errors
    /// Returns an error if it is not an SSH private key, its passphrase is wrong, or there is no terminal for a prompt.
    pub(crate) fn unlock(&self, bytes: &[u8], context: &mut Context<'_>) -> Result<SshKey> {
        let key = SshKey::from_pem(bytes).map_err(|error| self.unusable(error))?;
        if !key.is_encrypted() {
            return Ok(key);
        }
        if let Some(path) = self.passphrase_file {
            let passphrase = passphrase_of_file(path, context)?;
            return key.unlock(&passphrase).map_err(|error| self.unusable(error));
        }
        let locked = self.unusable(SshError::PassphraseNeeded);
        for left in (0..TRIES).rev() {
            let Some(prompts) = &mut context.prompts else { break };
            let question = format!("Passphrase of {}", self.path.display());
            let typed = prompts.passphrase(&question).map_err(no_answer("no passphrase was typed"))?;
            let again = SshKey::from_pem(bytes).map_err(|error| self.unusable(error))?;
            match again.unlock(&typed) {
                Err(SshError::WrongPassphrase) if left > 0 => {
                    context.screen.warn("the passphrase is wrong, try again");
                }
                other => return other.map_err(|error| self.unusable(error)),
            }
        }
        Err(locked)
    }

    fn unusable(&self, error: SshError) -> CliError {
        let (what, path) = (self.what, self.path.display());
        let (exit, hint) = match &error {
            SshError::WrongPassphrase => {
                (Exit::Refused, "nothing was written; try again with the right one".to_owned())
            }
            SshError::PassphraseNeeded => {
                let hint = match self.flag {
                    Some(flag) => format!("there is no terminal for a prompt: give it with {flag} FILE"),
                    None => {
                        "there is no terminal for a prompt: run the command on one, or name a key without a passphrase"
                            .to_owned()
                    }
                };
                (Exit::Usage, hint)
            }
            SshError::Public => (Exit::Usage, "name the file without .pub".to_owned()),
            _ => (Exit::Usage, "create a key that works with: ssh-keygen -t ed25519".to_owned()),
        };
        CliError::new(exit, format!("the {what} {path} cannot be used")).hint(hint).because(error)
    }
}
