//! `renew`: renews what is due.

use std::path::PathBuf;

use clap::Args;

use super::completions;
use crate::app::renew::{self, RenewOptions};
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::args::hosts::hosts_of;
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cli::output::renewal;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::spec::Cluster;

/// The arguments of `renew`.
#[derive(Debug, Args)]
pub struct RenewArgs {
    /// Masters and nodes: names, lists as in a,b and patterns as in 'worker-*'
    #[arg(value_name = "HOST", add = completions::hosts())]
    hosts: Vec<String>,
    /// All hosts of the cluster file, the verifier, and the CRLs
    #[arg(long, conflicts_with = "hosts")]
    all: bool,
    /// Administrators' kubeconfigs, except for those of break-glass accounts
    #[arg(long)]
    admins: bool,
    /// Also renew what expires within this time, for example 30d
    #[arg(long, value_name = "TIME", value_parser = Lifetime::parse)]
    within: Option<Lifetime>,
    /// Print what would be renewed and why, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Replace built-in templates with the files of the same path in this folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    templates: Option<PathBuf>,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Runs `renew`.
///
/// # Errors
/// Returns the errors of [`renew::plan`], `PassphraseArgs::issuers` and [`renew::RenewPlan::apply`], or a usage error
/// if nothing is named.
pub fn run(args: &RenewArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let options = args.options(&cluster, context)?;
    args.warn_of_long_limit(&options, &cluster, context);
    let env = context.env.clone();
    let plan = renew::plan(options, &cluster, &env, &mut context.observer())?;
    if args.dry_run || plan.is_empty() {
        renewal::show_plan(&plan, args.dry_run, args.output, &mut context.screen);
        return Ok(Exit::Done);
    }
    let issuers = match plan.renews_crls() {
        true => args.passphrase.crl_issuers(&plan.signers(), &cluster, context)?,
        false => args.passphrase.issuers(&plan.signers(), &cluster, context)?,
    };
    let report = plan.apply(&issuers, &mut context.observer())?;
    renewal::show(&report, args.output, &mut context.screen);
    Ok(Exit::Done)
}

impl RenewArgs {
    /// Warns of a limit within which new certificates expire, too: every run would renew all of them.
    fn warn_of_long_limit(&self, options: &RenewOptions<'_>, cluster: &Cluster, context: &mut Context<'_>) {
        let of_masters = (!options.masters.is_empty()).then_some(cluster.validity.master);
        let of_nodes = (!options.nodes.is_empty()).then_some(cluster.validity.node);
        let shortest = of_masters.into_iter().chain(of_nodes).min();
        if let (Some(within), Some(lifetime)) = (self.within, shortest)
            && within >= lifetime
        {
            context.screen.warn(format_args!(
                "--within {within} is not shorter than the lifetime of new certificates ({lifetime}): each run renews them again"
            ));
        }
    }

    fn options<'c>(&self, cluster: &'c Cluster, context: &Context<'_>) -> Result<RenewOptions<'c>> {
        if !self.all && !self.admins && self.hosts.is_empty() {
            let hint = "name some of the cluster file's hosts, or use --all or --admins";
            return Err(CliError::new(Exit::Usage, "nothing was named").hint(hint));
        }
        let (masters, nodes) = match self.all {
            true => (cluster.masters.iter().collect(), cluster.nodes.iter().collect()),
            false => hosts_of(cluster, &self.hosts)?,
        };
        Ok(RenewOptions {
            masters,
            nodes,
            admins: self.admins,
            crls: self.all,
            within: self.within,
            templates: self.templates.as_ref().map(|folder| context.path(folder)),
        })
    }
}
