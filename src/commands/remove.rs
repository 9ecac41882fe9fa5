//! `remove`: removes hosts that left the cluster.

use std::path::PathBuf;

use clap::Args;

use super::completions;
use super::revoke::reasons;
use crate::app::remove::{self, Removal, RemoveOptions};
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::args::hosts::patterns;
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result, no_answer};
use crate::cli::exit::Exit;
use crate::cli::output::removal;
use crate::cluster::lifetime::Lifetime;
use crate::pki::reason::Reason;

/// The arguments of `remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Hosts that are no longer in cluster.yaml: also lists as in a,b and patterns as in 'worker-*'
    #[arg(value_name = "HOST", required = true, add = completions::hosts_that_left())]
    hosts: Vec<String>,
    /// Print what would be revoked and deleted, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The reason of the revocation, as RFC 5280 names it
    #[arg(long, value_name = "REASON", value_parser = reasons(), default_value = "cessationOfOperation")]
    reason: Reason,
    /// CRL validity (nextUpdate). Clients that check CRLs reject all certificates once it has passed [default: validity.crl in
    /// cluster.yaml, or else 90d]
    #[arg(long, value_name = "TIME", value_parser = Lifetime::parse)]
    crl_validity: Option<Lifetime>,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Replace built-in templates with the files of the same path in this folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    templates: Option<PathBuf>,
    /// Format of the output; the schema of the JSON is schemas/remove.schema.json
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Runs `remove`.
///
/// # Errors
/// Returns the errors of [`remove::plan()`], the passphrase and [`remove::RemovePlan::apply`], or a refusal if it is
/// not confirmed.
pub fn run(args: &RemoveArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let env = context.env.clone();
    let options = RemoveOptions {
        hosts: patterns(&args.hosts)?,
        reason: args.reason,
        crl_validity: args.crl_validity,
        templates: args.templates.as_ref().map(|folder| context.path(folder)),
    };
    if args.dry_run {
        let found = remove::preview(&options, &cluster, &env, &mut context.observer())?;
        removal::show_preview(&found, true, &cluster, &env.layout, args.output, &mut context.screen);
        return Ok(Exit::Done);
    }
    let plan = remove::plan(options, &cluster, &env, &mut context.observer())?;
    if plan.removal().is_empty() {
        removal::show_preview(plan.removal(), false, &cluster, &env.layout, args.output, &mut context.screen);
        return Ok(Exit::Done);
    }
    confirm(plan.removal(), args.yes, context)?;
    let issuers = args.passphrase.crl_issuers(&plan.removal().crls, &cluster, context)?;
    let report = plan.apply(&issuers, &mut context.observer())?;
    removal::show(&report, &cluster, &env.layout, args.output, &mut context.screen);
    Ok(Exit::Done)
}

/// Shows what is about to be revoked and deleted, and asks for confirmation.
fn confirm(found: &Removal, confirmed: bool, context: &mut Context<'_>) -> Result<()> {
    for line in removal::lines(found) {
        context.screen.step(line);
    }
    if confirmed {
        return Ok(());
    }
    let Some(prompts) = &mut context.prompts else {
        let what = "removing asks for confirmation, and there is no terminal to ask on";
        return Err(CliError::new(Exit::Usage, what).hint("use --yes to confirm it"));
    };
    if prompts.confirm(&removal::question(found)).map_err(no_answer("it was not confirmed"))? {
        return Ok(());
    }
    Err(CliError::new(Exit::Refused, "it was not confirmed").hint("nothing was revoked or deleted"))
}
