//! `serve`: the servers of enrolment.

mod bootstrap;
mod ca;

use clap::{Args, Subcommand};

use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;

/// Runs a server of enrolment until a signal stops it.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(subcommand)]
    command: ServeCommand,
}

#[derive(Debug, Subcommand)]
enum ServeCommand {
    /// Take requests of hosts for certificates, for approvers and the signer
    #[command(after_help = super::examples::SERVE_CA)]
    Ca(ca::ServeCaArgs),
    /// Give hosts the signed records of clusters, by the clusters' ids
    #[command(after_help = super::examples::SERVE_BOOTSTRAP)]
    Bootstrap(bootstrap::ServeBootstrapArgs),
}

/// Runs `serve`.
///
/// # Errors
/// Returns the errors of the subcommand.
pub fn run(args: &ServeArgs, context: &mut Context<'_>) -> Result<Exit> {
    match &args.command {
        ServeCommand::Ca(args) => ca::run(args, context),
        ServeCommand::Bootstrap(args) => bootstrap::run(args, context),
    }
}
