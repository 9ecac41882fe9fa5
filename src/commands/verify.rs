//! `verify`: the proof, on the wire or in the directory alone.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::verifying::audit::Audit;
use super::verifying::denials;
use super::verifying::target::{self, Aim, Elsewhere};
use crate::app::revoke::{self, removed_hosts, superseded};
use crate::cli::context::{Context, read_given};
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cli::finding_remedies::{of_recording, words};
use crate::cluster::duration;
use crate::cluster::duration::stamp;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::profile::{CaRole, Profile};
use crate::pki::crl;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::ca;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::ledger::Ledger;
use crate::verify::checks::{Clock, Detail, trust_anchor};
use crate::verify::finding::{Aspect, CheckId, Finding, Severity, Status, Strictness, Verdict};
use crate::verify::options::{DEFAULT_CONCURRENCY, Options, PinError};
use crate::verify::probe;
use crate::verify::recording::{MAX_BYTES, Recording, RecordingError};
use crate::verify::remedy::VerifierRemedy;
use crate::verify::report::{Report, TextStyle};
use crate::verify::target::{Place, Target};

/// Proves on the live cluster that masters and nodes find each other, that each proves who it is, and that each refuses
/// everybody else. Every node and every master is dialled at every address; nothing on them is changed.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Dial nobody: check what lies in the directory
    #[arg(long, conflicts_with_all = [
        "nodes", "masters_only", "sample", "resolve", "crls", "timeout", "deadline", "concurrency", "no_dry_run_writes",
        "from", "ca", "endpoint", "kubeconfig", "context", "master_cert", "node_cert",
    ])]
    offline: bool,
    /// Only this node, and the masters; once for each. Without a cluster directory: NAME=HOST[:PORT]
    #[arg(long = "node", value_name = "NODE", conflicts_with = "masters_only", add = super::completions::nodes())]
    nodes: Vec<String>,
    /// Only the masters; nodes' certificates still call them
    #[arg(long)]
    masters_only: bool,
    /// Of a very large fleet only this many nodes, spread evenly over the cluster file; the report says what was left out
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = [
        "nodes", "masters_only", "ca", "endpoint", "kubeconfig", "master_cert", "node_cert",
    ])]
    sample: Option<u32>,
    /// Take this address for a name, as in api.example.net:10.0.0.10; once for each
    #[arg(long, value_name = "NAME:ADDRESS")]
    resolve: Vec<String>,
    /// A certificate revocation list, PEM or DER, besides pki/crl.pem; once for each
    #[arg(long = "crl", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    crls: Vec<PathBuf>,
    /// How long one question may take, connection included, for example 5s or 500ms
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    timeout: Duration,
    /// What the whole run may take, for example 2m; what is not done by then is not proven
    #[arg(long, value_name = "TIME", value_parser = time)]
    deadline: Option<Duration>,
    /// Send no dry-run writes. Else a node of the target asks each API server, as a dry run that changes nothing, to admit
    /// what it may write and what it must not: a taint on itself, a pod on another node
    #[arg(long)]
    no_dry_run_writes: bool,
    /// How many hosts may be in hand at once, those that never answer included
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_CONCURRENCY, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// Also write what was seen to a new file, to be judged again with --replay. It holds no key
    #[arg(long, value_name = "FILE", conflicts_with = "offline")]
    record: Option<PathBuf>,
    /// Dial nobody and read no directory: judge what --record wrote, with the clock of then
    #[arg(long, value_name = "FILE", conflicts_with_all = WIRE)]
    replay: Option<PathBuf>,
    /// Warn of certificates that end within this time [default: 30d, or as it was recorded]
    #[arg(long, value_name = "TIME", value_parser = Lifetime::parse)]
    expires_within: Option<Lifetime>,
    /// Let pass what could not be tried here
    #[arg(long)]
    allow_skipped: bool,
    /// Which findings fail the run [default: error, or as it was recorded]
    #[arg(long, value_name = "WHAT")]
    fail_on: Option<FailOn>,
    /// How to answer
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    output: ReportFormat,
    // Last, because its heading holds for all that comes after it.
    #[command(flatten)]
    elsewhere: Elsewhere,
}

/// The flags that say what is dialled and how; a replay dials nobody.
const WIRE: [&str; 18] = [
    "no_dry_run_writes",
    "offline",
    "record",
    "nodes",
    "masters_only",
    "sample",
    "resolve",
    "crls",
    "timeout",
    "deadline",
    "concurrency",
    "from",
    "ca",
    "endpoint",
    "kubeconfig",
    "context",
    "master_cert",
    "node_cert",
];

