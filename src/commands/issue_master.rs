//! `issue-master`: the masters' credentials, and the verifier's.

use clap::Args;

use super::issuing::recipe;
use super::issuing::request::{IssueArgs, Request};
use crate::cli::context::{Context, select};
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cluster::spec::Role;

/// Issues what masters hold, and the verifier's own credential. Converges: what is missing or no longer matches the
/// cluster file is issued, what is good is kept.
#[derive(Debug, Args)]
pub struct IssueMasterArgs {
    /// Masters, as the cluster file calls them
    #[arg(value_name = "NAME", add = super::completions::masters())]
    names: Vec<String>,
    /// All masters of the cluster file
    #[arg(long, conflicts_with = "names")]
    all: bool,
    #[command(flatten)]
    how: IssueArgs,
}

/// Runs `issue-master`.
///
/// # Errors
/// See [`recipe::issue`].
pub fn run(args: &IssueMasterArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let hosts = select(&cluster, Role::Master, &args.names, args.all)?;
    // The verifier comes behind the masters.
    let leaves = |i: usize| match hosts.get(i) {
        Some(host) => cluster.master_leaves(host),
        None => vec![cluster.verifier_leaf()],
    };
    let request = Request {
        command: "issue-master",
        holders: hosts.len() + 1,
        leaves: &leaves,
        service_account: true,
        how: &args.how,
    };
    recipe::issue(&request, &cluster, context)
}
