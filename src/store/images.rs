//! Which images each master's bundle had when it was packed last, and which bundles had units: so that a change is seen before
//! it is delivered.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use super::error::StoreError;
use super::ledger::{Ledger, failed};
use crate::cluster::name::HostName;

/// Made when they are needed first: an earlier version, which knows no such tables, can go on with the ledger.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS images (
    host   TEXT PRIMARY KEY,
    images TEXT NOT NULL                              -- versions and repository, as a person reads them
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS units (
    host TEXT PRIMARY KEY                             -- whose last bundle had units for systemd
) WITHOUT ROWID;
";

impl Ledger {
    /// Returns what each master's bundle had when it was packed last, by the master's name.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn images(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let read = || {
            if !self.has_table("images")? {
                return Ok(BTreeMap::new());
            }
            let mut select = self.connection.prepare("SELECT host, images FROM images")?;
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|error| failed(&self.path, &error))
    }

    /// Returns the hosts whose last bundles had units for systemd.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn hosts_with_units(&self) -> Result<BTreeSet<String>, StoreError> {
        let read = || {
            if !self.has_table("units")? {
                return Ok(BTreeSet::new());
            }
            let mut select = self.connection.prepare("SELECT host FROM units")?;
            select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|error| failed(&self.path, &error))
    }

    /// Remembers that the bundles of these hosts have units now, or that they have none, all or nothing.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn remember_units<'h>(
        &mut self,
        hosts: impl IntoIterator<Item = &'h HostName>,
        with_units: bool,
    ) -> Result<(), StoreError> {
        let change = match with_units {
            true => "INSERT OR REPLACE INTO units (host) VALUES (?1)",
            false => "DELETE FROM units WHERE host = ?1",
        };
        let remember = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch(TABLES)?;
            {
                let mut change = transaction.prepare(change)?;
                for host in hosts {
                    change.execute([host.as_str()])?;
                }
            }
            transaction.commit()
        };
        remember(&mut self.connection).map_err(|error| failed(&self.path, &error))
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
            transaction.execute_batch(TABLES)?;
            for host in hosts {
                let insert = "INSERT OR REPLACE INTO images (host, images) VALUES (?1, ?2)";
                transaction.execute(insert, params![host.as_str(), images])?;
            }
            transaction.commit()
        };
        remember(&mut self.connection).map_err(|error| failed(&self.path, &error))
    }
}
