//! `explain`: prints the documentation of keys of the cluster file.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::config::key_docs::{self, KeyDoc, UnknownKey};
use crate::ui::Screen;

/// The schema of the cluster file, for editors.
const SCHEMA: &str = include_str!("../../schemas/cluster.schema.json");

/// The arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The key's path, for example masters.addresses
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// Print the JSON Schema of the cluster file, for editors
    #[arg(long, conflicts_with = "key")]
    schema: bool,
}

/// Runs `explain`.
///
/// # Errors
/// Returns a usage error for an unknown key.
pub fn run(args: &ExplainArgs, context: &mut Context<'_>) -> Result<Exit> {
    let screen = &mut context.screen;
    match &args.key {
        _ if args.schema => screen.answer(SCHEMA.trim_end()),
        None => list(&key_docs::top(), screen),
        Some(key) => show(&key_docs::find(key).map_err(unknown)?, screen),
    }
    Ok(Exit::Done)
}

fn unknown(error: UnknownKey) -> CliError {
    let what = CliError::new(Exit::Usage, error.to_string());
    match error.similar {
        Some(similar) => what.hint(format!("did you mean {similar} ?")),
        None => what.hint("clusterctl explain lists the keys"),
    }
}

fn show(doc: &KeyDoc, screen: &mut Screen<'_>) {
    let KeyDoc { path, key } = doc;
    screen.answer(path);
    screen.answer(format_args!("  {}", key.description));
    screen.answer(format_args!("  type     {}", key.value.type_name()));
    if let Some(allowed) = key.value.allowed() {
        screen.answer(format_args!("  allowed  {allowed}"));
    }
    screen.answer(format_args!("  default  {}", key.absent.words()));
    screen.answer(format_args!("  example  {}: {}", key.name, key.example));
    list(&doc.below(), screen);
}

fn list(docs: &[KeyDoc], screen: &mut Screen<'_>) {
    let width = docs.iter().map(|doc| doc.path.len()).max().unwrap_or_default();
    for KeyDoc { path, key } in docs {
        screen.answer(format_args!("{path:<width$}  {}", first_sentence(key.description)));
    }
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}
