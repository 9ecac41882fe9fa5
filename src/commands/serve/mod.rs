//! `serve`: the servers of enrolment.

mod bootstrap;
mod ca;

use clap::{Args, Subcommand};

use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;

/// The arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(subcommand)]
    command: ServeCommand,
}

#[derive(Debug, Subcommand)]
enum ServeCommand {
    /// Accept requests of hosts for certificates, for approvers and the signer
    ///
    /// Serves TLS and Kubernetes's certificates.k8s.io/v1, so that kubelets request certificates and kubectl approves
    /// them as at an API server. Stores the queue and no CA key; clusterctl signer decides and signs.
    ///
    /// Needs cluster.yaml, the CAs' certificates, their CRLs and a master's serving certificate. Files are read again
    /// when they change. Runs until a signal stops it.
    #[command(after_help = super::examples::SERVE_CA)]
    Ca(ca::ServeCaArgs),
    /// Give hosts the signed records of clusters, by the clusters' ids
    ///
    /// Serves TLS, on any machine. A record has the addresses of a cluster and the roots to trust. It is signed under
    /// the root whose pin is the id, so that this endpoint can withhold it, but cannot forge it. Nothing secret is
    /// stored. No cluster directory is needed. Runs until a signal stops it.
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
