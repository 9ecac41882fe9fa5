//! `announce`: sends a signed record with a cluster's addresses and roots to bootstrap endpoints.

use std::path::PathBuf;

use clap::Args;

use super::register::parse_url;
use crate::app::enrol::announce::{self, AnnounceOptions};
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::announcements;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::lifetime::Lifetime;

/// The arguments of `announce`.
#[derive(Debug, Args)]
pub struct AnnounceArgs {
    /// The bootstrap endpoints, at which the cluster is registered
    #[arg(value_name = "URL", value_parser = parse_url, required = true)]
    urls: Vec<Endpoint>,
    /// The enrolment endpoints that hosts connect to
    #[arg(long, value_name = "URL", value_parser = parse_url, required = true)]
    enrolment: Vec<Endpoint>,
    /// The announcer's kubeconfig, which clusterctl issue-admin announcer --announcer makes
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    kubeconfig: PathBuf,
    /// The validity of the record
    #[arg(long, value_name = "TIME", value_parser = Lifetime::parse, default_value = "7d")]
    validity: Lifetime,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

/// Runs `announce`.
///
/// # Errors
/// Returns the errors of [`announce::announce`].
pub fn run(args: &AnnounceArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let options = AnnounceOptions {
        bootstrap: args.urls.clone(),
        enrolment: args.enrolment.clone(),
        kubeconfig: context.path(&args.kubeconfig),
        validity: args.validity,
    };
    let report = announce::announce(&options, &cluster, &context.env)?;
    announcements::show(&report, args.output, &mut context.screen);
    Ok(Exit::Done)
}
