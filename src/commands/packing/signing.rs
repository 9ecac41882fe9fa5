//! Signing bundles with an operator's SSH key, and whose signature is accepted.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::app::package::reader;
use crate::bundle::format::Format;
use crate::bundle::input::Roles;
use crate::bundle::model::SIGNATURE;
use crate::cli::args::secrets;
use crate::cli::args::ssh_keys::Named;
use crate::cli::context::{Context, read_given};
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::pki::allowed_signers::AllowedSigners;
use crate::pki::ssh::SshKey;

/// No file of allowed signers is larger than this, in bytes.
const LIMIT: u64 = 1024 * 1024;

/// How many hosts' last bundles are looked into for a signature.
const LOOKED_INTO: usize = 8;

/// How many lines that cannot be read are told.
const NAMED: usize = 5;

/// The flags that sign.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// Sign each bundle with this SSH private key, so that install.sh and open can tell whose it is
    #[arg(long, value_name = "KEY", value_hint = clap::ValueHint::FilePath)]
    sign_with: Option<PathBuf>,
    /// File with the passphrase of that key in its first line
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "sign_with")]
    sign_passphrase_file: Option<PathBuf>,
}

impl SignArgs {
    /// The key to sign with, unlocked; `None` when none was named.
    ///
    /// # Errors
    /// When it cannot be read, is none, or its passphrase is wrong or cannot be asked for; when the form has no place for a
    /// signature.
    pub(crate) fn key(&self, format: Format, context: &mut Context<'_>) -> Result<Option<SshKey>> {
        let Some(path) = &self.sign_with else { return Ok(None) };
        if format == Format::Ignition {
            let what = "--format ignition cannot be signed: there is no install.sh in it that would look";
            let hint =
                "leave --sign-with away, or take another form: the archive, the folder, user-data for cloud-init";
            return Err(CliError::new(Exit::Usage, what).hint(hint));
        }
        let (given, path) = (path, context.path(path));
        secrets::not_one(&given.to_string_lossy(), &path)?;
        let named = Named {
            what: "signing key",
            path: &path,
            passphrase_file: self.sign_passphrase_file.as_ref(),
            flag: "--sign-passphrase-file",
        };
        let bytes = named.read()?;
        let key = named.open(&bytes, context)?;
        // Whether its kind can sign shows now, and not after a hundred bundles.
        key.sign("clusterctl-try", b"").map_err(|error| {
            CliError::new(Exit::Usage, format!("the signing key {} cannot be used", path.display()))
                .hint("ssh-keygen -t ed25519 makes a key that works")
                .because(error)
        })?;
        Ok(Some(key))
    }
}

/// Returns those of the first hosts whose last bundles in `folder` are signed. Reading all bundles of a large fleet takes long.
pub(crate) fn signed_before(hosts: &[Roles<'_>], folder: &Path) -> Vec<String> {
    let signed = |roles: &&Roles<'_>| {
        Format::ALL
            .iter()
            .filter_map(|format| reader::read(&folder.join(format.file_name(roles.host()))).ok())
            .any(|bundle| bundle.file(SIGNATURE).is_some())
    };
    hosts.iter().take(LOOKED_INTO).filter(signed).map(|roles| roles.host().to_string()).collect()
}

/// Warns where bundles are not signed any more.
pub(crate) fn tell_of_lost_signatures(were_signed: &[String], context: &mut Context<'_>) {
    if !were_signed.is_empty() {
        context.screen.warn(format_args!(
            "the last bundles of {} were signed, and these are not: hosts that know the signer refuse them; pack again with \
             --sign-with KEY",
            were_signed.join(", ")
        ));
    }
}

/// Reads a file of allowed signers, and warns of lines that cannot be read.
///
/// # Errors
/// A usage error when it is not there or none.
pub(crate) fn allowed_signers(path: &Path, context: &mut Context<'_>) -> Result<AllowedSigners> {
    let bytes = read_given(path, LIMIT, "file of allowed signers")?;
    let signers = AllowedSigners::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| {
        CliError::new(Exit::Usage, format!("the file of allowed signers {} cannot be used", path.display()))
            .hint("a line is a name and a public key: admin@example.net ssh-ed25519 AAAA…")
            .because(error)
    })?;
    for error in signers.left_out().iter().take(NAMED) {
        context.screen.warn(format_args!("in {}, {error}; it allows nobody", path.display()));
    }
    Ok(signers)
}
