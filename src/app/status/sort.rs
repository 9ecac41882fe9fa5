//! The orders in which rows can be shown.

use super::row::StatusRow;

/// The sort order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// By expiry, the earliest first; items that do not expire come before all others.
    Expiry,
    /// The worst state first.
    State,
    /// The kind of credential.
    Credential,
    /// The cluster's rows, then persons', then hosts', each by name.
    Subject,
}

/// Sorts rows; the sort is stable.
pub fn sort(rows: &mut [StatusRow], by: SortBy) {
    match by {
        SortBy::Expiry => rows.sort_by_key(|row| row.not_after),
        SortBy::State => rows.sort_by_key(|row| (std::cmp::Reverse(row.state), row.not_after)),
        SortBy::Credential => rows.sort_by_cached_key(|row| row.credential.name().into_owned()),
        SortBy::Subject => rows.sort_by(|one, other| one.subject.cmp(&other.subject)),
    }
}
