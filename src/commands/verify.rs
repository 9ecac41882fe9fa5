//! `verify`: the proof, on the wire or in the directory alone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::audit::Audit;
use super::context::{Context, unknown_host};
use super::output::OutputFormat;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::{Leaf, RootKind};
use crate::cluster::spec::Cluster;
use crate::failure::{Exit, Failure};
use crate::pki::certificate::Certificate;
use crate::pki::crl;
use crate::store::credentials;
use crate::store::files;
use crate::store::ledger::Ledger;
use crate::store::roots;
use crate::verify::checks::{Clock, judge, trust_anchor};
use crate::verify::finding::{Finding, Strictness, Verdict};
use crate::verify::options::{DEFAULT_CONCURRENCY, Options, PinError};
use crate::verify::probe;
use crate::verify::report::{Report, TextStyle};
use crate::verify::target::{Held, Identity, Target};

/// No list of revoked certificates is longer than this, in bytes; half a million serial numbers would fit.
const MAX_LIST: u64 = 32 * 1024 * 1024;

/// Proves on the live cluster that masters and nodes find each other, that each proves who it is, and that each refuses
/// everybody else. Every node and every master is dialled at every address; nothing on them is changed.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Dial nobody: check what lies in the directory
    #[arg(long, conflicts_with_all = ["nodes", "masters_only", "resolve", "crls", "timeout", "deadline", "concurrency"])]
    offline: bool,
    /// Only this node, and the masters; once for each
    #[arg(long = "node", value_name = "HOST", conflicts_with = "masters_only", add = super::completions::nodes())]
    nodes: Vec<String>,
    /// Only the masters; nodes' certificates still call them
    #[arg(long)]
    masters_only: bool,
    /// Take this address for a name, as in api.example.net:10.0.0.10; once for each
    #[arg(long, value_name = "NAME:ADDRESS")]
    resolve: Vec<String>,
    /// A certificate revocation list, PEM or DER, besides pki/crl.pem; once for each
    #[arg(long = "crl", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    crls: Vec<PathBuf>,
    /// What one connection may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    timeout: Duration,
    /// What the whole run may take, in seconds; what is not done by then is not proven
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    deadline: Option<Duration>,
    /// How many hosts may be in hand at once, those that never answer included
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_CONCURRENCY, value_parser = clap::value_parser!(u16).range(1..))]
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
    let cluster = context.cluster()?;
    let root = roots::certificate(&context.layout, RootKind::Cluster)?;
    let started = context.now;
    let target = target(args, &cluster, root.clone(), context)?;
    let findings =
        if args.offline { offline(&target, &cluster, &root, context)? } else { online(args, target.clone(), context)? };
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

/// What the directory knows of the cluster: hosts, and the credentials that calls are made with.
fn target(
    args: &VerifyArgs,
    cluster: &Cluster,
    root: Certificate,
    context: &Context<'_>,
) -> anyhow::Result<Arc<Target>> {
    let known: Vec<&str> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
    if let Some(unknown) = args.nodes.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(unknown_host(unknown, "node", &known).into());
    }
    let held = |leaf: &Leaf| if args.offline { Held::default() } else { held(leaf, context) };
    let mut target = Target::of(cluster, vec![root], held);
    if !args.nodes.is_empty() {
        target.only_nodes(|name| args.nodes.iter().any(|wanted| wanted == name));
    }
    if args.masters_only {
        target.only_masters();
    }
    if !args.offline {
        add_revocation_lists(&mut target, args, context)?;
    }
    Ok(Arc::new(target))
}

/// The lists that were given, and the directory's own. What is none is for the report: whoever asks for a list to be
/// heeded has to learn that it was not.
fn add_revocation_lists(target: &mut Target, args: &VerifyArgs, context: &Context<'_>) -> anyhow::Result<()> {
    let own = context.layout.revocation_list();
    let own = files::exists(&own).then_some(own);
    for path in args.crls.iter().map(|path| context.dir.join(path)).chain(own) {
        match crl::lists(&files::read(&path, MAX_LIST)?) {
            Ok(lists) => target.crls.extend(lists),
            Err(error) => target.crl_faults.push(format!("{}: {error}", path.display())),
        }
    }
    Ok(())
}

fn held(leaf: &Leaf, context: &Context<'_>) -> Held {
    let stored = match credentials::read(&context.layout, leaf) {
        Ok(stored) => stored,
        Err(trouble) => return Held { missing: Some(trouble.to_string()), ..Held::default() },
    };
    let issued = Some(stored.credential.certificate.fingerprint());
    match Identity::of(&stored.credential) {
        Ok(identity) => Held { issued, identity: Some(identity), missing: None },
        Err(error) => Held { issued, identity: None, missing: Some(error.to_string()) },
    }
}

fn online(args: &VerifyArgs, target: Arc<Target>, context: &Context<'_>) -> anyhow::Result<Vec<Finding>> {
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
    let seen = probe::run(&target, &options, context.now, &|done, total| progress.at(done, total))
        .map_err(|error| Failure::new(Exit::Environment, "the cluster cannot be asked").because(error))?;
    drop(progress);
    let expires_within = time::Duration::seconds_f64(args.expires_within.duration().as_secs_f64());
    Ok(judge(&target, &seen, Clock { now: context.now, expires_within }))
}

fn offline(
    target: &Target,
    cluster: &Cluster,
    root: &Certificate,
    context: &Context<'_>,
) -> anyhow::Result<Vec<Finding>> {
    let known = Ledger::open_to_read(&context.layout.ledger())?.known()?;
    let hosts = (cluster.masters.len() + cluster.nodes.len()) as u64;
    let progress = context.screen.progress("looking at what is there", hosts);
    let audit = Audit { layout: &context.layout, cluster, root, known: &known, now: context.now };
    let mut findings = trust_anchor(target, context.now);
    findings.extend(audit.findings(&|| progress.add(1)));
    Ok(findings)
}
