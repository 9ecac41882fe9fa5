//! `token`: one-time tokens for hosts that join.

use std::net::IpAddr;

use clap::{Args, Subcommand};

use super::completions;
use super::request::parse_host;
use crate::app::enrol::tokens::{self, TokenOptions};
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cli::output::tokens as output;
use crate::cluster::address::Cidr;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::HostName;
use crate::enrol::token::{Source, TokenKind};
use crate::pki::fingerprint::Fingerprint;

/// The arguments of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Create a token for a node, and print it; it is not shown again
    Create(CreateArgs),
    /// List the tokens, without their secrets
    List(ListArgs),
    /// Revoke a token
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The node that the token is for
    #[arg(value_name = "HOST", value_parser = parse_host, add = completions::nodes())]
    host: HostName,
    /// The lifetime of the token
    #[arg(long, value_name = "TIME", value_parser = Lifetime::parse, default_value = "24h")]
    ttl: Lifetime,
    /// The address or network that the token may be used from
    #[arg(long, value_name = "ADDRESS", value_parser = parse_source)]
    source: Option<Source>,
    /// The public key that the token is for, as clusterctl request prints it: sha256:HEX
    #[arg(long, value_name = "SHA256", value_parser = parse_key)]
    key: Option<Fingerprint>,
    /// Make a bootstrap token in Kubernetes's format, which a kubelet or kubeadm sends as it is
    #[arg(long, conflicts_with = "key")]
    bearer: bool,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

#[derive(Debug, Args)]
struct RevokeArgs {
    /// The id of the token: the part before the dot
    #[arg(value_name = "ID")]
    id: String,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

fn parse_source(text: &str) -> Result<Source, String> {
    if let Some(source) = Source::parse(text) {
        return Ok(source);
    }
    let address = text.split_once('/').map(|(address, _)| address);
    Err(match (address.filter(|address| address.parse::<IpAddr>().is_ok()), Cidr::parse(text)) {
        (Some(_), Err(error)) => error.to_string(),
        _ => "it is neither an address nor a network, as 10.20.4.1 or 10.20.0.0/16".to_owned(),
    })
}

fn parse_key(text: &str) -> Result<Fingerprint, String> {
    let key = text.strip_prefix("sha256:").and_then(Fingerprint::parse);
    key.ok_or_else(|| "it is sha256: and 64 hexadecimal digits".to_owned())
}

/// Runs `token`.
///
/// # Errors
/// Returns the errors of [`tokens::create`], [`tokens::list`] and [`tokens::revoke`].
pub fn run(args: &TokenArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let env = context.env.clone();
    match &args.command {
        TokenCommand::Create(args) => {
            let kind = if args.bearer { TokenKind::Bearer } else { TokenKind::Join };
            let (host, source) = (args.host.clone(), args.source.clone());
            let options = TokenOptions { host, kind, source, key: args.key, ttl: args.ttl };
            let record = tokens::create(&options, &cluster, &env, &mut context.observer())?;
            if !output::show_created(&record, args.output, &mut context.screen) {
                // No one has received it.
                tokens::revoke(&record.token.id, &env, &mut context.observer())?;
                let what = "the token could not be written to standard output, and was revoked";
                return Err(CliError::new(Exit::Environment, what));
            }
        }
        TokenCommand::List(args) => output::list(&tokens::list(&env)?, env.now, args.output, &mut context.screen),
        TokenCommand::Revoke(args) => {
            let record = tokens::revoke(&args.id, &env, &mut context.observer())?;
            output::show_revoked(&record, env.now, args.output, &mut context.screen);
        }
    }
    Ok(Exit::Done)
}
