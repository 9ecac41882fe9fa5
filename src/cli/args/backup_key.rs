//! The flags that encrypt and decrypt backups: recipients and their keys, or a passphrase.

use std::path::PathBuf;

use clap::Args;

use super::encryption::recipients_named;
use super::identity::IdentityArgs;
use super::passphrase_file::passphrase_of_file;
use crate::app::backup::{OpenedBackup, RestoreError, RestoreReport, restore};
use crate::app::{self, Env};
use crate::bundle::encrypted_stream::StreamError;
use crate::bundle::encryption::{EncryptError, Encryptor, Identity};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, no_answer};
use crate::cli::exit::Exit;
use crate::pki::passphrase::Passphrase;

/// The environment variable that may hold the passphrase.
const VARIABLE: &str = "CLUSTERCTL_BACKUP_PASSPHRASE";
/// The number of attempts to type it.
const TRIES: usize = 3;

/// The flags that name the recipients or the passphrase of a backup.
#[derive(Debug, Args)]
pub(crate) struct BackupEncryptionArgs {
    /// Encrypt to this recipient: age1…, "ssh-ed25519 AAAA…", or a file with one per line; any one of them can restore it. May
    /// be repeated [default: a passphrase]
    #[arg(long, value_name = "RECIPIENT|FILE", value_hint = clap::ValueHint::FilePath)]
    encrypt_to: Vec<String>,
    /// File with a passphrase to encrypt with in its first line [env: CLUSTERCTL_BACKUP_PASSPHRASE holds the passphrase itself]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "encrypt_to")]
    passphrase_file: Option<PathBuf>,
    /// Accept a passphrase that can be guessed
    #[arg(long, conflicts_with = "encrypt_to")]
    allow_weak_passphrase: bool,
}

impl BackupEncryptionArgs {
    /// Returns an encryptor for the recipients, or else for the passphrase, which a prompt asks for twice.
    ///
    /// # Errors
    /// Returns a usage error if something is not a recipient, or there is neither a passphrase nor a terminal, or a
    /// refusal if the two passphrases that are typed differ.
    pub(crate) fn encryptor(&self, context: &mut Context<'_>) -> Result<Encryptor> {
        if self.encrypt_to.is_empty() {
            return Ok(Encryptor::with_passphrase(&self.passphrase(context)?));
        }
        let mut recipients = Vec::new();
        for text in &self.encrypt_to {
            recipients.extend(recipients_named(text, context.dir)?);
        }
        Encryptor::new(&recipients).map_err(|error: EncryptError| {
            CliError::new(Exit::Usage, "the backup cannot be encrypted to these recipients").because(error)
        })
    }

    fn passphrase(&self, context: &mut Context<'_>) -> Result<Passphrase> {
        if let Some(given) = given(self.passphrase_file.as_ref(), context)? {
            return self.accepted(given, context);
        }
        let Some(prompts) = &mut context.prompts else {
            let what = "a backup is encrypted, and there is no terminal to ask for a passphrase on";
            return Err(CliError::new(Exit::Usage, what).hint(format!(
                "name a recipient with --encrypt-to, or give a passphrase with --passphrase-file FILE or {VARIABLE}"
            )));
        };
        let typed = prompts.passphrase("Passphrase for the backup").map_err(no_answer("no passphrase was typed"))?;
        if typed.is_empty() {
            return Err(CliError::new(Exit::Refused, "an empty passphrase protects nothing"));
        }
        let again = prompts.passphrase("Repeat the passphrase").map_err(no_answer("no passphrase was typed"))?;
        if typed != again {
            return Err(CliError::new(Exit::Refused, "the two passphrases differ").hint("nothing was written"));
        }
        self.accepted(typed, context)
    }

