//! Runs the module of a parsed command.

use clap::CommandFactory;

use super::tree::{Cli, Command};
use super::{
    announce, apply, backup, bundle, completions, crl, demo, explain, import_ca, init, init_ca, issue_admin,
    issue_master, issue_node, join, ledger, lint, log, man, open, policy, register, remove, renew, request, restore,
    revoke, rotate_ca, show, sign, status, token, validate, verify, version,
};
#[cfg(feature = "server")]
use super::{csr, signer};
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;

/// Runs a command.
///
/// # Errors
/// Returns the errors of the command.
pub fn dispatch(command: Command, context: &mut Context<'_>) -> Result<Exit> {
    match command {
        Command::Init(args) => init::run(&args, context),
        Command::Validate(args) => validate::run(&args, context),
        Command::Explain(args) => explain::run(&args, context),
        Command::InitCa(args) => init_ca::run(&args, context),
        Command::ImportCa(args) => import_ca::run(&args, context),
        Command::IssueMaster(args) => issue_master::run(&args, context),
        Command::IssueNode(args) => issue_node::run(&args, context),
        Command::Request(args) => request::run(&args, context),
        Command::Join(args) => join::run(&args, context),
        Command::Register(args) => register::run(&args, context),
        Command::Announce(args) => announce::run(&args, context),
        Command::Token(args) => token::run(&args, context),
        Command::Sign(args) => sign::run(&args, context),
        Command::IssueAdmin(args) => issue_admin::run(&args, context),
        Command::Bundle(args) => bundle::run(&args, context),
        Command::Open(args) => open::run(&args, context),
        Command::Policy(args) => policy::run(&args, context),
        Command::Apply(args) => apply::run(&args, context),
        Command::Plan(args) => apply::run_plan(&args, context),
        Command::Renew(args) => renew::run(&args, context),
        Command::RotateCa(args) => rotate_ca::run(&args, context),
        Command::Revoke(args) => revoke::run(&args, context),
        Command::Remove(args) => remove::run(&args, context),
        Command::Crl(args) => crl::run(&args, context),
        Command::Verify(args) => verify::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Show(args) => show::run(&args, context),
        Command::Ledger(args) => ledger::run(&args, context),
        Command::Lint(args) => lint::run(&args, context),
        #[cfg(feature = "server")]
        Command::Signer(args) => signer::run(&args, context),
        #[cfg(feature = "server")]
        Command::Csr(args) => csr::run(&args, context),
        Command::Backup(args) => backup::run(&args, context),
        Command::Restore(args) => restore::run(&args, context),
        Command::Log(args) => log::run(&args, context),
        #[cfg(feature = "server")]
        Command::Serve(args) => super::serve::run(&args, context),
        Command::Demo(args) => demo::run(&args, context),
        Command::Completions(args) => completions::run(&args, context),
        Command::Man(args) => man::run(&args, Cli::command(), context),
        Command::Version(args) => version::run(&args, context),
    }
}
