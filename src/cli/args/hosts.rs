//! Hosts as arguments: names, lists and patterns.

use crate::cli::error::{CliError, Result};
use crate::cli::exit::Exit;
use crate::cluster::host_pattern::{HostPattern, HostPatternError, expand};
use crate::cluster::spec::{Cluster, Host};

/// Returns the names that arguments denote: `a,b` is two, and `worker-*` every name of `known` that it matches.
///
/// # Errors
/// Returns a usage error if a list has an empty name, or a pattern matches none. Unknown names are no error: they are
/// returned as they are.
pub(crate) fn expanded<'k>(arguments: &[String], known: impl Iterator<Item = &'k str> + Clone) -> Result<Vec<String>> {
    expand(arguments, known).map_err(usage)
}

/// Parses arguments as names and patterns of hosts.
///
/// # Errors
/// Returns a usage error if a list has an empty name.
pub(crate) fn patterns(arguments: &[String]) -> Result<Vec<HostPattern>> {
    HostPattern::parse_all(arguments).map_err(usage)
}

/// Returns the control-plane nodes and the nodes that arguments denote; a host may be both.
///
/// # Errors
/// Returns a usage error for a name or a pattern that no host has.
pub(crate) fn hosts_of<'c>(cluster: &'c Cluster, arguments: &[String]) -> Result<(Vec<&'c Host>, Vec<&'c Host>)> {
    let patterns = patterns(arguments)?;
    let names = || cluster.masters.iter().chain(&cluster.nodes).map(|host| host.name.as_str());
    if let Some(unknown) = patterns.iter().find(|pattern| !names().any(|name| pattern.matches(name))) {
        return Err(usage(unknown.unmatched(names())));
    }
    let is_named = |host: &&Host| patterns.iter().any(|pattern| pattern.matches(host.name.as_str()));
    Ok((cluster.masters.iter().filter(is_named).collect(), cluster.nodes.iter().filter(is_named).collect()))
}

fn usage(error: HostPatternError) -> CliError {
    let what = CliError::new(Exit::Usage, error.to_string());
    match error {
        HostPatternError::Unknown { similar: Some(name), .. } => what.hint(format!("did you mean {name} ?")),
        _ => what,
    }
}
