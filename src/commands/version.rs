//! `version`: which build of the program this is.

use clap::Args;
use serde::Serialize;

use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;

/// The arguments of `version`.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: OutputFormat,
}

/// The facts of a build; `None` if unknown at build time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    version: &'static str,
    commit: Option<&'static str>,
    commit_date: Option<&'static str>,
    target: Option<&'static str>,
    rustc: Option<&'static str>,
}

/// This build, as `build.rs` describes it.
const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    commit: option_env!("CLUSTERCTL_BUILD_COMMIT"),
    commit_date: option_env!("CLUSTERCTL_BUILD_COMMIT_DATE"),
    target: option_env!("CLUSTERCTL_BUILD_TARGET"),
    rustc: option_env!("CLUSTERCTL_BUILD_RUSTC"),
};

/// Runs `version`.
///
/// # Errors
/// Returns an error if the facts cannot be written as JSON, which would be a bug.
pub fn run(args: &VersionArgs, context: &mut Context<'_>) -> Result<Exit> {
    if args.output == OutputFormat::Json {
        let json = serde_json::to_string_pretty(&BUILD)
            .map_err(|error| CliError::new(Exit::Bug, "the version could not be written as JSON").because(error))?;
        context.screen.answer(json);
        return Ok(Exit::Done);
    }
    context.screen.answer(format_args!("clusterctl {}", BUILD.version));
    let rows =
        [("commit", BUILD.commit), ("date", BUILD.commit_date), ("target", BUILD.target), ("rustc", BUILD.rustc)];
    for (name, fact) in rows {
        context.screen.answer(format_args!("  {name:<8}{}", fact.unwrap_or("unknown")));
    }
    Ok(Exit::Done)
}
