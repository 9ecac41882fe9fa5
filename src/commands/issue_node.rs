//! `issue-node`: the nodes' credentials.

use clap::Args;

use super::issuing::recipe;
use super::issuing::request::{IssueArgs, Request};
use crate::cli::context::{Context, select};
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cluster::spec::Role;

/// Issues what nodes hold: the account that a kubelet calls masters with, and the certificate that it shows them.
/// Converges: what is missing or no longer matches the cluster file is issued, what is good is kept.
#[derive(Debug, Args)]
pub struct IssueNodeArgs {
    /// Nodes, as the cluster file calls them
    #[arg(value_name = "HOST", add = super::completions::nodes())]
    hosts: Vec<String>,
    /// All nodes of the cluster file
    #[arg(long, conflicts_with = "hosts")]
    all: bool,
    #[command(flatten)]
    how: IssueArgs,
}

/// Runs `issue-node`.
///
/// # Errors
/// See [`recipe::issue`].
pub fn run(args: &IssueNodeArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let hosts = select(&cluster, Role::Node, &args.hosts, args.all)?;
    let leaves = |i: usize| cluster.node_leaves(hosts[i]);
    let request = Request {
        command: "issue-node",
        holders: hosts.len(),
        leaves: &leaves,
        service_account: false,
        how: &args.how,
    };
    recipe::issue(&request, &cluster, context)
}
