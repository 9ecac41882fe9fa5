//! From the parsed command to its file.

use super::context::Context;
use super::{bundle, completions, demo, init, init_ca, issue_master, issue_node, man, show, verify};
use crate::cli::Command;
use crate::failure::Exit;

/// Runs one command.
///
/// # Errors
/// Whatever keeps it from being done.
pub fn run(command: Command, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    match command {
        Command::Init(args) => init::run(&args, context),
        Command::InitCa(args) => init_ca::run(&args, context),
        Command::IssueMaster(args) => issue_master::run(&args, context),
        Command::IssueNode(args) => issue_node::run(&args, context),
        Command::Bundle(args) => bundle::run(&args, context),
        Command::Verify(args) => verify::run(&args, context),
        Command::Show(args) => show::run(&args, context),
        Command::Demo(args) => demo::run(&args, context),
        Command::Completions(args) => completions::run(&args, context),
        Command::Man(args) => man::run(&args, context),
    }
}
