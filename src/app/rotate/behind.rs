//! What keeps a phase from being proven.

/// A host that is behind, and the check that shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Behind {
    /// The host, or the cluster's name.
    pub host: String,
    /// The id of the check.
    pub check: String,
    /// What was observed.
    pub observed: String,
}

/// Returns the hosts that are behind, as text.
pub(super) fn listed(behind: &[Behind]) -> String {
    const NAMED: usize = 5;
    let mut hosts: Vec<&str> = behind.iter().map(|one| one.host.as_str()).collect();
    hosts.dedup();
    let more = hosts.len().saturating_sub(NAMED);
    hosts.truncate(NAMED);
    let named = hosts.join(", ");
    if more > 0 { format!("{named} and {more} more are behind") } else { format!("{named} behind") }
}
