//! `validate`: checks the cluster file, and nothing else.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::app::{self, count, directory};
use crate::cli::args::output::OutputFormat;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::exit::Exit;
use crate::cluster::config_error::ConfigError;
use crate::cluster::spec::Cluster;

/// The arguments of `validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// The cluster file [default: that of the cluster directory]; `-` is standard input
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "human")]
    output: OutputFormat,
}

/// Runs `validate`.
///
/// # Errors
/// Returns a usage error for a file that has errors, or an error if it cannot be read.
pub fn run(args: &ValidateArgs, context: &mut Context<'_>) -> Result<Exit> {
    let (path, read) = match &args.file {
        Some(file) => {
            let path = context.input(file);
            let read = directory::cluster_in(&path);
            (path, read)
        }
        None => {
            context.check_owner()?;
            (context.env.layout.cluster_file(), directory::cluster(&context.env.layout))
        }
    };
    if args.output == OutputFormat::Json
        && let Some(json) = json_of(&path, &read)
    {
        context.screen.answer(format_args!("{json:#}"));
        return Ok(if read.is_ok() { Exit::Done } else { Exit::Usage });
    }
    let cluster = read?;
    context.screen.step(format_args!(
        "{} is valid: cluster {}, {}, {}",
        path.display(),
        cluster.name,
        count::counted(cluster.masters.len(), "master"),
        count::counted(cluster.nodes.len(), "node"),
    ));
    Ok(Exit::Done)
}

/// Returns the result as JSON; `None` if the file cannot be read at all.
fn json_of(path: &std::path::Path, read: &Result<Cluster, app::Error>) -> Option<Value> {
    let error = |error: &ConfigError| json!({ "path": error.path, "line": error.line, "value": error.seen, "message": error.reason.to_string() });
    let (cluster, errors, message) = match read {
        Ok(cluster) => {
            let counts = json!({ "name": cluster.name.to_string(), "masters": cluster.masters.len(), "nodes": cluster.nodes.len() });
            (counts, Vec::new(), None)
        }
        Err(app::Error::Directory(app::DirectoryError::ClusterFile { source, .. })) => {
            let errors: Vec<Value> = source.errors().iter().map(error).collect();
            let message = errors.is_empty().then(|| source.to_string());
            (Value::Null, errors, message)
        }
        Err(_) => return None,
    };
    Some(json!({
        "schemaVersion": 1, "file": path, "valid": read.is_ok(), "cluster": cluster, "errors": errors, "message": message,
    }))
}
