//! `init-ca`: creates the CAs and the ledger, once.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::app::ca::{self, CaReport, CreateOptions, KeyProtection, KeyStorage, RenewCaOptions, RenewCaReport};
use crate::cli::args::ca_passphrase::{NewPassphraseArgs, holders, warn_of_encryption};
use crate::cli::args::passphrase_file::passphrase_of_file;
use crate::cli::args::pins::PinsOf;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cli::output::signers;
use crate::cluster::duration::stamp;
use crate::cluster::spec::Cluster;

/// The arguments of `init-ca`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("roots").args(["root_out", "root_in"]))]
pub struct InitCaArgs {
    #[command(flatten)]
    passphrase: NewPassphraseArgs,
    /// Make intermediate CAs that sign, below roots whose keys are kept away from this machine
    #[arg(long, requires = "roots")]
    intermediate: bool,
    /// Replace the intermediates below the roots in --root-in by new ones with new keys, because the old keys were lost or may
    /// have been stolen. Trust files stay as they are
    #[arg(long, requires_all = ["intermediate", "root_in"])]
    renew: bool,
    /// Folder with the roots and their keys, as --root-out wrote it; the CAs of the roots in it are replaced
    #[arg(long, value_name = "DIR", requires = "renew", value_hint = clap::ValueHint::DirPath)]
    root_in: Option<PathBuf>,
    /// File with the passphrase of the roots' keys [default: that of the CAs' keys]
    #[arg(long, value_name = "FILE", requires = "root_in", value_hint = clap::ValueHint::FilePath)]
    root_passphrase_file: Option<PathBuf>,
    /// New folder for the roots and their keys, outside of the cluster directory: on a medium that goes into a safe
    #[arg(long, value_name = "DIR", requires = "intermediate", value_hint = clap::ValueHint::DirPath)]
    root_out: Option<PathBuf>,
}

/// Runs `init-ca`.
///
/// # Errors
/// Returns the errors of [`ca::create`], [`ca::renew`] and `NewPassphraseArgs::protection`.
pub fn run(args: &InitCaArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    // clap does not require --root-in beside --root-out, which excludes it.
    if args.renew && args.root_in.is_none() {
        return Err(CliError::new(Exit::Usage, "--renew needs the roots: --root-in DIR"));
    }
    let _lock = context.lock("init-ca")?;
    if let Some(folder) = &args.root_in {
        return renew(args, &context.path(folder), &cluster, context);
    }
    // Checked first, so that the user is not asked for a passphrase in vain.
    let missing = ca::missing(&context.env.layout)?;
    let root_out = args.root_out.as_ref().map(|folder| context.path(folder));
    if let Some(folder) = &root_out {
        ca::check_root_out(&context.env.layout, folder)?;
    }
    let in_files = root_out.is_some() || missing.iter().any(|role| cluster.signer(*role).is_none());
    let protection = match in_files {
        true => args.passphrase.protection(cluster.name.as_str(), context)?,
        false => KeyProtection::None,
    };
    let mut held_keys = Vec::new();
    for holder in holders(&missing, &cluster, context) {
        held_keys.push((holder.role(), holder.key(Some(cluster.keys), &mut PinsOf(context))?));
    }
    let options = CreateOptions { protection, held_keys, root_out };
    show(&ca::create(&context.env, &cluster, &options)?, context);
    Ok(Exit::Done)
}

/// Replaces intermediates.
fn renew(args: &InitCaArgs, root_in: &Path, cluster: &Cluster, context: &mut Context<'_>) -> Result<Exit> {
    let env = context.env.clone();
    // Checked first, so that the user is not asked for a passphrase in vain.
    let roles = ca::renewable(root_in, &env)?;
    let protection = args.passphrase.protection(cluster.name.as_str(), context)?;
    let given = match &args.root_passphrase_file {
        Some(path) => Some(passphrase_of_file(path, context)?),
        None => None,
    };
    let mut held_keys = Vec::new();
    for holder in holders(&roles, cluster, context) {
        held_keys.push((holder.role(), holder.key(Some(cluster.keys), &mut PinsOf(context))?));
    }
    let of_new = match &protection {
        KeyProtection::Passphrase(passphrase) => Some(passphrase),
        KeyProtection::None => None,
    };
    let options = RenewCaOptions {
        root_in: root_in.to_owned(),
        root_passphrase: given.as_ref().or(of_new),
        protection: &protection,
        held_keys,
    };
    let RenewCaReport { created, weakly_encrypted } = ca::renew(&options, cluster, &env)?;
    weakly_encrypted.iter().for_each(|path| warn_of_encryption(path, context));
    show(&CaReport { created, offline_roots: None }, context);
    context.screen.step(
        "The former intermediates stay trusted but no longer sign. To replace what they signed: clusterctl \
         issue-master --all --reissue, clusterctl issue-node --all --reissue, clusterctl bundle --all",
    );
    Ok(Exit::Done)
}

fn show(report: &CaReport, context: &mut Context<'_>) {
    for ca in &report.created {
        let held = match &ca.key {
            KeyStorage::Encrypted | KeyStorage::Plaintext => String::new(),
            KeyStorage::Held(signer) => format!("\n  key          {}", signers::words(signer)),
        };
        context.screen.answer(format_args!(
            "{}\n  file         {}\n  valid until  {}\n  pin          {}\n  fingerprint  {}{held}",
            ca.name,
            ca.certificate.display(),
            stamp(ca.not_after),
            ca.pin.as_pin(),
            ca.fingerprint,
        ));
    }
    if report.created.iter().any(|ca| ca.key == KeyStorage::Encrypted) {
        context.screen.step(
            "The keys are encrypted with your passphrase. Without it no certificate can be issued: keep it safe.",
        );
    }
    if report.created.iter().any(|ca| ca.key == KeyStorage::Plaintext) {
        context.screen.warn("the CA's keys are not encrypted: anyone who reads them controls the cluster");
    }
    if let Some(folder) = &report.offline_roots {
        context.screen.answer(folder.display());
        context.screen.warn(format_args!(
            "anyone who has the roots' keys can create CAs of the cluster: move {} away from this machine",
            folder.display()
        ));
    }
    let pki = context.env.layout.pki();
    context.screen.step(format_args!("Back up {} now. Next: clusterctl issue-master --all", pki.display()));
}
