//! Queries whose rows are read one at a time, so that the result of a large ledger need not fit into memory.

use std::fmt;

use rusqlite::{CachedStatement, Row, ToSql};

use super::Ledger;
use crate::store::error::StoreError;

/// A query, which reads its rows one at a time.
pub struct RowQuery<'l, T> {
    ledger: &'l Ledger,
    pub(super) statement: CachedStatement<'l>,
    of: fn(&Row<'_>) -> rusqlite::Result<T>,
}

impl<'l, T> RowQuery<'l, T> {
    /// Prepares a query; `of` reads a row.
    pub(super) fn new(
        ledger: &'l Ledger,
        query: &str,
        values: &[&dyn ToSql],
        of: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Self, StoreError> {
        let statement = ledger.read(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            for (i, value) in values.iter().enumerate() {
                statement.raw_bind_parameter(i + 1, value)?;
            }
            Ok(statement)
        })?;
        Ok(Self { ledger, statement, of })
    }

    /// Returns the rows from the first on; each is read when the iterator reaches it.
    pub fn rows(&mut self) -> impl Iterator<Item = Result<T, StoreError>> {
        let ledger = self.ledger;
        self.statement.raw_query().mapped(self.of).map(|row| row.map_err(|error| ledger.error(&error)))
    }

    /// Reads all rows.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn all(mut self) -> Result<Vec<T>, StoreError> {
        self.rows().collect()
    }
}

impl<T> fmt::Debug for RowQuery<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowQuery").field("statement", &*self.statement).finish_non_exhaustive()
    }
}
