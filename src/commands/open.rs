//! `open`: decrypts and checks a bundle, and unpacks it into a new folder.

use std::path::PathBuf;

use clap::Args;
use zeroize::Zeroizing;

use crate::app::package::open::{self, OpenedFile, Signature};
use crate::bundle::encryption::MAX_ENCRYPTED;
use crate::bundle::model::Bundle;
use crate::cli::args::identity::IdentityArgs;
use crate::cli::args::signing::allowed_signers;
use crate::cli::context::{Context, read_given};
use crate::cli::error::Result;
use crate::cli::exit::Exit;

/// The arguments of `open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// The bundle: HOST.tar.gz.age, or HOST.tar.gz
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    identity: IdentityArgs,
    /// Require a signature by one of the keys in this file: a name and a public key per line, as in ssh-keygen's
    /// allowed_signers
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    signer: Option<PathBuf>,
    /// The folder to create [default: the host's name, in the current folder]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, conflicts_with = "list")]
    to: Option<PathBuf>,
    /// List the files in the bundle, and write nothing
    #[arg(long)]
    list: bool,
}

/// Runs `open`.
///
/// # Errors
/// Returns a usage error if the file is not a bundle, or a refusal if the identity cannot decrypt it, no allowed signer
/// signed it, or the folder exists. In that case, nothing is written.
pub fn run(args: &OpenArgs, context: &mut Context<'_>) -> Result<Exit> {
    let path = context.path(&args.file);
    let signers = match &args.signer {
        Some(path) => Some(allowed_signers(&context.path(path), context)?),
        None => None,
    };
    let bytes = Zeroizing::new(read_given(&path, MAX_ENCRYPTED, "bundle")?);
    let bundle = match open::read(&path, bytes)? {
        OpenedFile::Bundle(bundle) => *bundle,
        OpenedFile::Encrypted(file) => file.decrypt(&args.identity.read(context)?)?,
    };
    let signature = open::check_signature(&path, &bundle, signers.as_ref(), context.env.now)?;
    context.screen.step(in_words(&signature));
    warn_of_another_host(&bundle, context);
    if args.list {
        for file in &bundle.files {
            context.screen.answer(format_args!("{:04o} {:>7} {}", file.mode, file.bytes.len(), file.path));
        }
        return Ok(Exit::Done);
    }
    let name = PathBuf::from(bundle.manifest.host.as_str());
    let folder = context.path(args.to.as_ref().unwrap_or(&name));
    open::unpack(&bundle, &folder)?;
    context.screen.answer(folder.display());
    context.screen.step(format_args!("Install it as root with: {}", folder.join("install.sh").display()));
    Ok(Exit::Done)
}

fn in_words(signature: &Signature) -> String {
    match signature {
        Signature::By { name } => format!("signed by {name}"),
        Signature::Unknown { fingerprint } => {
            format!("signed with {fingerprint}, which was not checked: name the allowed signers with --signer FILE")
        }
        Signature::None => "not signed: the checksums are right, the sender is not authenticated".to_owned(),
        Signature::Invalid(error) => format!("the signature is not valid: {error}"),
    }
}

/// Warns where `install.sh` would refuse the bundle on this machine; nothing is installed here.
fn warn_of_another_host(bundle: &Bundle, context: &mut Context<'_>) {
    let host = bundle.manifest.host.as_str();
    let here = context.env.actor.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let first_label = host.split('.').next().unwrap_or_default();
    if here != host && (here.contains('.') || here != first_label) && !bundle.manifest.roles.is_empty() {
        let what = format!("this bundle is for {host}, and this host is called {here}: install.sh will refuse it here");
        context.screen.warn(what);
    }
}
