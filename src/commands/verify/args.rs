//! The arguments of `verify`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::target_args::TargetArgs;
use crate::app::verify::{ProvenRotation, RunOptions, TargetOptions};
use crate::cluster::duration;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::lifetime::Lifetime;
use crate::commands::completions;
use crate::commands::rotated_role::Role;
use crate::verify::checks::Detail;
use crate::verify::options::DEFAULT_CONCURRENCY;
use crate::verify::verdict::Strictness;

/// Certificates that expire within this time are a warning by default, in days.
const EXPIRES_WITHIN: i64 = 30;

/// The arguments that choose the peers and how to connect to them. They conflict with `--replay`.
const CONNECTING: [&str; 19] = [
    "phase",
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

/// The arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Check the cluster directory only; make no connections
    #[arg(long, conflicts_with_all = [
        "nodes", "masters_only", "sample", "resolve", "crls", "timeout", "deadline", "concurrency", "no_dry_run_writes",
        "from", "ca", "endpoint", "kubeconfig", "context", "master_cert", "node_cert",
    ])]
    pub(super) offline: bool,
    /// Prove this enrolment endpoint instead: that it is the cluster's, and that it gives nothing to anonymous and untrusted clients
    /// and to other nodes
    #[arg(long, value_name = "URL", value_parser = crate::commands::register::parse_url, conflicts_with_all = [
        "offline", "nodes", "masters_only", "sample", "resolve", "crls", "timeout", "deadline", "concurrency", "no_dry_run_writes",
        "from", "ca", "endpoint", "kubeconfig", "context", "master_cert", "node_cert", "record", "replay",
    ])]
    pub(super) enrolment: Option<Endpoint>,
    /// Also prove the phase of the rotation that is under way, as clusterctl rotate-ca next requires
    #[arg(long, conflicts_with_all = [
        "offline", "from", "ca", "endpoint", "kubeconfig", "context", "master_cert", "node_cert",
    ])]
    phase: bool,
    /// With --phase: the CA, or the key, whose rotation is proven, if several are under way
    #[arg(long, value_name = "ROLE", requires = "phase")]
    role: Option<Role>,
    /// Verify only this node, and the masters.
    #[arg(
        long = "node",
        value_name = "NODE",
        conflicts_with = "masters_only",
        add = completions::nodes(),
        help = "Verify only this node, and the masters; repeat for each. Without a cluster directory: NAME=HOST[:PORT]"
    )]
    nodes: Vec<String>,
    /// Verify only the masters; nodes' certificates are still used to connect to them
    #[arg(long)]
    masters_only: bool,
    /// Verify only this many nodes, evenly spaced in the cluster file; the report says how many were left out
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = [
        "nodes", "masters_only", "ca", "endpoint", "kubeconfig", "master_cert", "node_cert",
    ])]
    sample: Option<u32>,
    /// Use this address for a name, as in api.example.net:10.0.0.10; repeat for each
    #[arg(long, value_name = "NAME:ADDRESS")]
    resolve: Vec<String>,
    /// Also check revocation by this CRL, PEM or DER, besides pki/crl.pem; repeat for each
    #[arg(long = "crl", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    crls: Vec<PathBuf>,
    /// Longest time for one connection with its answer, for example 5s or 500ms
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    timeout: Duration,
    /// Longest time for the whole run, for example 2m; what is not done by then is not proven
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    deadline: Option<Duration>,
    /// Send no dry-run writes. By default a node sends each API server dry-run requests, some that must be admitted and
    /// some that must be denied: a taint on itself, a pod on another node
    #[arg(long)]
    no_dry_run_writes: bool,
    /// How many hosts to verify at the same time, those that never answer included
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_CONCURRENCY, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// Also write the observations to a new file, for --replay. It contains no key
    #[arg(long, value_name = "FILE", conflicts_with = "offline")]
    pub(super) record: Option<PathBuf>,
    /// Judge the observations that --record wrote, at the time of the recording; make no connections and read no
    /// directory
    #[arg(long, value_name = "FILE", conflicts_with_all = CONNECTING)]
    pub(super) replay: Option<PathBuf>,
    /// Warn of certificates that expire within this time [default: 30d, or as recorded]
    #[arg(long, value_name = "TIME", value_parser = Lifetime::parse)]
    expires_within: Option<Lifetime>,
    /// Do not fail on skipped checks
    #[arg(long)]
    pub(super) allow_skipped: bool,
    /// Which findings fail the run [default: error, or as recorded]
    #[arg(long, value_name = "WHAT")]
    pub(super) fail_on: Option<FailOn>,
    /// Format of the report
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    pub(super) output: ReportFormat,
    // Last, because its heading applies to everything after it.
    #[command(flatten)]
    target: TargetArgs,
}

