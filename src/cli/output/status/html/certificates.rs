//! The certificates of a directory or of files: the trust graph and the timeline.

use time::OffsetDateTime;

use super::groups::Groups;
use super::tone::tone;
use super::trust::Trust;
use crate::app::status::StatusRow;
use crate::html::{Expiry, Timeline};
use crate::verify::report::CertificateDrawings;

/// The certificates of rows.
pub(crate) struct DirectoryCertificates {
    pub(super) groups: Groups,
    trust: Trust,
    now: OffsetDateTime,
}

impl DirectoryCertificates {
    pub(crate) fn new(now: OffsetDateTime) -> Self {
        Self { groups: Groups::default(), trust: Trust::default(), now }
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, row: &StatusRow) {
        self.groups.add(row, self.now);
        self.trust.add(row);
    }

    /// Returns the drawings.
    pub(crate) fn drawings(&self) -> CertificateDrawings {
        let mut timeline = Timeline::default();
        for (key, group) in &self.groups.0 {
            if let Some(day) = key.day {
                timeline.add(Expiry { lane: &key.credential, day, tone: tone(key.state.0), count: group.count });
            }
        }
        CertificateDrawings { graph: self.trust.graph().drawing(), timeline: timeline.drawing(self.now) }
    }
}
