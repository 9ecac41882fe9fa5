//! Code shared by `issue-master` and `issue-node`: flags, the call, and output.

use std::time::Instant;

use clap::Args;

use crate::app::count::certificates;
use crate::app::issue::{self, IssueOptions, IssuePreview, IssueReport, NextStep, ServiceAccountStep, Subjects};
use crate::app::revoke::superseded::SupersededReport;
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::{issued, reasons};
use crate::cluster::account::AccountScheme;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::spec::Cluster;

/// Flags of both commands.
#[derive(Debug, Args)]
pub(super) struct IssueArgs {
    /// Reissue even if the current certificate is valid
    #[arg(long)]
    reissue: bool,
    /// Print what would be issued and why, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Also replace certificates that expire within this time, for example 30d
    #[arg(long, value_name = "TIME", value_parser = Lifetime::parse)]
    renew_within: Option<Lifetime>,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Issues the credentials of `subjects`, or prints what would be issued.
///
/// # Errors
/// Returns the errors of [`issue::preview`], [`issue::plan`], [`PassphraseArgs::issuers`] and
/// [`issue::IssuePlan::apply`].
pub(super) fn run(
    command: &'static str,
    subjects: Subjects<'_>,
    args: &IssueArgs,
    cluster: &Cluster,
    context: &mut Context<'_>,
) -> Result<Exit> {
    let options =
        IssueOptions { subjects, reissue: args.reissue, renew_within: args.renew_within, skips_unreadable: false };
    let env = context.env.clone();
    if args.dry_run {
        let preview = issue::preview(options, cluster, &env, &mut context.observer())?;
        match args.output {
            OutputFormat::Human => show_preview(&preview, cluster.accounts, context),
            OutputFormat::Json => context.screen.answer(issued::json(&preview, true)),
        }
        return Ok(Exit::Done);
    }
    let plan = issue::plan(options, command, cluster, &env, &mut context.observer())?;
    let json = (args.output == OutputFormat::Json).then(|| issued::json(plan.preview(), false));
    if plan.preview().is_empty() {
        json.into_iter().for_each(|json| context.screen.answer(json));
        context.screen.step(format_args!("nothing to do: {} valid", certificates(plan.preview().kept())));
        return Ok(Exit::Done);
    }
    let issuers = args.passphrase.issuers(&plan.signers(), cluster, context)?;
    // Started here, so that the time for typing a passphrase is not counted.
    let started = Instant::now();
    let report = plan.apply(&issuers, &mut context.observer())?;
    json.into_iter().for_each(|json| context.screen.answer(json));
    show_report(&report, cluster.accounts, started.elapsed().as_secs_f64(), args.output, context);
    Ok(Exit::Done)
}

fn show_preview(preview: &IssuePreview<'_>, scheme: AccountScheme, context: &mut Context<'_>) {
    let screen = &mut context.screen;
    match preview.service_account() {
        Some(ServiceAccountStep::Create) => screen.answer("make service-account key pair: not made yet"),
        Some(ServiceAccountStep::WritePublicKey) => {
            screen.answer("write service-account public key: sa.pub is missing");
        }
        None => {}
    }
    for certificate in preview.certificates() {
        screen.answer(format_args!("issue {}: {}", certificate.credential, reasons::of(&certificate)));
    }
    screen.step(format_args!(
        "would issue {} and keep {}; nothing was changed",
        certificates(preview.issued()),
        preview.kept(),
    ));
    for issued in &preview.superseded().0 {
        screen.answer(format_args!("revoke {} (serial {}): accounts: {scheme}", issued.account, issued.serial));
    }
}

fn show_report(
    report: &IssueReport,
    scheme: AccountScheme,
    seconds: f64,
    output: OutputFormat,
    context: &mut Context<'_>,
) {
    if let Some(superseded) = &report.superseded {
        show_superseded(superseded, scheme, output, context);
    }
    context.screen.step(format_args!(
        "issued {}, kept {}, in {seconds:.1} s ({:.0} per second)",
        certificates(report.issued),
        report.kept,
        report.issued as f64 / seconds.max(0.001),
    ));
    let next = match report.next {
        NextStep::IssueMasters => "issue-master --all",
        NextStep::IssueNodes => "issue-node --all",
        NextStep::Package => "bundle --all",
    };
    context.screen.step(format_args!("Next: clusterctl {next}"));
}

fn show_superseded(report: &SupersededReport, scheme: AccountScheme, output: OutputFormat, context: &mut Context<'_>) {
    let (old, SupersededReport { count, written }) = (scheme.other().prefix(), report);
    for path in written.iter().filter(|_| output == OutputFormat::Human) {
        context.screen.answer(path.display());
    }
    context.screen.warn(format_args!(
        "revoked {} of accounts {old}HOST, which accounts: {scheme} replaces. Apply the policy and install the nodes' bundles \
         before the masters', which deny them: clusterctl policy",
        certificates(*count),
    ));
}
