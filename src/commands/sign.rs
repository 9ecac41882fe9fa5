//! `sign`: signs requests of hosts.

use std::path::PathBuf;

use clap::Args;

use super::completions;
use super::request::parse_host;
use crate::app::sign::{self, SignOptions, SignReport};
use crate::cli::args::ca_passphrase::PassphraseArgs;
use crate::cli::args::encryption::known_hosts;
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::requests;
use crate::cluster::name::HostName;
use crate::cluster::profile::{Holder, Profile, TABLE};

/// The arguments of `sign`.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// Files with requests
    #[arg(value_name = "FILE", required = true, value_hint = clap::ValueHint::FilePath)]
    files: Vec<PathBuf>,
    /// The host that the requests are for, whatever name is in them
    #[arg(long, value_name = "HOST", value_parser = parse_host, add = completions::nodes())]
    host: Option<HostName>,
    /// What the requests are for, if they do not ask for exactly one usage: kubelet-client or kubelet-server
    #[arg(long, value_name = "PROFILE", value_parser = parse_profile)]
    profile: Option<Profile>,
    /// Compare the SSH keys that signed requests with the hosts' keys in this known_hosts file; replaces sealTo in the
    /// cluster file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    known_hosts: Option<PathBuf>,
    /// Refuse requests that their host's SSH key did not sign
    #[arg(long)]
    require_host_key: bool,
    /// Print what the requests ask for and what would be signed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

fn parse_profile(text: &str) -> Result<Profile, String> {
    let found = TABLE.iter().find(|row| row.holder == Holder::Node && row.name == text);
    found.map(|row| row.profile).ok_or_else(|| "it is neither kubelet-client nor kubelet-server".to_owned())
}

/// Runs `sign`.
///
/// # Errors
/// Returns the errors of [`sign::plan()`], `PassphraseArgs::issuers` and [`sign::SignPlan::apply`].
pub fn run(args: &SignArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let options = SignOptions {
        files: args.files.iter().map(|file| context.input(file)).collect(),
        host: args.host.clone(),
        profile: args.profile,
        known_hosts: args.known_hosts.as_ref().map(|path| known_hosts(&context.path(path))).transpose()?,
        require_host_key: args.require_host_key,
    };
    let env = context.env.clone();
    if args.dry_run {
        let preview = sign::preview(&options, &cluster, &env)?;
        let report = SignReport { certificates: preview.certificates().cloned().collect() };
        requests::show_signed(&report, true, args.output, &mut context.screen);
        return Ok(Exit::Done);
    }
    let plan = sign::plan(&options, &cluster, &env, &mut context.observer())?;
    if args.output == OutputFormat::Human {
        // Shown before the prompt for a passphrase.
        requests::show_comparison(plan.preview().certificates(), &mut context.screen);
    }
    let issuers = args.passphrase.issuers(&plan.signers(), &cluster, context)?;
    let report = plan.apply(&issuers)?;
    requests::show_signed(&report, false, args.output, &mut context.screen);
    Ok(Exit::Done)
}
