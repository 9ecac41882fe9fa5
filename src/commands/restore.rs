//! `restore`: restores a backup into an empty folder.

use std::path::PathBuf;

use clap::Args;

use crate::app::backup::{RestoreOptions, open};
use crate::cli::args::backup_key::BackupIdentityArgs;
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::backups;
use crate::pki::fingerprint::Fingerprint;
use crate::store::layout::Layout;

/// The arguments of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup; - is standard input
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    #[command(flatten)]
    identity: BackupIdentityArgs,
    /// Refuse a backup of another cluster than the one whose root has this public key: clusterctl show pki/ca.crt prints it
    #[arg(long, value_name = "sha256:HEX", value_parser = parse_pin)]
    pin: Option<Fingerprint>,
    /// Refuse a ledger whose hash chain does not have this link, as ledger check or an earlier backup printed it
    #[arg(long, value_name = "SHA256", value_parser = parse_head)]
    head: Option<Fingerprint>,
    /// Format of the output; the schema of the JSON is schemas/restore.schema.json
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

fn parse_pin(text: &str) -> Result<Fingerprint, &'static str> {
    Fingerprint::parse(text.strip_prefix("sha256:").unwrap_or(text))
        .ok_or("it is not sha256: and 64 hexadecimal digits")
}

fn parse_head(text: &str) -> Result<Fingerprint, &'static str> {
    Fingerprint::parse(text).ok_or("it is not a SHA-256: 64 hexadecimal digits")
}

/// Runs `restore`.
///
/// # Errors
/// Returns the errors of [`open`] and [`restore`](crate::app::backup::restore), or an error if another user owns the
/// folder.
pub fn run(args: &RestoreArgs, context: &mut Context<'_>) -> Result<Exit> {
    // The nearest cluster directory above the current folder is not meant: it is not empty.
    if !context.dir_was_given {
        context.env.layout = Layout::new(context.dir.to_owned());
    }
    context.check_owner()?;
    let options = RestoreOptions { file: context.input(&args.file), pin: args.pin, head: args.head };
    let report = args.identity.restore(&|env| open(options.clone(), env), context)?;
    let is_current = context.dir.starts_with(&report.directory);
    backups::show_restore(&report, args.output, is_current, &mut context.screen);
    Ok(Exit::Done)
}
