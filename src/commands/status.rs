//! `status`: reports what expires, what is due, and what to do about it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::completions;
use crate::app::inspect::InputFile;
use crate::app::status::{self, SortBy, StatusError, StatusOptions, StatusReport};
use crate::cli::context::{Context, queue_folder};
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::status::{Head, StatusFormat, Writer};
use crate::cluster::enrolment::Policy;
use crate::cluster::host_pattern::HostPattern;
use crate::cluster::lifetime::Lifetime;
use crate::enrol::policy::insecure;

/// The arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Hosts: names, lists as in a,b and patterns as in 'worker-*' [default: all, and what belongs to no host]
    #[arg(value_name = "HOST", add = completions::hosts())]
    hosts: Vec<String>,
    /// Read files and folders of any tool's PKI instead: certificates, kubeconfigs and CRLs, for example
    /// /etc/kubernetes; `-` is standard input
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "hosts", value_hint = clap::ValueHint::AnyPath)]
    pki: Vec<PathBuf>,
    /// Report what expires within this time [default: 30d, or a sixth of its lifetime if that is shorter]
    #[arg(long, value_name = "TIME", value_parser = Lifetime::parse)]
    expires_within: Option<Lifetime>,
    /// The folder of the enrolment queue, as in serve ca --state: open requests of hosts are reported [default: the
    /// cluster directory]
    #[arg(long, value_name = "DIR", conflicts_with = "pki", value_hint = clap::ValueHint::DirPath)]
    state: Option<PathBuf>,
    /// Sort by this column [default: expires in a table, otherwise host]
    #[arg(long, value_name = "COLUMN")]
    sort: Option<SortColumn>,
    /// Show all rows in the table, also those of what is valid
    #[arg(long)]
    all: bool,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: StatusFormat,
}

/// A column by which rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SortColumn {
    /// What expires first comes first
    Expires,
    /// The worst comes first
    State,
    /// By the kind of credential
    Credential,
    /// The cluster's, then administrators', then hosts' by name
    Host,
}

impl SortColumn {
    fn sort_by(self) -> SortBy {
        match self {
            Self::Expires => SortBy::Expiry,
            Self::State => SortBy::State,
            Self::Credential => SortBy::Credential,
            Self::Host => SortBy::Subject,
        }
    }
}

/// Runs `status`.
///
/// # Errors
/// Returns the errors of [`status::of_directory`] and [`status::of_files`], or an error if the cluster file cannot be
/// used.
pub fn run(args: &StatusArgs, context: &mut Context<'_>) -> Result<Exit> {
    let hosts = HostPattern::parse_all(&args.hosts).map_err(StatusError::from)?;
    let queue = Some(queue_folder(args.state.as_deref(), context)?);
    let options = StatusOptions { hosts, expires_within: args.expires_within, queue };
    let report = match args.pki.is_empty() {
        true => of_directory(args, &options, context)?,
        false => of_files(args, &options, context)?,
    };
    Ok(if report.is_all_valid() { Exit::Done } else { Exit::Findings })
}

fn of_directory(args: &StatusArgs, options: &StatusOptions, context: &mut Context<'_>) -> Result<StatusReport> {
    let cluster = context.cluster()?;
    let mut writer = args.writer(cluster.name.to_string(), context);
    let screen = &mut context.screen;
    let report = status::of_directory(&context.env, &cluster, options, &mut |row| writer.row(row, screen))?;
    writer.end(&report, screen);
    if let Some(Policy::InsecureAlwaysApprove { until }) = cluster.enrolment.as_ref().map(|enrolment| &enrolment.policy)
        && let Ok(reason) = insecure(*until, context.env.now)
    {
        screen.warn(format_args!("enrolment: {reason}"));
    }
    Ok(report)
}

fn of_files(args: &StatusArgs, options: &StatusOptions, context: &mut Context<'_>) -> Result<StatusReport> {
    let input = |file: &PathBuf| InputFile { label: file.display().to_string(), path: context.input(file) };
    let inputs: Vec<InputFile> = args.pki.iter().map(input).collect();
    let mut writer = args.writer(String::new(), context);
    let screen = &mut context.screen;
    let report = status::of_files(&inputs, options, context.env.now, &mut |row| writer.row(row, screen))?;
    writer.end(&report, screen);
    Ok(report)
}

impl StatusArgs {
    fn writer(&self, cluster: String, context: &Context<'_>) -> Writer {
        let head = Head { cluster, now: context.env.now };
        Writer::new(self.output, head, self.sort.map(SortColumn::sort_by), self.all)
    }
}
