//! What each sealed archive was made of: two sealings of the same bundle differ, so that its bytes do not tell.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};

use super::error::StoreError;
use super::ledger::{Ledger, failed};
use crate::cluster::name::HostName;
use crate::pki::fingerprint::Fingerprint;

/// Made when it is needed first: an earlier version, which knows no such table, can go on with the ledger.
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS sealed (
    host    TEXT PRIMARY KEY,
    made_of BLOB NOT NULL,                            -- SHA-256 of what was sealed and of its recipients
    file    BLOB NOT NULL                             -- SHA-256 of the sealed archive
) WITHOUT ROWID;
";

/// A sealed archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// Of the bundle in the clear, and of those whom it is sealed to.
    pub made_of: Fingerprint,
    /// Of the archive.
    pub file: Fingerprint,
}

impl Ledger {
    /// Returns what was sealed last for each host.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn sealed(&self) -> Result<HashMap<String, Sealed>, StoreError> {
        let read = || {
            if !self.has_table("sealed")? {
                return Ok(HashMap::new());
            }
            let mut select = self.connection.prepare("SELECT host, made_of, file FROM sealed")?;
            let row = |row: &Row<'_>| {
                let digest = |index| row.get(index).map(Fingerprint::from_bytes);
                Ok((row.get(0)?, Sealed { made_of: digest(1)?, file: digest(2)? }))
            };
            select.query_map([], row)?.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|error| failed(&self.path, &error))
    }

    /// Remembers what was sealed, all or nothing. Where it never comes to that, the same is sealed again next time.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn remember_sealed(&mut self, sealed: &[(HostName, Sealed)]) -> Result<(), StoreError> {
        if sealed.is_empty() {
            return Ok(());
        }
        let remember = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute_batch(TABLE)?;
            {
                let insert = "INSERT OR REPLACE INTO sealed (host, made_of, file) VALUES (?1, ?2, ?3)";
                let mut insert = transaction.prepare(insert)?;
                for (host, Sealed { made_of, file }) in sealed {
                    insert.execute(params![host.as_str(), made_of.bytes(), file.bytes()])?;
                }
            }
            transaction.commit()
        };
        remember(&mut self.connection).map_err(|error| failed(&self.path, &error))
    }
}
