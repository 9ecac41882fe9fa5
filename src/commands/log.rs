//! `log`: prints the history of the cluster directory.

use std::path::PathBuf;

use clap::Args;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::app::history::{HistoryOptions, history};
use crate::cli::args::output::OutputFormat;
use crate::cli::context::{Context, queue_folder};
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::history as history_output;
use crate::cluster::lifetime::Lifetime;

/// The arguments of `log`.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// Only what concerns these hosts, accounts, serial numbers and SHA-256s (an API server's credential-id): also lists as in
    /// a,b and patterns as in 'worker-*'
    #[arg(value_name = "HOST|ACCOUNT|SERIAL|SHA256", add = super::completions::hosts())]
    about: Vec<String>,
    /// Only what happened since then: an age (30d, 12h), a date (2027-01-31) or a time (2027-01-31T12:00:00Z)
    #[arg(long, value_name = "TIME", value_parser = Since::parse)]
    since: Option<Since>,
    /// Only the newest N entries
    #[arg(short = 'n', long, value_name = "N")]
    last: Option<usize>,
    /// The folder of the enrolment queue, as in serve ca --state: what happened to requests of hosts is printed, too
    /// [default: the cluster directory]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    state: Option<PathBuf>,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

/// The time from which entries are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    /// This long ago.
    Ago(Lifetime),
    /// At this time.
    At(OffsetDateTime),
}

impl Since {
    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(ago) = Lifetime::parse(text) {
            return Ok(Self::Ago(ago));
        }
        let whole = if text.len() == "2027-01-31".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
        let at = OffsetDateTime::parse(&whole, &Rfc3339);
        at.map(Self::At).map_err(|_| "it is neither an age (30d, 12h), nor a date, nor a time in RFC 3339".to_owned())
    }

    fn time(self, now: OffsetDateTime) -> OffsetDateTime {
        match self {
            Self::Ago(ago) => now - ago.duration(),
            Self::At(at) => at,
        }
    }
}

/// Runs `log`.
///
/// # Errors
/// Returns the errors of [`history`], or an error if another user owns the directory.
pub fn run(args: &LogArgs, context: &mut Context<'_>) -> Result<Exit> {
    context.check_owner()?;
    let since = args.since.map(|since| since.time(context.env.now));
    let queue = Some(queue_folder(args.state.as_deref(), context)?);
    let options = HistoryOptions { about: args.about.clone(), since, last: args.last, queue };
    let report = history(options, &context.env)?;
    if let Some(error) = &report.unread_queue {
        context.screen.warn(format_args!("requests of hosts are not shown: {error}"));
    }
    history_output::show(&report, !args.about.is_empty(), args.output, &mut context.screen);
    Ok(Exit::Done)
}
