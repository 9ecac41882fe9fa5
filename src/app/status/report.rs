//! What was reported in all.

use time::OffsetDateTime;

use super::pki::Skipped;
use super::summary::Summary;

/// What was reported in all; the rows were handed on.
#[derive(Debug)]
pub struct StatusReport {
    /// How many rows there were of each state.
    pub summary: Summary,
    /// The files of another tool's PKI that were not read, and why. What they have is not known.
    pub skipped: Vec<Skipped>,
    /// When the cluster directory was backed up last, where it was and is reported.
    pub last_backup: Option<OffsetDateTime>,
}

impl StatusReport {
    /// Returns true if everything is valid and was read, so that there is nothing to do.
    #[must_use]
    pub fn is_all_valid(&self) -> bool {
        self.summary.is_all_valid() && self.skipped.is_empty()
    }
}
