//! `show`: describes certificates, keys, requests, CRLs, kubeconfigs and bundles, whichever tool made them, and
//! certificates of the ledger.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::app::inspect::{InputFile, InspectReport, InspectedFile, inspect};
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::explain::card::Card;
use crate::sanitize::sanitized_lines;

/// The arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Files or folders to describe (`-` is standard input); or a host, an account, a serial number or a SHA-256 (an
    /// API server's credential-id) of the ledger
    #[arg(value_name = "FILE|HOST|ACCOUNT|SERIAL|SHA256", required = true, value_hint = clap::ValueHint::AnyPath)]
    files: Vec<PathBuf>,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

/// Runs `show`.
///
/// # Errors
/// Returns a usage error for a file that cannot be described; all others are described.
pub fn run(args: &ShowArgs, context: &mut Context<'_>) -> Result<Exit> {
    let input = |file: &PathBuf| InputFile { label: file.display().to_string(), path: context.input(file) };
    let inputs: Vec<InputFile> = args.files.iter().map(input).collect();
    let report = inspect(&context.env, &inputs, context.check_owner().is_ok());
    match args.output {
        OutputFormat::Human => {
            for file in report.files.iter().filter(|file| !file.cards.is_empty()) {
                context.screen.answer(text(file));
            }
        }
        OutputFormat::Json => {
            let files: Vec<Value> = report.files.iter().map(data).collect();
            context.screen.answer(format_args!("{:#}", json!({ "schemaVersion": 1, "files": files })));
        }
    }
    end(report, context)
}

/// Ends with the last error, and warns of all others.
fn end(report: InspectReport, context: &mut Context<'_>) -> Result<Exit> {
    let mut errors: Vec<CliError> =
        report.files.into_iter().filter_map(|file| file.error).map(CliError::from).collect();
    let Some(last) = errors.pop() else { return Ok(Exit::Done) };
    for error in errors {
        context.screen.warn(error);
    }
    Err(last)
}

fn data(file: &InspectedFile) -> Value {
    let items: Vec<Value> = file.cards.iter().map(Card::json).collect();
    match &file.error {
        // A damaged item beside valid ones is reported as a problem of the item.
        Some(error) if file.cards.is_empty() => {
            json!({ "file": file.label, "items": items, "error": error.to_string() })
        }
        _ => json!({ "file": file.label, "items": items }),
    }
}

fn text(file: &InspectedFile) -> String {
    let mut text = format!("{}\n", one_line(&file.label));
    for card in &file.cards {
        text.push_str(&format!("  {}\n", card.kind));
        for (name, value) in &card.lines {
            text.push_str(&format!("    {name:<12} {}\n", one_line(value)));
        }
        for problem in &card.problems {
            text.push_str(&format!("    {:<12} {}\n", "problem", one_line(problem)));
        }
    }
    text
}

/// Returns text from a file or its name on one line, with control characters escaped.
fn one_line(text: &str) -> String {
    sanitized_lines(text).replace(['\n', '\t'], " ")
}
