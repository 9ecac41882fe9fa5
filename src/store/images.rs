//! Which images each master's bundle had when it was packed last: so that a change of version is seen before it is delivered.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::error::StoreError;
use super::ledger::{Ledger, failed};
use crate::cluster::name::HostName;

/// Made when it is needed first: an earlier version, which knows no such table, can go on with the ledger.
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS images (
    host   TEXT PRIMARY KEY,
    images TEXT NOT NULL                              -- versions and repository, as a person reads them
) WITHOUT ROWID;
";

impl Ledger {
    /// Returns what each master's bundle had when it was packed last, by the master's name.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn images(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let read = || {
            let there = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'images'";
            if self.connection.query_row(there, [], |row| row.get::<_, i64>(0))? == 0 {
                return Ok(BTreeMap::new());
            }
            let mut select = self.connection.prepare("SELECT host, images FROM images")?;
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|error| failed(&self.path, &error))
    }

    /// Remembers that the bundles of these masters have `images` now, all or nothing.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn remember_images<'h>(
        &mut self,
        hosts: impl IntoIterator<Item = &'h HostName>,
        images: &str,
    ) -> Result<(), StoreError> {
        let remember = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch(TABLE)?;
            for host in hosts {
                let insert = "INSERT OR REPLACE INTO images (host, images) VALUES (?1, ?2)";
                transaction.execute(insert, params![host.as_str(), images])?;
            }
            transaction.commit()
        };
        remember(&mut self.connection).map_err(|error| failed(&self.path, &error))
    }
}