/// What is warned of unless told otherwise, in days.
const EXPIRES_WITHIN: i64 = 30;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For a person.
    Human,
    /// For a program: schemas/verify-report.schema.json.
    Json,
    /// For CI: a suite for each host.
    Junit,
}

/// `--fail-on`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// What breaks a property.
    Error,
    /// Warnings, too.
    Warn,
}

/// Reads `5s`, `500ms`, `2m`, `1h30m`, or a number of seconds.
fn time(text: &str) -> Result<Duration, String> {
    let days = || Lifetime::parse(text).ok().map(|lifetime| lifetime.duration().as_secs_f64());
    let seconds = text.parse().ok().or_else(|| duration::in_seconds(text)).or_else(days);
    let seconds: f64 = seconds.ok_or_else(|| "it must be a time, for example 5s, 500ms or 2m".to_owned())?;
    if !(0.01..=86_400.0).contains(&seconds) {
        return Err("it must be between 10ms and 24h".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Runs `verify`.
///
/// # Errors
/// When there is nothing to verify with: no cluster file, no root, no network at all; a recording that cannot be used.
pub fn run(args: &VerifyArgs, context: &mut Context<'_>) -> Result<Exit> {
    let report = match &args.replay {
        Some(file) => replay(args, file, context)?,
        None => live(args, context)?,
    };
    match args.output {
        ReportFormat::Human => {
            let screen = &context.screen;
            let style = TextStyle { color: screen.color(), verbose: screen.verbose(), width: screen.columns() };
            context.screen.answer(report.to_text(style, &words));
        }
        ReportFormat::Json => context.screen.answer(report.to_json(&words)),
        ReportFormat::Junit => context.screen.answer(report.to_junit(&words)),
    }
    Ok(match report.verdict() {
        Verdict::Proven => Exit::Done,
        Verdict::Unproven => Exit::Unproven,
        Verdict::NothingJudged => Exit::Usage,
    })
}

/// Looks, on the wire or in the directory, and judges.
fn live(args: &VerifyArgs, context: &mut Context<'_>) -> Result<Report> {
    if args.offline {
        let only_what_is_wrong = args.detail(context) == Detail::WhatIsWrong;
        let (target, findings) = offline(args, only_what_is_wrong, context)?;
        return Ok(Report::new(&target, findings, args.strictness(), context.env.now, (context.clock)()));
    }
    online(args, aim(args, context)?, context)
}

impl VerifyArgs {
    /// A person who did not ask for more is told of what is wrong alone.
    fn detail(&self, context: &Context<'_>) -> Detail {
        match self.output == ReportFormat::Human && !context.screen.verbose() {
            true => Detail::WhatIsWrong,
            false => Detail::Everything,
        }
    }

    fn strictness(&self) -> Strictness {
        Strictness { allow_skipped: self.allow_skipped, fail_on_warn: self.fail_on == Some(FailOn::Warn) }
    }

    fn expires_within(&self) -> Option<time::Duration> {
        let span = self.expires_within?.duration();
        Some(time::Duration::seconds_f64(span.as_secs_f64()))
    }
}

/// What the run is pointed at.
fn aim(args: &VerifyArgs, context: &Context<'_>) -> Result<Aim> {
    let mut aim = if args.elsewhere.is_given() {
        args.elsewhere.aim(&args.nodes, context)?
    } else {
        let cluster = context.cluster()?;
        let trust = target::trust(&context.env.layout)?;
        let mut target = target::from_directory(&cluster, &trust, &context.env.layout);
        target::narrow(&mut target, &args.nodes)?;
        Aim { target, findings: Vec::new() }
    };
    if args.masters_only {
        aim.target.only_masters();
    }
    if let Some(count) = args.sample {
        aim.findings.extend(sample(&mut aim.target, count as usize));
    }
    add_what_was_issued_and_revoked(&mut aim.target, args, context)?;
    Ok(aim)
}

/// Leaves all nodes but `count` out of the run, and says so; two runs leave out the same.
fn sample(target: &mut Target, count: usize) -> Option<Finding> {
    let all = target.nodes.len();
    let left_out = all.checked_sub(count).filter(|left_out| *left_out > 0)?;
    let picked: HashSet<String> = (0..count).map(|i| target.nodes[i * all / count].name.clone()).collect();
    target.only_nodes(|name| picked.contains(name));
    let id = CheckId::at(Place::Node, Aspect::Connect);
    let mut finding = Finding::new(id, Place::Cluster, &target.cluster, Status::Skipped);
    // It was asked for, so that it does not fail the run.
    finding.severity = Severity::Warning;
    let observed = format!("{left_out} of {all} nodes were left out, as --sample {count} says");
    Some(finding.saw(observed, "every node is dialled").remedy(VerifierRemedy::VerifyAllNodes))
}

/// The lists that were given, the directory's own, and what its ledger knows. What is no list is for the report: whoever asks
/// for a list to be heeded has to learn that it was not.
fn add_what_was_issued_and_revoked(target: &mut Target, args: &VerifyArgs, context: &Context<'_>) -> Result<()> {
    let own = context.env.layout.revocation_list(CaRole::Cluster);
    let own = (!args.elsewhere.is_given() && files::exists(&own)).then_some(own);
    for path in args.crls.iter().map(|path| context.path(path)).chain(own) {
        match crl::lists(&read_given(&path, revoke::crl::MAX_BYTES, "revocation list")?) {
            Ok(lists) => target.crls.extend(lists),
            Err(error) => target.crl_faults.push(format!("{}: {error}", path.display())),
        }
    }
    if args.elsewhere.is_given() {
        return Ok(());
    }
    let rules = denials::rules(&context.env.layout)?;
    if !files::exists(&context.env.layout.ledger()) {
        target.denials = Some(denials::without_a_ledger(&context.env.layout, &rules)?);
    } else if let Err(error) = ask_the_ledger(target, &rules, context) {
        target.crl_faults.push(error.to_string());
    }
    Ok(())
}

/// What was revoked and has to be denied, and what was issued last for each host: a file may have been put back from a backup
/// since.
fn ask_the_ledger(target: &mut Target, rules: &str, context: &Context<'_>) -> Result<(), StoreError> {
    let ledger = Ledger::open_read_only(&context.env.layout.ledger())?;
    if let Ok(trust) = ca::trust(&context.env.layout, CaRole::Cluster) {
        target.denials = Some(denials::of(rules, &ledger, &trust, context.env.now)?);
    }
    let revoked: BTreeSet<Fingerprint> = ledger.inventory()?.revoked().collect();
    // Where nothing was ever revoked there is nothing to judge.
    target.revoked = (!revoked.is_empty()).then_some(revoked);
    let newest = ledger.newest(Profile::KubeletServer.policy().name)?;
    for node in &mut target.nodes {
        node.issued = newest.get(&node.name).copied().or(node.issued);
    }
    Ok(())
}

/// Dials, records if asked to, and judges. The report of a recording is the report of the run: both are judged from it.
fn online(args: &VerifyArgs, aim: Aim, context: &mut Context<'_>) -> Result<Report> {
    let record = args.record.as_ref().map(|given| context.path(given));
    if let Some(path) = &record {
        recordable(path)?;
    }
    let target = Arc::new(aim.target);
    let mut options = Options {
        one_thread: crate::app::threads::are_scarce(),
        timeout: args.timeout,
        deadline: args.deadline,
        concurrency: args.concurrency.into(),
        dry_run_writes: !args.no_dry_run_writes,
        ..Options::default()
    };
    for pin in &args.resolve {
        options.pin(pin).map_err(|error: PinError| CliError::new(Exit::Usage, error.to_string()))?;
    }
    let progress = context.screen.progress("asking", 0);
    let seen = probe::run(&target, &options, context.env.now, &|done, total| progress.at(done, total))
        .map_err(|error| CliError::new(Exit::Environment, "the cluster cannot be asked").because(error))?;
    drop(progress);
    let expires_within = args.expires_within().unwrap_or(time::Duration::days(EXPIRES_WITHIN));
    let clock = Clock { now: context.env.now, expires_within };
    let recording = Recording::new(&target, aim.findings, seen, clock, args.strictness(), (context.clock)());
    // The credentials are not needed any more.
    drop(target);
    // Written before it is judged, so that a judge that stumbles leaves what it stumbled over.
    if let Some(path) = &record {
        let unwritten = |error: RecordingError| {
            let hint = of_recording(&error);
            CliError::new(Exit::Environment, format!("{} was not written", path.display())).hint(hint).because(error)
        };
        files::write_new(path, &recording.to_bytes().map_err(unwritten)?, files::PRIVATE)?;
        context.screen.step(format_args!("recorded in {}", path.display()));
    }
    Ok(recording.into_report(args.detail(context)))
}

/// Refuses a recording's place before anybody is dialled.
fn recordable(path: &Path) -> Result<()> {
    if files::exists(path) {
        return Err(StoreError::Exists(path.to_owned()).into());
    }
    match path.parent().filter(|parent| !files::exists(parent)) {
        Some(parent) => {
            let what = format!("there is no folder {} to write the recording to", parent.display());
            Err(CliError::new(Exit::Usage, what))
        }
        None => Ok(()),
    }
}

/// Judges a recording. What is told goes beside the answer, which is the very one of the run.
fn replay(args: &VerifyArgs, given: &Path, context: &mut Context<'_>) -> Result<Report> {
    let path = context.path(given);
    let unusable = || CliError::new(Exit::Usage, format!("the recording {} cannot be used", path.display()));
    let bytes = match files::read_or_wait(&path, MAX_BYTES) {
        Err(StoreError::Missing(_)) => {
            return Err(CliError::new(Exit::Usage, format!("there is no recording {}", path.display())));
        }
        Err(error @ StoreError::TooLarge { .. }) => {
            return Err(unusable().hint("no run writes as much; record again").because(error));
        }
        other => other?,
    };
    let mut recording = Recording::from_bytes(&bytes).map_err(|error| {
        let hint = of_recording(&error);
        unusable().hint(hint).because(error)
    })?;
    drop(bytes);
    context.screen.step(format_args!(
        "judging what was recorded at {}; it proves as much as you trust whoever recorded it",
        stamp(recording.clock.now)
    ));
    if let Some(span) = args.expires_within() {
        recording.clock.expires_within = span;
    }
    recording.strictness.allow_skipped |= args.allow_skipped;
    if let Some(what) = args.fail_on {
        recording.strictness.fail_on_warn = what == FailOn::Warn;
    }
    Ok(recording.into_report(args.detail(context)))
}

fn offline(args: &VerifyArgs, only_what_is_wrong: bool, context: &mut Context<'_>) -> Result<(Target, Vec<Finding>)> {
    context.check_owner()?;
    let ledger = context.env.layout.ledger();
    let (cluster, recorded) = thread::scope(|scope| {
        // Of a large fleet each takes as long as the other.
        let recorded = || Ledger::open_read_only(&ledger).and_then(|ledger| Ok((ledger.inventory()?, ledger)));
        match thread::Builder::new().spawn_scoped(scope, recorded) {
            Ok(thread) => (context.cluster(), thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
            Err(_) => (context.cluster(), recorded()),
        }
    });
    let (cluster, root) = (cluster?, target::trust(&context.env.layout)?);
    // Nobody is dialled.
    let target =
        Target { roots: root.anchors().into_iter().cloned().collect(), ..Target::bare(cluster.name.to_string()) };
    // A root that cannot be read is a finding, and keeps nothing else from being looked at.
    let read = |kind| Some((kind, ca::trust(&context.env.layout, kind).ok()?));
    let roots: BTreeMap<CaRole, TrustBundle> = CaRole::ALL.into_iter().filter_map(read).collect();
    let (known, ledger) = recorded?;
    let denials = revoke::denials::of_ledger(&ledger, &root, context.env.now)?;
    let hosts = (cluster.masters.len() + cluster.nodes.len()) as u64;
    let progress = context.screen.progress("looking at what is there", hosts);
    let expires_within = args.expires_within().unwrap_or(time::Duration::days(EXPIRES_WITHIN));
    let audit = Audit {
        layout: &context.env.layout,
        cluster: &cluster,
        root: &root,
        roots: &roots,
        known: &known,
        last_generation: ledger.last_generation()?,
        denials: &denials,
        now: context.env.now,
        expires_within,
        only_what_is_wrong,
    };
    let begun = Instant::now();
    let mut findings = audit.findings(&|| progress.add(1));
    // In this order: of a large fleet there is no room for two lists.
    findings.splice(0..0, trust_anchor(&target, context.env.now));
    findings.extend(revoke::crl::findings(&context.env.layout, &roots, &ledger, context.env.now, expires_within)?);
    findings.extend(removed_hosts::findings(&context.env.layout, &cluster, &ledger, context.env.now)?);
    findings.extend(superseded::finding(&cluster, &ledger, &context.env)?);
    findings.extend(revoke::denials::findings(&cluster, &denials, &ledger, &root, &context.env)?);
    drop(progress);
    let (seconds, count) = (begun.elapsed().as_secs_f64(), findings.len());
    context.screen.step(format_args!(
        "looked at {hosts} hosts, {count} checks, in {seconds:.1} s ({:.0} a second)",
        count as f64 / seconds.max(0.001),
    ));
    Ok((target, findings))
}