    /// Refuses a passphrase that can be guessed, or warns of it where it is allowed: anyone who copies the backup can try
    /// passphrases for as long as the CAs are valid.
    fn accepted(&self, passphrase: Passphrase, context: &mut Context<'_>) -> Result<Passphrase> {
        match passphrase.weakness(&[]) {
            None => {}
            Some(weakness) if self.allow_weak_passphrase => context.screen.warn(format_args!(
                "the passphrase is weak: {weakness}. Anyone who copies the backup can find it by trying"
            )),
            Some(weakness) => {
                return Err(CliError::new(Exit::Refused, format!("the passphrase is weak: {weakness}"))
                    .hint("choose several unrelated words, or use --allow-weak-passphrase"));
            }
        }
        Ok(passphrase)
    }
}

/// Returns the passphrase of the file or the environment variable, if it was given.
fn given(file: Option<&PathBuf>, context: &mut Context<'_>) -> Result<Option<Passphrase>> {
    let Some(path) = file else {
        return Ok(context.variable(VARIABLE).map(|text| Passphrase::new(text.to_owned())));
    };
    passphrase_of_file(path, context).map(Some)
}

/// The flags that name the key or the passphrase that decrypts a backup.
#[derive(Debug, Args)]
pub(crate) struct BackupIdentityArgs {
    /// The key to decrypt with: a file of age identities, or an OpenSSH private key
    #[arg(short, long, value_name = "KEY", value_hint = clap::ValueHint::FilePath, conflicts_with = "passphrase_file")]
    identity: Option<PathBuf>,
    /// File with the passphrase of that key in its first line, if it is an SSH key with a passphrase
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "identity")]
    identity_passphrase_file: Option<PathBuf>,
    /// File with the passphrase of the backup in its first line [env: CLUSTERCTL_BACKUP_PASSPHRASE holds the passphrase itself]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    passphrase_file: Option<PathBuf>,
}

impl BackupIdentityArgs {
    /// Restores a backup. A passphrase that is typed wrong is asked for again, where `open` can open the file again.
    ///
    /// # Errors
    /// Returns the errors of `open` and [`restore`], or a usage error if neither a key nor a passphrase is given and
    /// there is no terminal.
    pub(crate) fn restore(
        &self,
        open: &dyn Fn(&Env) -> Result<OpenedBackup, app::Error>,
        context: &mut Context<'_>,
    ) -> Result<RestoreReport> {
        let env = context.env.clone();
        let opened = open(&env)?;
        if let Some(identity) = self.given(&opened, context)? {
            return Ok(restore(opened, &identity, &env)?);
        }
        if !opened.needs_passphrase() {
            let what = "the backup is encrypted to keys, and none was given";
            return Err(
                CliError::new(Exit::Usage, what).hint("name the key of one of its recipients with --identity KEY")
            );
        }
        let mut next = Some(opened);
        for left in (0..TRIES).rev() {
            let Some(prompts) = &mut context.prompts else {
                let what = "the backup is encrypted with a passphrase, and there is no terminal to ask on";
                return Err(
                    CliError::new(Exit::Usage, what).hint(format!("give it with --passphrase-file FILE or {VARIABLE}"))
                );
            };
            let typed = prompts.passphrase("Passphrase of the backup").map_err(no_answer("no passphrase was typed"))?;
            let opened = next.take().map_or_else(|| open(&env), Ok)?;
            match restore(opened, &Identity::from_passphrase(&typed), &env) {
                Err(app::Error::Restore(RestoreError::Decrypt { source: StreamError::WrongPassphrase, .. }))
                    if left > 0 =>
                {
                    context.screen.warn("the passphrase is wrong, try again");
                }
                other => return Ok(other?),
            }
        }
        Err(CliError::new(Exit::Refused, "the passphrase is wrong"))
    }

    /// Returns the key, or the passphrase, that is given without a prompt.
    fn given(&self, opened: &OpenedBackup, context: &mut Context<'_>) -> Result<Option<Identity>> {
        if let Some(identity) = &self.identity {
            let args = IdentityArgs::of(identity.clone(), self.identity_passphrase_file.clone());
            return args.read(context).map(Some);
        }
        if self.passphrase_file.is_none() && !opened.needs_passphrase() {
            return Ok(None);
        }
        let passphrase = given(self.passphrase_file.as_ref(), context)?;
        Ok(passphrase.map(|passphrase| Identity::from_passphrase(&passphrase)))
    }
}
