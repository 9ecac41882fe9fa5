//! The summary of a status.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use super::pki::Skipped;
use super::rotations::RotationSummary;
use super::summary::Summary;
use crate::enrol::request::State as RequestState;

/// The summary of a status, without its rows.
#[derive(Debug)]
pub struct StatusReport {
    /// The number of rows of each state.
    pub summary: Summary,
    /// The files of another tool's PKI that were not read, with the reasons.
    pub skipped: Vec<Skipped>,
    /// The rotations that are under way.
    pub rotations: Vec<RotationSummary>,
    /// When the cluster directory was last backed up; `None` if it never was, or the report is on files.
    pub last_backup: Option<OffsetDateTime>,
    /// The requests of hosts, where there is a queue.
    pub enrolment: Option<EnrolmentReport>,
}

/// The requests in the queue of the enrolment CA's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentReport {
    /// The number of requests in each state. Finished ones are counted for an hour.
    pub counts: BTreeMap<RequestState, i64>,
    /// The age of the oldest open request.
    pub oldest: Option<Duration>,
}

impl StatusReport {
    /// Returns true if everything is valid and was read, so that there is nothing to do.
    #[must_use]
    pub fn is_all_valid(&self) -> bool {
        self.summary.is_all_valid() && self.skipped.is_empty()
    }
}
