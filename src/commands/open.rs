//! `open`: a bundle, sealed or not, checked and unpacked into a folder of its own.

use std::path::{Path, PathBuf};

use clap::Args;

use super::packing::signing::allowed_signers;
use crate::bundle::archive;
use crate::bundle::model::Bundle;
use crate::bundle::seal::{self, Identity, IdentityError, MAX_SEALED, OpenError};
use crate::bundle::signature;
use crate::cli::args::secrets;
use crate::cli::args::ssh_keys::Named;
use crate::cli::context::{Context, read_given};
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::staged::StagedFolder;

/// The host's own key, which bundles are sealed to with --known-hosts.
const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key";

/// Opens a bundle, sealed or not: decrypts it, checks every file in it, and unpacks it into a new folder, from which
/// install.sh installs it.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// The bundle: HOST.tar.gz.age, or HOST.tar.gz
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// What it was sealed to: an OpenSSH private key, or a file of age identities
    #[arg(short, long, value_name = "KEY", default_value = HOST_KEY, value_hint = clap::ValueHint::FilePath)]
    identity: PathBuf,
    /// File with the passphrase of that key in its first line, where an SSH key has one
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    identity_passphrase_file: Option<PathBuf>,
    /// Refuse it unless somebody in this file signed it: lines of a name and a public key, as ssh-keygen's allowed_signers
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    signer: Option<PathBuf>,
    /// The folder to make [default: the host's name, here]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, conflicts_with = "list")]
    to: Option<PathBuf>,
    /// Say what is in it, and write nothing
    #[arg(long)]
    list: bool,
}

/// Runs `open`.
///
/// # Errors
/// A usage error for what is no bundle; refused when it is sealed to somebody else, not signed by who may, or the folder is
/// there already. Nothing is written then.
pub fn run(args: &OpenArgs, context: &mut Context<'_>) -> Result<Exit> {
    let path = context.path(&args.file);
    let signers = match &args.signer {
        Some(path) => Some(allowed_signers(&context.path(path), context)?),
        None => None,
    };
    let bytes = zeroize::Zeroizing::new(read_given(&path, MAX_SEALED, "bundle")?);
    let bundle = if seal::is_sealed(&bytes) {
        // The header first: no passphrase is asked for in vain.
        seal::recipients(&bytes).map_err(|error| closed(&path, error))?;
        let identity = identity(args, context)?;
        let inside = seal::open(&bytes, &identity).map_err(|error| closed(&path, error))?;
        archive::read(&inside).map_err(|error| no_bundle(&path, "what is sealed in it is no good bundle", error))?
    } else {
        archive::read(&bytes).map_err(|error| no_bundle(&path, "it is no good bundle", error))?
    };
    match &signers {
        Some(signers) => {
            let name = signature::judge(&bundle, signers, context.env.now).map_err(|error| unsigned(&path, error))?;
            context.screen.step(format_args!("signed by {name}"));
        }
        None => context.screen.step(signature_in_words(&bundle)),
    }
    warn_of_another_host(&bundle, context);
    if args.list {
        for file in &bundle.files {
            context.screen.answer(format_args!("{:04o} {:>7} {}", file.mode, file.bytes.len(), file.path));
        }
        return Ok(Exit::Done);
    }
    let name = PathBuf::from(bundle.manifest.host.as_str());
    let folder = context.path(args.to.as_ref().unwrap_or(&name));
    unpack(&bundle, &folder)?;
    context.screen.answer(folder.display());
    context.screen.step(format_args!("Install it as root with: {}", folder.join("install.sh").display()));
    Ok(Exit::Done)
}

