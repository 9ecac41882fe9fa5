//! The cluster and the time of a status.

use time::OffsetDateTime;

/// The cluster and the time of a status.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The cluster's name; empty if there is none.
    pub(crate) cluster: String,
    /// The time at which rows are evaluated.
    pub(crate) now: OffsetDateTime,
}
