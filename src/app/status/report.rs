//! The summary of a status.

use time::OffsetDateTime;

use super::pki::Skipped;
use super::summary::Summary;

/// The summary of a status, without its rows.
#[derive(Debug)]
pub struct StatusReport {
    /// The number of rows of each state.
    pub summary: Summary,
    /// The files of another tool's PKI that were not read, with the reasons.
    pub skipped: Vec<Skipped>,
    /// When the cluster directory was last backed up; `None` if it never was, or the report is on files.
    pub last_backup: Option<OffsetDateTime>,
}

impl StatusReport {
    /// Returns true if everything is valid and was read, so that there is nothing to do.
    #[must_use]
    pub fn is_all_valid(&self) -> bool {
        self.summary.is_all_valid() && self.skipped.is_empty()
    }
}
