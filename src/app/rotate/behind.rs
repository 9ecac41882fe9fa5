//! What keeps a phase from being proven.

/// A host that is behind, and the check that shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Behind {
    /// The host, the API servers' endpoint, or the cluster's name.
    pub host: String,
    /// Whether it is a host of the cluster file.
    pub is_host: bool,
    /// The id of the check.
    pub check: String,
    /// What was observed.
    pub observed: String,
}

/// Returns the hosts that are behind, each once; if none is, what else is: the endpoint, or the cluster.
pub(super) fn names(behind: &[Behind]) -> Vec<&str> {
    let has_hosts = behind.iter().any(|one| one.is_host);
    let named = behind.iter().filter(|one| one.is_host || !has_hosts);
    let mut names: Vec<&str> = named.map(|one| one.host.as_str()).collect();
    names.dedup();
    names
}

/// Returns the hosts that are behind, as text.
pub(super) fn listed(behind: &[Behind]) -> String {
    const NAMED: usize = 5;
    let mut hosts = names(behind);
    let more = hosts.len().saturating_sub(NAMED);
    hosts.truncate(NAMED);
    let named = hosts.join(", ");
    if more > 0 { format!("{named} and {more} more are behind") } else { format!("{named} behind") }
}
