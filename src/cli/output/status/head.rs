//! The cluster and the time of a status.

use time::OffsetDateTime;

/// The cluster and the time of a status.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The cluster's name; empty where there is none.
    pub(crate) cluster: String,
    /// The time that rows are judged at.
    pub(crate) now: OffsetDateTime,
}
