//! `issue-master`: issues the credentials of control-plane nodes and of the verifier.

use clap::Args;

use super::issue::{self, IssueArgs};
use crate::app::issue::Subjects;
use crate::cli::context::{Context, select};
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cluster::spec::Role;

/// The arguments of `issue-master`.
#[derive(Debug, Args)]
pub struct IssueMasterArgs {
    /// Masters, by their names in the cluster file: also lists as in a,b and patterns as in 'master-*'
    #[arg(value_name = "NAME", add = super::completions::masters())]
    names: Vec<String>,
    /// All masters of the cluster file
    #[arg(long, conflicts_with = "names")]
    all: bool,
    #[command(flatten)]
    issue: IssueArgs,
}

/// Runs `issue-master`.
///
/// # Errors
/// Returns the errors of the issue use case, and a usage error for an unknown master.
pub fn run(args: &IssueMasterArgs, context: &mut Context<'_>) -> Result<Exit> {
    let cluster = context.cluster()?;
    let subjects = Subjects::Masters(select(&cluster, Role::Master, &args.names, args.all)?);
    issue::run("issue-master", subjects, &args.issue, &cluster, context)
}