fn identity(args: &OpenArgs, context: &mut Context<'_>) -> Result<Identity> {
    let path = context.path(&args.identity);
    secrets::not_one(&args.identity.to_string_lossy(), &path)?;
    let named = Named {
        what: "identity",
        path: &path,
        passphrase_file: args.identity_passphrase_file.as_ref(),
        flag: "--identity-passphrase-file",
    };
    let failed = |what: String| {
        let hint = "run it on the host as root, which can read the host's SSH key, or name another key with --identity";
        CliError::new(Exit::Usage, what).hint(hint)
    };
    let shown = path.display();
    let bytes = match files::read(&path, crate::cli::args::ssh_keys::KEY_LIMIT) {
        Err(StoreError::Missing(_)) => return Err(failed(format!("there is no identity {shown}"))),
        Err(error @ StoreError::Io { .. }) => {
            let what = format!("the identity {shown} cannot be read");
            let hint = "run it as root, who can read the host's SSH key, or name another key with --identity";
            return Err(CliError::new(Exit::Environment, what).hint(hint).because(error));
        }
        other => zeroize::Zeroizing::new(other?),
    };
    let unusable = |error: IdentityError| failed(format!("the identity {shown} cannot be used")).because(error);
    match Identity::from_age_file(&bytes) {
        Err(IdentityError::Unknown) => {
            let key = named.open(&bytes, context)?;
            Ok(Identity::from_ssh(&key).map_err(unusable)?)
        }
        other => Ok(other.map_err(unusable)?),
    }
}

fn closed(path: &Path, error: OpenError) -> CliError {
    let hint = match &error {
        OpenError::Foreign { .. } => {
            "on its host, run it as root; elsewhere, name the key that it was sealed to with --identity. A host whose SSH \
             keys were made anew needs a new bundle"
        }
        OpenError::Armored => "take its armor off with: age -d, which opens it, too",
        OpenError::Header | OpenError::Passphrase | OpenError::TooLarge => "is it the right file?",
        OpenError::Damaged | OpenError::CutOff => "copy the bundle again; nothing was written",
    };
    let exit = match &error {
        OpenError::Foreign { .. } => Exit::Refused,
        _ => Exit::Usage,
    };
    CliError::new(exit, format!("{} cannot be opened", path.display())).hint(hint).because(error)
}

fn no_bundle(path: &Path, what: &str, error: archive::ArchiveError) -> CliError {
    CliError::new(Exit::Usage, format!("{} cannot be opened: {what}", path.display()))
        .hint(match error.is_newer() {
            true => archive::USE_A_NEWER,
            false => "copy the bundle again; nothing was written",
        })
        .because(error)
}

fn unsigned(path: &Path, error: signature::SignatureError) -> CliError {
    CliError::new(Exit::Refused, format!("{} is not signed by anybody who may", path.display()))
        .hint("nothing was written. Take the bundle from whoever you trust; bundle --sign-with KEY signs")
        .because(error)
}

/// For somebody who named no signer.
fn signature_in_words(bundle: &Bundle) -> String {
    match signature::found(bundle) {
        Ok(signature) => {
            format!("signed with {}, whoever that is: --signer FILE says who may", signature.fingerprint())
        }
        Err(signature::SignatureError::Unsigned) => {
            "not signed: what it holds is whole, and from whoever handed it over".to_owned()
        }
        Err(error) => format!("signed, and the signature is not good: {error}"),
    }
}

/// As `install.sh` looks at it, which refuses; nothing is installed here.
fn warn_of_another_host(bundle: &Bundle, context: &mut Context<'_>) {
    let host = bundle.manifest.host.as_str();
    let here = context.env.actor.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let first_label = host.split('.').next().unwrap_or_default();
    if here != host && (here.contains('.') || here != first_label) && !bundle.manifest.roles.is_empty() {
        let what = format!("this bundle is for {host}, and this host is called {here}: install.sh will refuse it here");
        context.screen.warn(what);
    }
}

/// The folder appears whole, with mode 0700, or not at all.
fn unpack(bundle: &Bundle, folder: &Path) -> Result<()> {
    if files::exists(folder) {
        return Err(CliError::new(Exit::Refused, format!("{} is there already", folder.display()))
            .hint("nothing was written: remove it, or name another folder with --to"));
    }
    let staged = StagedFolder::begin(folder)?;
    for file in &bundle.files {
        // What the manifest lists has no other bits; of its own three files nobody said anything.
        staged.add_below(&file.path, &file.bytes, file.mode & 0o777)?;
    }
    files::sync_all(staged.path())?;
    Ok(staged.publish_new()?)
}
