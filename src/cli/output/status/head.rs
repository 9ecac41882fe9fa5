//! What the answer is about.

use time::OffsetDateTime;

/// What the answer is about.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The cluster's name; empty where there is none.
    pub(crate) cluster: String,
    /// The time that rows are judged at.
    pub(crate) now: OffsetDateTime,
}
