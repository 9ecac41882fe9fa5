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
