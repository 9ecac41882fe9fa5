//! `csr`: reviews requests of hosts.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use time::Duration;

use super::signer::kubeconfigs;
use crate::app::directory::cluster_in;
use crate::app::enrol::connection::connect_at;
use crate::app::enrol::decide::{self, PersonalDecision};
use crate::app::enrol::review::{replay, review};
use crate::app::enrol::signer::{LocalReviewers, SignerError};
use crate::cli::args::output::OutputFormat;
use crate::cli::args::ssh_keys::NamedKey;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::enrolment;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::enrolment::Policy;
use crate::cluster::lifetime::Lifetime;
use crate::enrol::approval::Choice;
use crate::enrol::request::EnrolmentRequest;
use crate::mailbox::{ApiMailbox, Arrived};
use crate::pki::ssh::SshKey;
use crate::sanitize::sanitized;

/// The arguments of `csr`.
#[derive(Debug, Args)]
pub struct CsrArgs {
    #[command(subcommand)]
    action: CsrAction,
}

#[derive(Debug, Subcommand)]
enum CsrAction {
    /// List requests
    List(ListArgs),
    /// Show what a request asks for, and what it would get
    Show(OneArgs),
    /// Show what the policy decides about a request, rule by rule; asks its programs and services
    Explain(ExplainArgs),
    /// Approve requests
    Approve(DecideArgs),
    /// Deny requests
    Deny(DecideArgs),
    /// Show which requests, including past ones, another policy would decide differently
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
struct MailboxArgs {
    /// The kubeconfig of the API to which hosts send their requests [default: the file in KUBECONFIG]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    kubeconfig: Option<PathBuf>,
    /// Connect to this server instead of that in the kubeconfig, for example the enrolment CA
    #[arg(long, value_name = "URL", value_parser = Endpoint::parse)]
    server: Option<Endpoint>,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// List decided requests, too
    #[arg(long)]
    all: bool,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
    #[command(flatten)]
    mailbox: MailboxArgs,
}

#[derive(Debug, Args)]
struct OneArgs {
    /// The request's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    mailbox: MailboxArgs,
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// The request's name
    #[arg(value_name = "NAME")]
    name: String,
    /// Judge by the policy of this cluster file instead
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    policy: Option<PathBuf>,
    #[command(flatten)]
    mailbox: MailboxArgs,
}

#[derive(Debug, Args)]
struct DecideArgs {
    /// The requests' names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// The reason, for the host and the ledger
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Sign the decision with this SSH private key, for rules with `approvals`
    #[arg(long, value_name = "KEY", value_hint = clap::ValueHint::FilePath)]
    sign_with: Option<PathBuf>,
    /// File with the passphrase of that key in its first line
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "sign_with")]
    sign_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    mailbox: MailboxArgs,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// The cluster file with the other policy
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    policy: PathBuf,
    /// How far back to look: a number with h, d or y
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = |text: &str| Lifetime::parse(text))]
    since: Lifetime,
    #[command(flatten)]
    mailbox: MailboxArgs,
}

/// Runs `csr`.
///
/// # Errors
/// Returns an error if the API or the cluster directory cannot be used, or a request does not exist.
pub fn run(args: &CsrArgs, context: &mut Context<'_>) -> Result<Exit> {
    context.check_owner()?;
    match &args.action {
        CsrAction::List(args) => list(args, context),
        CsrAction::Show(args) => {
            let request = one(&args.mailbox, &args.name, context)?;
            let reviewed = review(vec![request], None, None, &context.env)?;
            reviewed.iter().for_each(|one| enrolment::show_request(one, &mut context.screen));
            Ok(Exit::Done)
        }
        CsrAction::Explain(args) => explain(args, context),
        CsrAction::Approve(args) => decide_all(args, Choice::Approve, context),
        CsrAction::Deny(args) => decide_all(args, Choice::Deny, context),
        CsrAction::Replay(args) => {
            let policy = policy_of(&args.policy, context)?;
            let since = context.env.now - Duration::try_from(args.since.duration()).unwrap_or(Duration::MAX);
            let arrived = mailbox(&args.mailbox, context)?.past(since);
            let requests = readable(arrived.map_err(SignerError::from).map_err(crate::app::Error::from)?, context);
            let requests = requests.into_iter().filter(|request| request.created >= since).collect();
            let replayed = replay(requests, &policy, &context.env)?;
            enrolment::show_replay(&replayed, &mut context.screen);
            Ok(Exit::Done)
        }
    }
}

