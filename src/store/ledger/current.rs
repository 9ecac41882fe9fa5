//! The current certificate of each holder: the one that was issued last.

use rusqlite::Row;
use time::OffsetDateTime;

use super::Ledger;
use super::certificates::{COLUMNS, IssuedCertificate, WITH_REVOCATIONS};
use super::columns::Column;
use super::events::RANK;
use super::query::RowQuery;
use crate::store::error::StoreError;

/// The certificate that was issued last to a holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentCertificate {
    /// The certificate.
    pub issued: IssuedCertificate,
    /// When its validity begins.
    pub not_before: OffsetDateTime,
    /// When it was issued.
    pub issued_at: OffsetDateTime,
}

impl CurrentCertificate {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let time = |index| row.get::<_, Column<OffsetDateTime>>(index).map(|column| column.0);
        Ok(Self { issued: IssuedCertificate::of(row)?, not_before: time(9)?, issued_at: time(10)? })
    }
}

impl Ledger {
    /// Finds the current certificate of a profile of each host, in the order of the hosts' names.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn current_of_hosts(&self, profile: &str) -> Result<RowQuery<'_, CurrentCertificate>, StoreError> {
        self.current(profile, "c.host")
    }

    /// Finds the current certificate of a profile of each account that is not a host's, in the order of the accounts.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn current_of_accounts(&self, profile: &str) -> Result<RowQuery<'_, CurrentCertificate>, StoreError> {
        self.current(profile, "c.account")
    }

    /// `holder` is the column that distinguishes the profile's certificates; an index is sorted by it.
    fn current(&self, profile: &str, holder: &str) -> Result<RowQuery<'_, CurrentCertificate>, StoreError> {
        let is_of_host = if holder == "c.host" { "c.host IS NOT NULL" } else { "c.host IS NULL" };
        // A bare column beside max() has the value of the same row (SQLite, "Bare columns in an aggregate query").
        let query = format!(
            "SELECT {COLUMNS}, c.not_before, c.issued_at, max({RANK}) FROM {WITH_REVOCATIONS} \
             WHERE c.profile = ?1 AND {is_of_host} GROUP BY {holder} ORDER BY {holder}"
        );
        RowQuery::new(self, &query, &[&profile], CurrentCertificate::of)
    }
}

#[cfg(test)]
mod tests;
