//! The ledger's sequence: a number that grows with every revocation and that rendered files carry, so that a ledger from a
//! backup is known by the files that are newer than it.

use rusqlite::{Connection, OptionalExtension};

use super::error::StoreError;
use super::ledger::{Ledger, failed};

/// The ledger's format that brought the sequence.
const SINCE: i64 = 6;
/// The ledger's format that brought the generations of bundles.
const GENERATIONS_SINCE: i64 = 5;

impl Ledger {
    /// Returns the sequence: every revocation adds to it.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn sequence(&self) -> Result<u64, StoreError> {
        if self.format()? < SINCE {
            return self.count_of_revocations();
        }
        self.number("SELECT number FROM sequence")
    }

    /// Returns the last generation that was given to bundles; 0 when there was none.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn last_generation(&self) -> Result<u64, StoreError> {
        if self.format()? < GENERATIONS_SINCE {
            return Ok(0);
        }
        self.number("SELECT number FROM generation")
    }

    /// Raises the sequence and the generation to what files that are newer than this ledger carry. Neither ever falls.
    ///
    /// # Errors
    /// When SQLite cannot; nothing is changed then.
    pub fn catch_up(&mut self, sequence: u64, generation: u64) -> Result<(), StoreError> {
        let raise = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for (table, least) in [("sequence", sequence), ("generation", generation)] {
                let raise = format!(
                    "INSERT INTO {table} (one, number) VALUES (1, ?1) \
                     ON CONFLICT (one) DO UPDATE SET number = max(number, excluded.number)"
                );
                transaction.execute(&raise, [least.cast_signed()])?;
            }
            transaction.commit()
        };
        raise(&mut self.connection).map_err(|error| failed(&self.path, &error))
    }

    fn number(&self, query: &str) -> Result<u64, StoreError> {
        let number = self.connection.query_row(query, [], |row| row.get::<_, i64>(0)).optional();
        let number = number.map_err(|error| failed(&self.path, &error))?;
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
