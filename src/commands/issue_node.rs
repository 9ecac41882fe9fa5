//! `issue-node`: issues the nodes' credentials.

use clap::Args;

use super::issue::{self, IssueArgs};
use crate::app::issue::Subjects;
use crate::cli::context::{Context, select};
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cluster::spec::Role;

/// The arguments of `issue-node`.
#[derive(Debug, Args)]
pub struct IssueNodeArgs {
    /// Nodes, by their names in the cluster file: also lists as in a,b and patterns as in 'worker-*'
    #[arg(value_name = "HOST", add = super::completions::nodes())]
    hosts: Vec<String>,
    /// All nodes of the cluster file
    #[arg(long, conflicts_with = "hosts")]
    all: bool,
    #[command(flatten)]
    issue: IssueArgs,
}

/// Runs `issue-node`.
///
/// # Errors
/// Returns the errors of the issue use case, and a usage error for an unknown node.
pub fn run(args: &IssueNodeArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let subjects = Subjects::Nodes(select(&cluster, Role::Node, &args.hosts, args.all)?);
    issue::run("issue-node", subjects, &args.issue, &cluster, context)
}
