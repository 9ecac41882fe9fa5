//! `apply` and `plan`: make everything in the cluster directory match the cluster file, or print what differs.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::bundle::formats;
use crate::app::apply::{self, ApplyPlan, Changes};
use crate::app::package::encryption::Encryption;
use crate::app::package::{PackageError, PackageOptions, Selection, versions};
use crate::bundle::format::Format;
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::args::encryption::EncryptionArgs;
use crate::cli::args::output::OutputFormat;
use crate::cli::args::signing::SigningArgs;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::changes;
use crate::cluster::spec::Cluster;

/// Makes the directory match cluster.yaml: issues what is missing, does not match or is due, signs CRLs that are due,
/// writes policy/, and packs bundles. Files that are up to date are left alone, and a second run has nothing to do. The
/// passphrase is asked for once, and only if something has to be signed.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Print what would be changed and why, and change nothing: as clusterctl plan
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    plan: PlanArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Prints what clusterctl apply would change, and why, one line for each certificate, file and bundle. Changes nothing,
/// and asks for no passphrase.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Exit with 10 if something was to do, and with 0 if nothing was
    #[arg(long)]
    exit_code: bool,
    /// Format of the bundles: an archive to unpack, a folder to copy, user-data for cloud-init, or a config for
    /// Ignition
    #[arg(long, value_name = "FORMAT", default_value = Format::TarGz.as_str(), value_parser = formats())]
    format: Format,
    /// Replace built-in templates with the files of the same path in this folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    templates: Option<PathBuf>,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
    #[command(flatten)]
    encryption: EncryptionArgs,
    #[command(flatten)]
    signing: SigningArgs,
}

/// Runs `apply`.
///
/// # Errors
/// Returns the errors of [`apply::plan`], `PassphraseArgs::issuers` and [`ApplyPlan::apply`], or a refusal if some
/// hosts cannot be packed.
pub fn run(args: &ApplyArgs, context: &mut Context<'_>) -> Result<Exit> {
    if args.dry_run {
        return run_plan(&args.plan, context);
    }
    let (cluster, env) = (context.cluster()?, context.env.clone());
    let options = args.plan.options(&cluster, context)?;
    let plan = apply::plan(options, &cluster, &env, &mut context.observer())?;
    let was_empty = plan.changes().is_empty();
    let done = match plan.is_empty() {
        true => plan.tidy(&mut context.observer())?,
        false => apply(args, plan, &cluster, context)?,
    };
    changes::show(&done, false, args.plan.output, context);
    args.plan.exit(&done, was_empty)
}

fn apply(args: &ApplyArgs, plan: ApplyPlan<'_>, cluster: &Cluster, context: &mut Context<'_>) -> Result<Changes> {
    let signers = plan.signers();
    let issuers = match signers.is_empty() {
        true => Vec::new(),
        false => args.passphrase.issuers(&signers, cluster, context)?,
    };
    Ok(plan.apply(&issuers, &mut context.observer())?)
}

/// Runs `plan`.
///
/// # Errors
/// Returns the errors of [`apply::plan`], or a refusal if some hosts cannot be packed.
pub fn run_plan(args: &PlanArgs, context: &mut Context<'_>) -> Result<Exit> {
    let (cluster, env) = (context.cluster()?, context.env.clone());
    let options = args.options(&cluster, context)?;
    let plan = apply::plan(options, &cluster, &env, &mut context.observer())?;
    changes::show(plan.changes(), true, args.output, context);
    args.exit(plan.changes(), plan.changes().is_empty())
}

impl PlanArgs {
    fn options<'c>(&self, cluster: &'c Cluster, context: &mut Context<'_>) -> Result<PackageOptions<'c>> {
        let hosts = Selection::all(cluster);
        let encryption = Encryption::plan(&hosts, cluster, self.format, &self.encryption.recipients(context)?)?;
        Ok(PackageOptions {
            hosts,
            format: self.format,
            settings: versions::settings(cluster, &[], false)?,
            overrides_versions: false,
            templates: self.templates.as_ref().map(|folder| context.path(folder)),
            encryption,
            discard_keys: self.encryption.discard_keys,
            signing_key: self.signing.key(self.format, context)?.map(Arc::new),
        })
    }

    fn exit(&self, changes: &Changes, was_empty: bool) -> Result<Exit> {
        match changes.refusal() {
            Some(refusal) => Err(PackageError::Refused(refusal).into()),
            None if self.exit_code && !was_empty => Ok(Exit::Changed),
            None => Ok(Exit::Done),
        }
    }
}
