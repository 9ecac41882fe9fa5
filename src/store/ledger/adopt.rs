//! Records certificates that a CA of the cluster issued without clusterctl.

use rusqlite::OptionalExtension;

use super::certificates::{self, Entry};
use super::events::{self, ADOPTED};
use super::{AuditContext, Ledger, unrecorded};
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;

impl Ledger {
    /// Records certificates that were issued elsewhere, each with an event, all or none; durable on return.
    ///
    /// Those that were revoked only by their serial number or SHA-256 stay revoked.
    ///
    /// # Errors
    /// Returns an error if SQLite fails. In that case, nothing is recorded.
    pub fn adopt(&mut self, entries: &[Entry<'_>], audit: &AuditContext<'_>) -> Result<(), StoreError> {
        self.write(|transaction| {
            certificates::insert(transaction, entries, audit)?;
            for Entry { certificate, host, .. } in entries {
                let account = certificate.account().user;
                let subject = host.unwrap_or(account.as_str());
                events::insert(transaction, ADOPTED, subject, &certificate.fingerprint().to_string(), audit)?;
            }
            unrecorded::resolve(transaction)
        })
    }

    /// Returns true if a certificate was recorded by [`Ledger::adopt`].
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn is_adopted(&self, certificate: Fingerprint) -> Result<bool, StoreError> {
        let query = "SELECT 1 FROM events WHERE kind = ?1 AND detail = ?2";
        let values = [ADOPTED, &certificate.to_string()];
        self.read(|connection| connection.query_row(query, values, |_| Ok(())).optional()).map(|found| found.is_some())
    }
}