/// The format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Text for people
    Human,
    /// JSON: schemas/verify-report.schema.json
    Json,
    /// JUnit XML: a suite for each host
    Junit,
    /// One HTML file, which needs nothing else and runs no script
    Html,
    /// The verdict in Prometheus's text format, for node_exporter's textfile collector
    Prometheus,
}

/// Which findings fail the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Checks that failed or are not proven
    Error,
    /// Warnings, too
    Warn,
}

impl VerifyArgs {
    /// Returns what is verified, with paths resolved from the folder `dir`.
    pub(super) fn target(&self, dir: &Path) -> TargetOptions {
        TargetOptions {
            source: self.target.source(dir),
            nodes: self.nodes.clone(),
            masters_only: self.masters_only,
            sample: self.sample.map(|count| count as usize),
            phase: self.phase.then(|| self.role.map_or(ProvenRotation::Only, Role::proven)),
            crls: self.crls.iter().map(|path| dir.join(path)).collect(),
        }
    }

    /// Returns the limits of the run.
    pub(super) fn run_options(&self) -> RunOptions {
        RunOptions {
            timeout: self.timeout,
            deadline: self.deadline,
            concurrency: self.concurrency.into(),
            dry_run_writes: !self.no_dry_run_writes,
            resolve: self.resolve.clone(),
            expires_within: self.expires_within(),
            strictness: self.strictness(),
        }
    }

    pub(super) fn strictness(&self) -> Strictness {
        Strictness { allow_skipped: self.allow_skipped, fail_on_warn: self.fail_on == Some(FailOn::Warn) }
    }

    pub(super) fn given_expires_within(&self) -> Option<time::Duration> {
        let span = self.expires_within?.duration();
        Some(time::Duration::seconds_f64(span.as_secs_f64()))
    }

    pub(super) fn expires_within(&self) -> time::Duration {
        self.given_expires_within().unwrap_or(time::Duration::days(EXPIRES_WITHIN))
    }

    /// Returns true if the cluster directory is read, whose owner then decides what is trusted.
    pub(super) fn reads_directory(&self) -> bool {
        self.replay.is_none() && !self.target.is_given()
    }

    pub(super) fn is_page(&self) -> bool {
        self.output == ReportFormat::Html
    }

    /// Returns the detail that the report needs: without `--verbose`, the text report has only problems.
    pub(super) fn detail(&self, verbose: bool) -> Detail {
        match self.output {
            ReportFormat::Human if verbose => Detail::Everything,
            ReportFormat::Human | ReportFormat::Html | ReportFormat::Prometheus => Detail::ProblemsOnly,
            ReportFormat::Json | ReportFormat::Junit => Detail::Everything,
        }
    }
}

/// Reads `5s`, `500ms`, `2m`, `1h30m`, or a number of seconds.
pub(in crate::commands) fn parse_time(text: &str) -> Result<Duration, String> {
    let days = || Lifetime::parse(text).ok().map(|lifetime| lifetime.duration().as_secs_f64());
    let seconds = text.parse().ok().or_else(|| duration::in_seconds(text)).or_else(days);
    let seconds: f64 = seconds.ok_or_else(|| "it must be a time, for example 5s, 500ms or 2m".to_owned())?;
    if !(0.01..=86_400.0).contains(&seconds) {
        return Err("it must be between 10ms and 24h".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}
