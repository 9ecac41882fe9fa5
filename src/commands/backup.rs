//! `backup`: writes the cluster directory into one encrypted file.

use std::path::PathBuf;

use clap::Args;

use crate::app::backup::{BackupOptions, backup};
use crate::cli::args::backup_key::BackupEncryptionArgs;
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cli::output::backups;

/// The arguments of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write, outside of the folders that are backed up
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath, value_parser = file)]
    file: PathBuf,
    #[command(flatten)]
    encryption: BackupEncryptionArgs,
    /// Leave the bundles out: clusterctl bundle --all makes them again, except for those whose keys were deleted with
    /// --discard-keys
    #[arg(long)]
    without_bundles: bool,
    /// Format of the output; the schema of the JSON is schemas/backup.schema.json
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

/// Refuses `-`: the file appears complete or not at all, which standard output cannot.
fn file(text: &str) -> Result<PathBuf, String> {
    match text {
        "-" => Err("a backup cannot be written to standard output: name a file".to_owned()),
        text => Ok(text.into()),
    }
}

/// Runs `backup`.
///
/// # Errors
/// Returns the errors of [`backup`], or a usage error if it cannot be encrypted, or an error if another user owns the
/// directory.
pub fn run(args: &BackupArgs, context: &mut Context<'_>) -> Result<Exit> {
    context.check_owner()?;
    let options = BackupOptions {
        file: context.path(&args.file),
        encryptor: args.encryption.encryptor(context)?,
        bundles: !args.without_bundles,
    };
    let env = context.env.clone();
    let report = backup(&options, &env, &mut context.observer())?;
    backups::show_backup(&report, args.output, &mut context.screen);
    Ok(Exit::Done)
}
