//! `verify`: the proof, on the wire or in the directory alone.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::audit::Audit;
use super::context::Context;
use super::output::OutputFormat;
use super::verify_target::{self, Aim, Elsewhere};
use crate::cluster::lifetime::Lifetime;
use crate::failure::{Exit, Failure};
use crate::store::ledger::Ledger;
use crate::verify::checks::{Clock, judge, trust_anchor};
use crate::verify::finding::{Finding, Strictness, Verdict};
use crate::verify::options::{Options, PinError};
use crate::verify::probe;
use crate::verify::report::{Report, TextStyle};
use crate::verify::target::Target;

/// Proves on the live cluster that masters and nodes find each other, that each proves who it is, and that each refuses
/// everybody else. Every node and every master is dialled at every address; nothing on them is changed.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Dial nobody: check what lies in the directory
    #[arg(long, conflicts_with_all = ["nodes", "masters_only", "resolve", "timeout", "deadline", "concurrency"])]
    offline: bool,
    /// Only this node, and the masters; once for each. Without a cluster directory: NAME=HOST[:PORT]
    #[arg(long = "node", value_name = "NODE", conflicts_with = "masters_only", add = super::completions::nodes())]
    nodes: Vec<String>,
    /// Only the masters; nodes' certificates still call them
    #[arg(long)]
    masters_only: bool,
    /// Take this address for a name, as in api.example.net:10.0.0.10; once for each
    #[arg(long, value_name = "NAME:ADDRESS")]
    resolve: Vec<String>,
    /// What one connection may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    timeout: Duration,
    /// What the whole run may take, in seconds; what is not done by then is not proven
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    deadline: Option<Duration>,
    /// How many connections may be open at once
    #[arg(long, value_name = "COUNT", default_value = "128", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// Warn of certificates that end within this time
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = Lifetime::parse)]
    expires_within: Lifetime,
    /// Let pass what could not be tried here
    #[arg(long)]
    allow_skipped: bool,
    /// Which findings fail the run
    #[arg(long, value_name = "WHAT", default_value = "error")]
    fail_on: FailOn,
    /// How to answer
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
    // Last, because its heading holds for all that comes after it.
    #[command(flatten)]
    elsewhere: Elsewhere,
}

/// `--fail-on`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// What breaks a property.
    Error,
    /// Warnings, too.
    Warn,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a number of seconds, for example 5 or 0.5".to_owned())?;
    if !(0.01..=86_400.0).contains(&seconds) {
        return Err("it must be between 0.01 and 86400 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Runs `verify`.
///
/// # Errors
/// When there is nothing to verify with: no cluster file, no root, no network at all.
pub fn run(args: &VerifyArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let started = context.now;
    let (target, mut findings) = if args.offline {
        offline(context)?
    } else {
        let Aim { target, findings } = aim(args, context)?;
        (target, findings)
    };
    let target = Arc::new(target);
    if !args.offline {
        findings.extend(online(args, &target, context)?);
    }
    let strictness = Strictness { allow_skipped: args.allow_skipped, fail_on_warn: args.fail_on == FailOn::Warn };
    let report = Report::new(&target, findings, strictness, started, (context.clock)());
    match args.output {
        OutputFormat::Human => {
            let style = TextStyle { color: context.screen.color(), verbose: context.screen.verbose() };
            context.screen.answer(report.to_text(style));
        }
        OutputFormat::Json => context.screen.answer(report.to_json()),
    }
    Ok(match report.verdict() {
        Verdict::Proven => Exit::Done,
        Verdict::Unproven => Exit::Unproven,
        Verdict::NothingJudged => Exit::Usage,
    })
}

/// What the run is pointed at.
fn aim(args: &VerifyArgs, context: &Context<'_>) -> anyhow::Result<Aim> {
    let mut aim = if args.elsewhere.is_given() {
        args.elsewhere.aim(&args.nodes, context)?
    } else {
        let cluster = context.cluster()?;
        let root = verify_target::root(&context.layout)?;
        let mut target = verify_target::from_directory(&cluster, root, &context.layout, true);
        verify_target::narrow(&mut target, &args.nodes)?;
        Aim { target, findings: Vec::new() }
    };
    if args.masters_only {
        aim.target.only_masters();
    }
    Ok(aim)
}

fn online(args: &VerifyArgs, target: &Arc<Target>, context: &Context<'_>) -> anyhow::Result<Vec<Finding>> {
    let mut options = Options {
        timeout: args.timeout,
        deadline: args.deadline,
        concurrency: args.concurrency.into(),
        ..Options::default()
    };
    for pin in &args.resolve {
        options.pin(pin).map_err(|error: PinError| Failure::new(Exit::Usage, error.to_string()))?;
    }
    let progress = context.screen.progress("asking", 0);
    let seen = probe::run(target, &options, context.now, &|done, total| progress.at(done, total))
        .map_err(|error| Failure::new(Exit::Environment, "the cluster cannot be asked").because(error))?;
    drop(progress);
    let expires_within = time::Duration::seconds_f64(args.expires_within.duration().as_secs_f64());
    Ok(judge(target, &seen, Clock { now: context.now, expires_within }))
}

fn offline(context: &Context<'_>) -> anyhow::Result<(Target, Vec<Finding>)> {
    let cluster = context.cluster()?;
    let root = verify_target::root(&context.layout)?;
    let target = verify_target::from_directory(&cluster, root.clone(), &context.layout, false);
    let known = Ledger::open(&context.layout.ledger())?.known()?;
    let hosts = (cluster.masters.len() + cluster.nodes.len()) as u64;
    let progress = context.screen.progress("looking at what is there", hosts);
    let audit = Audit { layout: &context.layout, cluster: &cluster, root: &root, known: &known, now: context.now };
    let mut findings = trust_anchor(&target, context.now);
    findings.extend(audit.findings(&|| progress.add(1)));
    Ok((target, findings))
}
