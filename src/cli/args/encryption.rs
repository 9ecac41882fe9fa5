//! The flags that name the recipients of bundles.

use std::path::{Path, PathBuf};

use clap::Args;

use super::secrets;
use crate::app::package::encryption::Recipients;
use crate::cli::context::read_given;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::recipient::{Recipient, RecipientError, may_be_secret};
use crate::pki::known_hosts::KnownHosts;
use crate::store::error::StoreError;
use crate::store::files;

/// The largest file of recipients, in bytes. A hundred thousand hosts need a third of it.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The flags that name the recipients of bundles.
#[derive(Debug, Args)]
pub(crate) struct EncryptionArgs {
    /// Encrypt every bundle to this recipient: age1…, "ssh-ed25519 AAAA…", or a file with one per line. May be
    /// repeated; replaces sealTo in the cluster file
    #[arg(long, alias = "seal-to", value_name = "RECIPIENT|FILE", value_hint = clap::ValueHint::FilePath)]
    encrypt_to: Vec<String>,
    /// Encrypt each bundle to its host's own SSH host key, found in this known_hosts file by the host's name or
    /// addresses; replaces sealTo in the cluster file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    known_hosts: Option<PathBuf>,
    /// Do not encrypt the bundles, even if the cluster file has sealTo
    #[arg(long, alias = "unsealed", conflicts_with_all = ["encrypt_to", "known_hosts"])]
    unencrypted: bool,
    /// Delete the nodes' keys from this directory once their encrypted bundles are written: only the recipients have
    /// them then
    #[arg(long, alias = "forget-keys", conflicts_with = "unencrypted")]
    pub(crate) discard_keys: bool,
}

impl EncryptionArgs {
    /// Reads the recipients that are given, with paths resolved from the folder `dir`.
    ///
    /// # Errors
    /// Returns a usage error if a file cannot be read, or something in it or on the command line is not a recipient.
    pub(crate) fn recipients(&self, dir: &Path) -> Result<Recipients> {
        if self.unencrypted {
            return Ok(Recipients::None);
        }
        let mut for_all_hosts = Vec::new();
        for text in &self.encrypt_to {
            for_all_hosts.extend(recipients_named(text, dir)?);
        }
        let known_hosts = self.known_hosts.as_ref().map(|path| known_hosts(&dir.join(path))).transpose()?;
        Ok(match (for_all_hosts.is_empty(), &known_hosts) {
            (true, None) => Recipients::OfClusterFile,
            _ => Recipients::Given { for_all_hosts, known_hosts },
        })
    }
}

/// Returns the recipients that one `--encrypt-to` names; a file is resolved from the folder `dir`.
pub(crate) fn recipients_named(text: &str, dir: &Path) -> Result<Vec<Recipient>> {
    match Recipient::parse(text) {
        Ok(recipient) => Ok(vec![recipient]),
        // Text that does not look like a recipient is the name of a file.
        Err(RecipientError::Unknown) => recipients_in(text, &dir.join(text)),
        Err(error) => {
            let what = match may_be_secret(text) {
                true => "--encrypt-to cannot be used".to_owned(),
                false => format!("--encrypt-to {text:?} cannot be used"),
            };
            let hint = "put an SSH key's type and the key into one pair of quotes, as in its .pub file";
            Err(CliError::new(Exit::Usage, what).hint(hint).because(error))
        }
    }
}

/// Reads a file with one recipient per line; `#` begins a comment.
fn recipients_in(given: &str, path: &Path) -> Result<Vec<Recipient>> {
    secrets::not_one(given, path)?;
    let bytes = match files::read_named(path, MAX_BYTES) {
        Err(StoreError::Missing(_)) => {
            let what = format!("--encrypt-to {given:?} is neither a recipient nor a file");
            let hint = "a recipient is age1…, or ssh-ed25519 or ssh-rsa and a public key in one pair of quotes";
            return Err(CliError::new(Exit::Usage, what).hint(hint));
        }
        other => other?,
    };
    let shown = path.display();
    let text = String::from_utf8(bytes).map_err(|error| {
        CliError::new(Exit::Usage, format!("the file of recipients {shown} is not text")).because(error.utf8_error())
    })?;
    let mut recipients = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        recipients.push(Recipient::parse(line).map_err(|error| {
            let what = format!("line {} of the file of recipients {shown} cannot be used", i + 1);
            let failure = CliError::new(Exit::Usage, what);
            let failure = match KnownHosts::parse(line).is_empty() {
                true => failure,
                false => failure.hint("this looks like a known_hosts file; use it with --known-hosts FILE"),
            };
            failure.because(error)
        })?);
    }
    if recipients.is_empty() {
        let what = format!("there is no recipient in {shown}");
        return Err(CliError::new(Exit::Usage, what).hint("write one per line: age1…, or ssh-ed25519 AAAA…"));
    }
    Ok(recipients)
}

pub(crate) fn known_hosts(path: &Path) -> Result<KnownHosts> {
    let bytes = read_given(path, MAX_BYTES, "known_hosts file")?;
    let known = KnownHosts::parse(&String::from_utf8_lossy(&bytes));
    if known.is_empty() {
        let what = format!("there is no host in the known_hosts file {}", path.display());
        return Err(CliError::new(Exit::Usage, what).hint("print a line for a host with: ssh-keyscan -t ed25519 HOST"));
    }
    Ok(known)
}
