//! `issue-node`: the nodes' credentials.

use clap::Args;

use super::issuing::request::{Fleet, IssueArgs, Request};
use super::issuing::{fleet, recipe};
use crate::app::directory;
use crate::cli::context::{Context, select};
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cluster::spec::Role;
use crate::pki::fingerprint::Fingerprint;

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
    context.check_owner()?;
    let file = directory::cluster_file(&context.env.layout)?;
    // Of all nodes it may be remembered that they are good as long as nothing is touched, the cluster file neither.
    let whole_file = args.all.then(|| Fingerprint::of(&file));
    if whole_file.is_some_and(|file| fleet::all_are_untouched(file, &args.how, context)) {
        return Ok(Exit::Done);
    }
    let cluster = directory::parse_cluster(&context.env.layout, &file)?;
    drop(file);
    let hosts = select(&cluster, Role::Node, &args.hosts, args.all)?;
    let leaves = |i: usize| cluster.node_leaves(hosts[i]);
    let request = Request {
        command: "issue-node",
        holders: hosts.len(),
        leaves: &leaves,
        service_account: false,
        fleet: whole_file.map(|file| {
            let renewed_before = cluster.renewed_before(cluster.validity.node.duration());
            Fleet { file, nodes: &hosts, renewed_before }
        }),
        how: &args.how,
    };
    recipe::issue(&request, &cluster, context)
}
