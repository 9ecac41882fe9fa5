//! Hosts as arguments: names, lists and patterns.

use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::host_pattern::expand;

/// Returns the names that arguments stand for: `a,b` is two, and `worker-*` every name of `known` that it matches.
///
/// # Errors
/// A usage error where a list has an empty name, or a pattern matches none. Names that are not known are returned as they are.
pub(crate) fn expanded<'k>(arguments: &[String], known: impl Iterator<Item = &'k str> + Clone) -> Result<Vec<String>> {
    expand(arguments, known).map_err(|error| CliError::new(Exit::Usage, error.to_string()))
}
