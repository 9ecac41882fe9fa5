//! The head of a status: the cluster and the time.

use time::OffsetDateTime;

/// The head of a status.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The cluster's name; empty if there is none.
    pub(crate) cluster: String,
    /// The time at which rows are evaluated.
    pub(crate) now: OffsetDateTime,
}
