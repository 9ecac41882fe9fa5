//! `ledger`: checks the ledger, and makes a new one where it is lost or damaged.

use clap::{Args, Subcommand};

use crate::app::ledger;
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::ledger as ledger_output;
use crate::pki::fingerprint::Fingerprint;

/// Checks the ledger, the record of every certificate and revocation, or makes a new one where it is lost or damaged.
#[derive(Debug, Args)]
pub struct LedgerArgs {
    #[command(subcommand)]
    command: LedgerCommand,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Check the ledger: the database, its hash chain, certificates and revocations
    #[command(after_help = super::examples::LEDGER_CHECK)]
    Check(CheckArgs),
    /// Make a new ledger from the files of the directory, where the ledger is lost or damaged
    #[command(after_help = super::examples::LEDGER_REBUILD)]
    Rebuild(RebuildArgs),
}

/// Checks that SQLite finds the database whole, that no row was changed, removed or inserted by another program (a hash
/// chain covers certificates, revocations and events), that a known CA signed each certificate, and that CRLs and the API
/// servers' authorization configuration match the revocations. Changes nothing. Exits with 1 when something is wrong.
#[derive(Debug, Args)]
struct CheckArgs {
    /// The head that an earlier check printed: the hash chain has to have it still
    #[arg(long, value_name = "SHA256", value_parser = parse_head)]
    head: Option<Fingerprint>,
    /// Format of the output; the schema of the JSON is schemas/ledger-check.schema.json
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

fn parse_head(text: &str) -> Result<Fingerprint, &'static str> {
    Fingerprint::parse(text).ok_or("it is not a SHA-256: 64 hexadecimal digits")
}

/// Makes a new ledger from the certificates, bundles, CRLs and authorization configuration in the directory, and tells what
/// could not be known. The old file is kept beside it. A ledger that can be read is not replaced.
#[derive(Debug, Args)]
struct RebuildArgs {
    /// Format of the output; the schema of the JSON is schemas/ledger-rebuild.schema.json
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

/// Runs `ledger`.
///
/// # Errors
/// The errors of [`ledger::check`] and [`ledger::rebuild`]; or when another user owns the directory.
pub fn run(args: &LedgerArgs, context: &mut Context<'_>) -> Result<Exit> {
    context.check_owner()?;
    match &args.command {
        LedgerCommand::Check(args) => {
            let report = ledger::check(&context.env, args.head)?;
            ledger_output::show_check(&report, args.output, &mut context.screen);
            Ok(if report.is_good() { Exit::Done } else { Exit::Unproven })
        }
        LedgerCommand::Rebuild(args) => {
            let env = context.env.clone();
            let report = ledger::rebuild(&env, &mut context.observer())?;
            ledger_output::show_rebuild(&report, args.output, &mut context.screen);
            Ok(Exit::Done)
        }
    }
}