fn mailbox(args: &MailboxArgs, context: &Context<'_>) -> Result<ApiMailbox> {
    let given: Vec<PathBuf> = args.kubeconfig.iter().cloned().collect();
    let path = kubeconfigs(&given, context)?;
    let server = args.server.as_ref().map(ToString::to_string);
    Ok(connect_at(path.first().map_or(Path::new(""), PathBuf::as_path), server)?)
}

fn one(args: &MailboxArgs, name: &str, context: &Context<'_>) -> Result<EnrolmentRequest> {
    Ok(mailbox(args, context)?.get(name).map_err(SignerError::from).map_err(crate::app::Error::from)?)
}

fn requests(args: &MailboxArgs, context: &mut Context<'_>) -> Result<Vec<EnrolmentRequest>> {
    let arrived = mailbox(args, context)?.list().map_err(SignerError::from).map_err(crate::app::Error::from)?;
    Ok(readable(arrived, context))
}

/// Returns the requests, the oldest first, and warns of those that cannot be read.
fn readable(arrived: Vec<Arrived>, context: &mut Context<'_>) -> Vec<EnrolmentRequest> {
    let mut requests = Vec::new();
    for one in arrived {
        match one {
            Arrived::Request(request) => requests.push(*request),
            Arrived::Unreadable { name, reason } => context.screen.warn(format_args!("{name}: {reason}")),
        }
    }
    requests.sort_by(|one, other| (one.created, &one.name).cmp(&(other.created, &other.name)));
    requests
}

fn list(args: &ListArgs, context: &mut Context<'_>) -> Result<Exit> {
    let mut requests = requests(&args.mailbox, context)?;
    requests.retain(|request| args.all || request.state.is_open());
    let reviewed = review(requests, None, None, &context.env)?;
    enrolment::show_list(&reviewed, context.env.now, args.output, &mut context.screen);
    Ok(Exit::Done)
}

fn explain(args: &ExplainArgs, context: &mut Context<'_>) -> Result<Exit> {
    let policy = args.policy.as_ref().map(|path| policy_of(path, context)).transpose()?;
    let request = one(&args.mailbox, &args.name, context)?;
    let reviewed = review(vec![request], policy.as_ref(), Some(&LocalReviewers), &context.env)?;
    for one in &reviewed {
        enrolment::show_request(one, &mut context.screen);
        enrolment::show_decision(one, &mut context.screen);
    }
    Ok(Exit::Done)
}

fn policy_of(path: &Path, context: &Context<'_>) -> Result<Policy> {
    let cluster = cluster_in(&context.path(path))?;
    let policy = cluster.enrolment.map(|enrolment| enrolment.policy);
    Ok(policy.ok_or(SignerError::NotEnabled).map_err(crate::app::Error::from)?)
}

fn decide_all(args: &DecideArgs, choice: Choice, context: &mut Context<'_>) -> Result<Exit> {
    let key = key(args, context)?;
    let mailbox = mailbox(&args.mailbox, context)?;
    let decision = PersonalDecision { choice, reason: &args.reason, key: key.as_ref() };
    let mut failed = None;
    for name in &args.names {
        let one = || -> Result<_> {
            let request = mailbox.get(name).map_err(SignerError::from).map_err(crate::app::Error::from)?;
            Ok(decide::decide(&mailbox, &request, &decision, &context.env)?)
        };
        match one() {
            Ok(written) => enrolment::show_decided(&written, choice, &mut context.screen),
            // The others are decided nevertheless; the first error is returned at the end.
            Err(error) if failed.is_none() => failed = Some(error),
            Err(error) => context.screen.warn(format_args!("{}: {}", sanitized(name), error.report().error)),
        }
    }
    failed.map_or(Ok(Exit::Done), Err)
}

fn key(args: &DecideArgs, context: &mut Context<'_>) -> Result<Option<SshKey>> {
    let Some(given) = &args.sign_with else { return Ok(None) };
    let path = context.path(given);
    let named = NamedKey {
        what: "signing key",
        path: &path,
        passphrase_file: args.sign_passphrase_file.as_ref(),
        flag: Some("--sign-passphrase-file"),
    };
    let bytes = named.read()?;
    Ok(Some(named.unlock(&bytes, context)?))
}
