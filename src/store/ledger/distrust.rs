//! Records which SSH keys hosts had when their certificates were revoked because a key was compromised: a thief of a host's
//! disk has its SSH key, too.

use std::collections::HashSet;

use rusqlite::{Row, params};

use super::{AuditContext, Ledger, events};
use crate::store::error::StoreError;

/// The kind of the events that record an SSH key that no longer proves its host; their subject is the host, their detail the
/// key's fingerprint, or [`NO_KEY`].
const DISTRUSTED: &str = "distrust-key";
/// The detail of the event of a host without a known SSH key.
const NO_KEY: &str = "no SSH key is known";

impl Ledger {
    /// Records that keys of hosts are compromised, each host with the fingerprints of its SSH keys; all or none. Each host gets
    /// one event at least, which marks the time.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn record_compromise(
        &mut self,
        hosts: &[(String, Vec<String>)],
        audit: &AuditContext<'_>,
    ) -> Result<(), StoreError> {
        if hosts.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            for (host, keys) in hosts {
                if keys.is_empty() {
                    events::insert(transaction, DISTRUSTED, host, NO_KEY, audit)?;
                }
                keys.iter().try_for_each(|key| events::insert(transaction, DISTRUSTED, host, key, audit))?;
            }
            Ok(())
        })
    }

    /// Returns the fingerprints of the SSH keys that no longer prove any host.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn distrusted_keys(&self) -> Result<HashSet<String>, StoreError> {
        self.read(|connection| {
            let query = "SELECT detail FROM events WHERE kind = ?1 AND detail != ?2";
            let key = |row: &Row<'_>| row.get(0);
            connection.prepare(query)?.query_map([DISTRUSTED, NO_KEY], key)?.collect()
        })
    }

    /// Returns the tokens that were created for a host since its keys were recorded as compromised last; `None` if that is not
    /// recorded.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn tokens_since_compromise(&self, host: &str) -> Result<Option<HashSet<String>>, StoreError> {
        self.read(|connection| {
            let last = "SELECT max(seq) FROM events WHERE kind = ?1 AND subject = ?2";
            let last: Option<i64> = connection.query_row(last, [DISTRUSTED, host], |row| row.get(0))?;
            let Some(last) = last else { return Ok(None) };
            let query = "SELECT detail FROM events WHERE kind = ?1 AND subject = ?2 AND seq > ?3";
            let mut select = connection.prepare(query)?;
            let token = |row: &Row<'_>| row.get(0);
            select
                .query_map(params![events::TOKEN_CREATED, host, last], token)?
                .collect::<rusqlite::Result<_>>()
                .map(Some)
        })
    }
}
