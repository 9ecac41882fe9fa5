//! The heading of a status report: the cluster and the time.

use time::OffsetDateTime;

/// The heading of a status report.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The cluster's name; empty for files outside of a cluster directory.
    pub(crate) cluster: String,
    /// The time at which rows are evaluated.
    pub(crate) now: OffsetDateTime,
}
