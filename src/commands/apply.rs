//! `apply` and `plan`: make everything in the cluster directory match the cluster file, or print what differs.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::bundle::formats;
use crate::app::apply::{self, ApplyPlan, Changes};
use crate::app::package::encryption::Encryption;
use crate::app::package::{MissingRecipient, PackageError, PackageOptions, Selection, versions};
use crate::bundle::format::Format;
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::args::encryption::EncryptionArgs;
use crate::cli::args::output::OutputFormat;
use crate::cli::args::signing::SigningArgs;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::changes;
use crate::cluster::name::HostName;
use crate::cluster::spec::Cluster;

/// The arguments of `apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Print what would be changed and why, and change nothing, as clusterctl plan does
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    plan: PlanArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// The arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Exit with 10 if there was something to do, and with 0 if there was not
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
    let (options, left_out) = args.plan.options(&cluster, context)?;
    let plan = apply::plan(options, left_out, &cluster, &env, &mut context.observer())?;
    let done = match plan.is_empty() {
        true => plan.tidy(&mut context.observer())?,
        false => apply(args, plan, &cluster, context)?,
    };
    changes::show(&done, false, args.plan.output, context);
    args.plan.exit(&done, done.is_empty())
}

fn apply(args: &ApplyArgs, plan: ApplyPlan<'_>, cluster: &Cluster, context: &mut Context<'_>) -> Result<Changes> {
    let signers = plan.signers();
    let issuers = match signers.is_empty() {
        true => Vec::new(),
        false if plan.changes().crls.is_empty() => args.passphrase.issuers(&signers, cluster, context)?,
        false => args.passphrase.crl_issuers(&signers, cluster, context)?,
    };
    Ok(plan.apply(&issuers, &mut context.observer())?)
}

/// Runs `plan`.
///
/// # Errors
/// Returns the errors of [`apply::plan`], or a refusal if some hosts cannot be packed.
pub fn run_plan(args: &PlanArgs, context: &mut Context<'_>) -> Result<Exit> {
    let (cluster, env) = (context.cluster()?, context.env.clone());
    let (options, left_out) = args.options(&cluster, context)?;
    let plan = apply::plan(options, left_out, &cluster, &env, &mut context.observer())?;
    changes::show(plan.changes(), true, args.output, context);
    args.exit(plan.changes(), plan.changes().is_empty())
}

impl PlanArgs {
    /// Returns the options of packing, and the hosts that are left out because they have no recipient.
    fn options<'c>(
        &self,
        cluster: &'c Cluster,
        context: &mut Context<'_>,
    ) -> Result<(PackageOptions<'c>, Vec<MissingRecipient>)> {
        let (hosts, recipients) = (Selection::all(cluster), self.encryption.recipients(context.dir)?);
        let (encryption, left_out) = Encryption::plan_partly(&hosts, cluster, self.format, &recipients)?;
        let is_left_out: HashSet<&HostName> = left_out.iter().map(|one| &one.host).collect();
        let options = PackageOptions {
            hosts: hosts.only(|host| !is_left_out.contains(host)),
            format: self.format,
            settings: versions::settings(cluster, &[], false)?,
            overrides_versions: false,
            templates: self.templates.as_ref().map(|folder| context.path(folder)),
            encryption,
            discard_keys: self.encryption.discard_keys,
            signing_key: self.signing.key(self.format, context)?.map(Arc::new),
        };
        Ok((options, left_out))
    }

    fn exit(&self, changes: &Changes, was_empty: bool) -> Result<Exit> {
        if let (None, Some(error)) = (changes.refusal(), &changes.verifier_unreadable) {
            return Err(error.clone().into());
        }
        let without = &changes.without_recipients;
        match changes.refusal() {
            Some(refusal) => Err(PackageError::Refused(refusal).into()),
            None if !without.is_empty() => Err(PackageError::NoRecipients {
                hosts: without.clone(),
                by_known_hosts: without.iter().any(|one| one.why.is_some()),
                is_partial: true,
            }
            .into()),
            None if self.exit_code && !was_empty => Ok(Exit::Changed),
            None => Ok(Exit::Done),
        }
    }
}
