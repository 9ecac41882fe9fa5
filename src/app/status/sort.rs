//! The orders in which rows can be shown.

use super::row::StatusRow;

/// By what rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// Those first that expire first; what does not expire comes before.
    Expiry,
    /// The worst state first.
    State,
    /// The kind of credential.
    Credential,
    /// The cluster's, then persons', then hosts', each by name.
    Subject,
}

/// Sorts rows; equal ones stay in their order.
pub fn sort(rows: &mut [StatusRow], by: SortBy) {
    match by {
        SortBy::Expiry => rows.sort_by_key(|row| row.not_after),
        SortBy::State => rows.sort_by_key(|row| (std::cmp::Reverse(row.state), row.not_after)),
        SortBy::Credential => rows.sort_by_cached_key(|row| row.credential.name().into_owned()),
        SortBy::Subject => rows.sort_by(|one, other| one.subject.cmp(&other.subject)),
    }
}
