//! The stored entries of the verification cache.

use rusqlite::{Connection, Row, params};

use super::Ledger;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;
use crate::store::verification_cache::{CacheEntry, VerificationCache};

impl Ledger {
    /// Stores entries. Each replaces an older entry of the same folder.
    ///
    /// # Errors
    /// Returns an error if SQLite fails. In that case, nothing is stored.
    pub fn cache_verified(&mut self, entries: &[CacheEntry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.write(|transaction| insert(transaction, entries))
    }

    /// Reads all entries.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn verification_cache(&self) -> Result<VerificationCache, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare("SELECT digest, not_before, not_after FROM verification_cache")?;
            let row = |row: &Row<'_>| Ok((Fingerprint::from_bytes(row.get(0)?), (row.get(1)?, row.get(2)?)));
            select.query_map([], row)?.collect()
        })
    }
}

/// Stores entries as a part of a transaction.
pub(super) fn insert(connection: &Connection, entries: &[CacheEntry]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO verification_cache (folder, digest, not_before, not_after) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for CacheEntry { folder, digest, not_before, not_after } in entries {
        insert.execute(params![folder, digest.bytes(), not_before.unix_timestamp(), not_after.unix_timestamp()])?;
    }
    Ok(())
}
