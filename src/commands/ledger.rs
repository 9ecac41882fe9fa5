//! `ledger`: checks the ledger, rebuilds one that is lost or damaged, and adds certificates that were issued elsewhere.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::app::inspect::InputFile;
use crate::app::ledger::{self, AdoptOptions};
use crate::cli::args::output::OutputFormat;
use crate::cli::context::{Context, known_host};
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::{adopted, ledger as ledger_output};
use crate::cluster::name::HostName;
use crate::pki::fingerprint::Fingerprint;

/// The arguments of `ledger`.
#[derive(Debug, Args)]
pub struct LedgerArgs {
    #[command(subcommand)]
    command: LedgerCommand,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Check the ledger: the database, its hash chain, certificates and revocations
    ///
    /// Checks that SQLite finds no damage, that no other program changed, removed or inserted a row (a hash chain
    /// covers certificates, revocations and events), that a known CA signed each certificate, and that CRLs and the
    /// API servers' authorization configuration match the revocations. Changes nothing. Exits with 1 when something
    /// is wrong.
    #[command(after_help = super::examples::LEDGER_CHECK)]
    Check(CheckArgs),
    /// Rebuild a ledger that is lost or damaged, from the files of the directory
    ///
    /// Reads certificates, bundles, CRLs and the API servers' authorization configuration, and reports what could not
    /// be known. The old file is kept beside the new one. A ledger without damage is not replaced.
    #[command(after_help = super::examples::LEDGER_REBUILD)]
    Rebuild(RebuildArgs),
    /// Add certificates that a CA of this directory issued without clusterctl
    ///
    /// They can then be revoked, and show, log and status find them. Reads PEM and DER files, kubeconfigs, the output
    /// of kubectl get csr -o json, recordings of verify --record, and folders with such files. Certificates that no
    /// CA of this directory signed are reported and left out.
    #[command(after_help = super::examples::LEDGER_ADOPT)]
    Adopt(AdoptArgs),
}

/// The arguments of `ledger check`.
#[derive(Debug, Args)]
struct CheckArgs {
    /// The head that an earlier check printed: the hash chain must still contain it
    #[arg(long, value_name = "SHA256", value_parser = parse_head)]
    head: Option<Fingerprint>,
    /// Format of the output; the schema of the JSON is schemas/ledger-check.schema.json
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

fn parse_head(text: &str) -> Result<Fingerprint, &'static str> {
    Fingerprint::parse(text).ok_or("it is not a SHA-256: 64 hexadecimal digits")
}

/// The arguments of `ledger rebuild`.
#[derive(Debug, Args)]
struct RebuildArgs {
    /// Format of the output; the schema of the JSON is schemas/ledger-rebuild.schema.json
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

/// The arguments of `ledger adopt`.
#[derive(Debug, Args)]
struct AdoptArgs {
    /// Files and folders; - is standard input
    #[arg(required = true, value_name = "FILE|DIR", value_hint = clap::ValueHint::AnyPath)]
    files: Vec<PathBuf>,
    /// The host whose files these are, for certificates that do not name their host
    #[arg(long, value_name = "HOST", value_parser = HostName::parse)]
    host: Option<HostName>,
    /// Format of the output; the schema of the JSON is schemas/ledger-adopt.schema.json
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

/// Runs `ledger`.
///
/// # Errors
/// Returns the errors of [`ledger::check`], [`ledger::rebuild`] and [`ledger::adopt`], or an error if another user owns
/// the directory.
pub fn run(args: &LedgerArgs, context: &mut Context<'_>) -> Result<Exit> {
    context.check_owner()?;
    match &args.command {
        LedgerCommand::Check(args) => {
            let report = ledger::check(&context.env, args.head)?;
            ledger_output::show_check(&report, args.output, &mut context.screen);
            Ok(if report.is_good() { Exit::Done } else { Exit::Findings })
        }
        LedgerCommand::Rebuild(args) => {
            let env = context.env.clone();
            let report = ledger::rebuild(&env, &mut context.observer())?;
            ledger_output::show_rebuild(&report, args.output, &mut context.screen);
            Ok(Exit::Done)
        }
        LedgerCommand::Adopt(args) => adopt(args, context),
    }
}

fn adopt(args: &AdoptArgs, context: &mut Context<'_>) -> Result<Exit> {
    let input = |path: &Path| InputFile { label: path.display().to_string(), path: context.input(path) };
    if let Some(host) = &args.host {
        known_host(host, &context.cluster()?)?;
    }
    let options = AdoptOptions { files: args.files.iter().map(|path| input(path)).collect(), host: args.host.clone() };
    let _lock = context.lock("ledger adopt")?;
    let report = ledger::adopt(&options, &context.env)?;
    adopted::show(&report, args.output, &mut context.screen);
    Ok(if report.is_empty() { Exit::Refused } else { Exit::Done })
}
