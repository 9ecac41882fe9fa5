//! Groups of equal rows: hosts with the same state share a line.

use std::collections::BTreeMap;

use time::{Date, OffsetDateTime};

use crate::app::status::{Credential, State, StatusRow};
use crate::cli::remedies;
use crate::cluster::duration::stamp;

/// The maximum number of members that a group names.
const NAMED: usize = 2_000;

/// The fields that all rows of a group share. Groups are ordered by the worst state, then by expiry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupKey {
    /// The state; the worst comes first.
    pub(super) state: std::cmp::Reverse<State>,
    pub(super) day: Option<Date>,
    pub(super) kind: &'static str,
    pub(super) credential: String,
}

/// Returns the name of a member: a host may have several requests.
fn member_name(row: &StatusRow) -> String {
    match &row.credential {
        Credential::Request { name, .. } => format!("{} ({name})", row.subject.name()),
        _ => row.subject.name().to_owned(),
    }
}

/// One row of a group.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// The host or person; empty for the cluster.
    pub(super) name: String,
    pub(super) serial: Option<String>,
    pub(super) expires: Option<String>,
    pub(super) days: Option<i64>,
    pub(super) is_key_discarded: bool,
    pub(super) problem: Option<String>,
    pub(super) hint: Option<String>,
}

/// A group of equal rows.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) count: usize,
    /// The first rows, at most [`NAMED`].
    pub(super) members: Vec<Member>,
}

/// All rows, grouped by their shared fields.
#[derive(Debug, Default)]
pub(super) struct Groups(pub(super) BTreeMap<GroupKey, Group>);

impl Groups {
    /// Adds a row.
    pub(super) fn add(&mut self, row: &StatusRow, now: OffsetDateTime) {
        let key = GroupKey {
            state: std::cmp::Reverse(row.state),
            day: row.not_after.map(OffsetDateTime::date),
            kind: row.credential.kind(),
            credential: row.credential.group_name().into_owned(),
        };
        let group = self.0.entry(key).or_default();
        group.count += 1;
        if group.members.len() < NAMED {
            group.members.push(Member {
                name: member_name(row),
                serial: row.certificate.as_ref().map(|one| one.serial.to_string()),
                expires: row.not_after.map(stamp),
                days: row.days(now),
                is_key_discarded: row.is_key_discarded,
                problem: row.problem.as_ref().map(ToString::to_string),
                hint: row.remedy.as_ref().map(remedies::of_status),
            });
        }
    }
}
