//! The ledger's sequence, a number that increases with every revocation. Rendered files contain it, so files that are
//! newer than a restored ledger prove that the ledger is older.

use rusqlite::{Connection, OptionalExtension};

use super::Ledger;
use crate::store::error::StoreError;

impl Ledger {
    /// Returns the sequence.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn sequence(&self) -> Result<u64, StoreError> {
        self.number("SELECT number FROM sequence")
    }

    /// Returns the last generation that was assigned to bundles; 0 if there is none.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn last_generation(&self) -> Result<u64, StoreError> {
        self.number("SELECT number FROM generation")
    }

    /// Raises the sequence and the generation to those of files that are newer than this ledger. Neither ever falls.
    ///
    /// # Errors
    /// Returns an error if SQLite fails. In that case, nothing is changed.
    pub fn raise_sequences(&mut self, sequence: u64, generation: u64) -> Result<(), StoreError> {
        self.write(|transaction| {
            for (table, least) in [("sequence", sequence), ("generation", generation)] {
                let raise = format!(
                    "INSERT INTO {table} (one, number) VALUES (1, ?1) \
                     ON CONFLICT (one) DO UPDATE SET number = max(number, excluded.number)"
                );
                transaction.execute(&raise, [least.cast_signed()])?;
            }
            Ok(())
        })
    }

    fn number(&self, query: &str) -> Result<u64, StoreError> {
        let number = self.read(|connection| connection.query_row(query, [], |row| row.get::<_, i64>(0)).optional())?;
        Ok(number.unwrap_or(0).max(0).unsigned_abs())
    }
}

/// Adds to the sequence as a part of a transaction.
pub(super) fn advance(connection: &Connection, by: usize) -> rusqlite::Result<()> {
    let by = i64::try_from(by).unwrap_or(i64::MAX);
    connection.execute(
        "INSERT INTO sequence (one, number) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET number = number + ?1",
        [by],
    )?;
    Ok(())
}
