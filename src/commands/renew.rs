//! `renew`: renews what is due.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::completions;
use super::issue::reason;
use crate::app::admin::AdminReport;
use crate::app::count::{certificates, counted};
use crate::app::issue::PlannedCertificate;
use crate::app::renew::{self, DueAdmin, RenewOptions, RenewPlan, RenewReport};
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::args::hosts::hosts_of;
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::duration::stamp;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::HostName;
use crate::cluster::spec::Cluster;
use crate::ui::Screen;

/// How many hosts a line names.
const NAMED: usize = 20;

/// Renews what is past its time of renewal: renewBefore in cluster.yaml, or the last third of its life. Certificates
/// that do not match the cluster file are replaced, too. What was never issued stays so: issue-master and issue-node
/// issue it. The passphrase is asked for once, and only if something is due.
#[derive(Debug, Args)]
pub struct RenewArgs {
    /// Masters and nodes: names, lists as in a,b and patterns as in 'worker-*'
    #[arg(value_name = "HOST", add = completions::hosts())]
    hosts: Vec<String>,
    /// All hosts of the cluster file, the verifier, and the CRLs
    #[arg(long, conflicts_with = "hosts")]
    all: bool,
    /// Administrators' kubeconfigs, too, but not those of break-glass accounts
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
/// The errors of [`renew::plan`], `PassphraseArgs::issuers` and [`RenewPlan::apply`]; a usage error where nothing is
/// named.
pub fn run(args: &RenewArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let options = args.options(&cluster, context)?;
    let env = context.env.clone();
    let plan = renew::plan(options, &cluster, &env, &mut context.observer())?;
    if args.dry_run || plan.is_empty() {
        show_plan(&plan, args, &mut context.screen);
        return Ok(Exit::Done);
    }
    let issuers = args.passphrase.issuers(&plan.signers(), context)?;
    let report = plan.apply(&issuers, &mut context.observer())?;
    show(&report, args.output, &mut context.screen);
    Ok(Exit::Done)
}

impl RenewArgs {
    fn options<'c>(&self, cluster: &'c Cluster, context: &Context<'_>) -> Result<RenewOptions<'c>> {
        if !self.all && !self.admins && self.hosts.is_empty() {
            let hint = "name some of the cluster file's hosts, or say --all or --admins";
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

/// Shows what would be renewed.
fn show_plan(plan: &RenewPlan<'_>, args: &RenewArgs, screen: &mut Screen<'_>) {
    let planned: Vec<PlannedCertificate> = plan.certificates().collect();
    if args.output == OutputFormat::Json {
        let admins =
            plan.admins().iter().map(|due| json!({ "name": due.name.as_str(), "file": null, "expires": null }));
        let crls = plan.renews_crls().then(Vec::new);
        return screen.answer(format_args!("{:#}", json_of(args.dry_run, &planned, admins.collect(), crls)));
    }
    for certificate in &planned {
        screen.answer(format_args!("renew {}", line(certificate)));
    }
    for DueAdmin { name, not_after, .. } in plan.admins() {
        screen.answer(format_args!("renew the kubeconfig of {name}: it expires at {}", stamp(*not_after)));
    }
    if plan.renews_crls() {
        screen.answer("renew the CRLs");
    }
    screen.step(match plan.is_empty() {
        true => "nothing is due".to_owned(),
        false => format!("would renew {}; nothing was changed", certificates(planned.len() + plan.admins().len())),
    });
}

/// Shows what was renewed.
fn show(report: &RenewReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let files = |report: &RenewReport| report.crls.as_ref().map(|crls| crls.written.clone());
    if output == OutputFormat::Json {
        let admin =
            |admin: &AdminReport| json!({ "name": admin.name, "file": admin.path, "expires": stamp(admin.not_after) });
        let admins = report.admins.iter().map(admin).collect();
        return screen.answer(format_args!("{:#}", json_of(false, &report.certificates, admins, files(report))));
    }
    for certificate in &report.certificates {
        screen.answer(format_args!("renewed {}", line(certificate)));
    }
    for admin in &report.admins {
        screen.answer(admin.path.display());
    }
    for path in files(report).unwrap_or_default() {
        screen.answer(path.display());
    }
    screen.step(format_args!("renewed {}", certificates(report.certificates.len() + report.admins.len())));
    if !report.admins.is_empty() {
        screen.step(
            "give each kubeconfig only to its administrator; the old one is valid until it expires or is revoked",
        );
    }
    let hosts = report.hosts();
    if !hosts.is_empty() {
        let names: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
        screen.step(match names.len() {
            0..=NAMED => format!("Next: clusterctl bundle {}   (and deliver)", names.join(" ")),
            count => format!("Next: clusterctl bundle --all   (and deliver to {})", counted(count, "host")),
        });
    }
}

fn line(certificate: &PlannedCertificate) -> String {
    let reasons: Vec<String> = certificate.reasons.iter().map(reason).collect();
    format!("{}: {}", certificate.credential, reasons.join("; "))
}

fn json_of(is_dry_run: bool, planned: &[PlannedCertificate], admins: Vec<Value>, crls: Option<Vec<PathBuf>>) -> Value {
    let certificate = |one: &PlannedCertificate| {
        json!({
            "host": one.credential.host.as_ref().map(HostName::as_str),
            "profile": one.credential.profile.policy().name,
            "reasons": one.reasons.iter().map(reason).collect::<Vec<_>>(),
        })
    };
    let mut hosts: Vec<&str> = planned.iter().filter_map(|one| Some(one.credential.host.as_ref()?.as_str())).collect();
    hosts.sort_unstable();
    hosts.dedup();
    json!({
        "schemaVersion": 1,
        "dryRun": is_dry_run,
        "certificates": planned.iter().map(certificate).collect::<Vec<_>>(),
        "admins": admins,
        "crls": crls,
        "hostsToDeliver": hosts,
    })
}
