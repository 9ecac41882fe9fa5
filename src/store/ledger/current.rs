//! The current certificate of each holder: the one that was issued last.

use std::fmt;

use rusqlite::Row;
use time::OffsetDateTime;

use super::Ledger;
use super::certificates::{IssuedCertificate, WITH_REVOCATIONS, columns};
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

/// A certificate, and its position in the order of issue.
struct Ranked {
    rank: i64,
    certificate: CurrentCertificate,
}

impl Ranked {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let time = |index| row.get::<_, Column<OffsetDateTime>>(index).map(|column| column.0);
        let certificate =
            CurrentCertificate { issued: IssuedCertificate::of(row)?, not_before: time(9)?, issued_at: time(10)? };
        Ok(Self { rank: row.get(11)?, certificate })
    }
}

/// The column that distinguishes the holders of a profile's certificates; an index is sorted by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Host,
    Account,
}

impl Holder {
    fn of(self, issued: &IssuedCertificate) -> Option<&str> {
        match self {
            Self::Host => issued.host.as_deref(),
            Self::Account => Some(&issued.account),
        }
    }
}

/// A query for the current certificate of each holder, which reads the rows one at a time.
pub struct CurrentQuery<'l> {
    query: RowQuery<'l, Ranked>,
    holder: Holder,
}

impl CurrentQuery<'_> {
    /// Returns the current certificates in the order of their holders; each is read when the iterator reaches it.
    ///
    /// All rows of a holder are read here, because a query with `GROUP BY` takes longer: SQLite copies every column of
    /// every row.
    pub fn rows(&mut self) -> impl Iterator<Item = Result<CurrentCertificate, StoreError>> {
        self.rows_where(|_| true)
    }

    /// Like [`Self::rows`], but only certificates for which `counts` is true are read.
    pub fn rows_where(
        &mut self,
        counts: impl Fn(&IssuedCertificate) -> bool,
    ) -> impl Iterator<Item = Result<CurrentCertificate, StoreError>> {
        let holder = self.holder;
        let is_read =
            move |row: &Result<Ranked, StoreError>| row.as_ref().map_or(true, |row| counts(&row.certificate.issued));
        let mut rows = self.query.rows().filter(is_read).peekable();
        std::iter::from_fn(move || {
            let mut current = match rows.next()? {
                Ok(first) => first,
                Err(error) => return Some(Err(error)),
            };
            loop {
                let name = holder.of(&current.certificate.issued);
                let is_of_holder = |row: &Result<Ranked, StoreError>| {
                    row.as_ref().map_or(true, |row| holder.of(&row.certificate.issued) == name)
                };
                match rows.next_if(is_of_holder) {
                    Some(Ok(row)) if row.rank > current.rank => current = row,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Some(Err(error)),
                    None => return Some(Ok(current.certificate)),
                }
            }
        })
    }

    /// Reads all current certificates.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn all(mut self) -> Result<Vec<CurrentCertificate>, StoreError> {
        self.rows().collect()
    }
}

impl fmt::Debug for CurrentQuery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentQuery").field("query", &self.query).field("holder", &self.holder).finish()
    }
}

impl Ledger {
    /// Finds the current certificate of a profile of each host, in the order of the hosts' names.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn current_of_hosts(&self, profile: &str) -> Result<CurrentQuery<'_>, StoreError> {
        self.current(profile, Holder::Host)
    }

    /// Finds the current certificate of a profile of each account that is not a host's, in the order of the accounts.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn current_of_accounts(&self, profile: &str) -> Result<CurrentQuery<'_>, StoreError> {
        self.current(profile, Holder::Account)
    }

    fn current(&self, profile: &str, holder: Holder) -> Result<CurrentQuery<'_>, StoreError> {
        let (column, is_of_host) = match holder {
            Holder::Host => ("c.host", "c.host IS NOT NULL"),
            Holder::Account => ("c.account", "c.host IS NULL"),
        };
        let query = format!(
            "SELECT {}, c.not_before, c.issued_at, {RANK} FROM {WITH_REVOCATIONS} \
             WHERE c.profile = ?1 AND {is_of_host} ORDER BY {column}",
            columns()
        );
        Ok(CurrentQuery { query: RowQuery::new(self, &query, &[&profile], Ranked::of)?, holder })
    }
}

#[cfg(test)]
mod tests;
