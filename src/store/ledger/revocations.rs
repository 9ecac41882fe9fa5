//! Revocations of recorded certificates.

use std::collections::HashMap;

use rusqlite::{Row, params};
use time::OffsetDateTime;

use super::columns::Column;
use super::events::{REASON, REASON_CHANGED};
use super::{AuditContext, Ledger, events, sequence};
use crate::cluster::duration::stamp;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::reason::Reason;
use crate::store::error::StoreError;

/// The reason and the time of a revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The reason.
    pub reason: Reason,
    /// When.
    pub at: OffsetDateTime,
}

impl Ledger {
    /// Records revocations, each with its own reason and time, all or none, durable on return. Certificates that are
    /// already revoked keep their reason and time.
    ///
    /// # Errors
    /// Returns an error if SQLite fails. In that case, nothing is recorded.
    pub fn revoke(
        &mut self,
        revoked: &[(Fingerprint, Revocation)],
        audit: &AuditContext<'_>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut new = 0;
            for (certificate, Revocation { reason, at }) in revoked {
                new += transaction.execute(
                    "INSERT OR IGNORE INTO revocations (sha256, reason, revoked_at, revoked_by) VALUES (?1, ?2, ?3, ?4)",
                    params![certificate.to_string(), reason.as_str(), stamp(*at), audit.by],
                )?;
            }
            sequence::advance(transaction, new)
        })
    }

    /// Records another reason for revocations, all or none, durable on return. They keep their time.
    ///
    /// # Errors
    /// Returns an error if SQLite fails. In that case, nothing is recorded.
    pub fn change_reason(
        &mut self,
        revoked: &[Fingerprint],
        reason: Reason,
        audit: &AuditContext<'_>,
    ) -> Result<(), StoreError> {
        if revoked.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            revoked.iter().try_for_each(|certificate| {
                events::insert(transaction, REASON_CHANGED, &certificate.to_string(), reason.as_str(), audit)
            })
        })
    }

    /// Returns the number of all revocations, which never decreases.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn revocation_count(&self) -> Result<u64, StoreError> {
        let query = "SELECT count(*) FROM revocations";
        self.read(|connection| connection.query_row(query, [], |row| row.get::<_, i64>(0))).map(i64::unsigned_abs)
    }

    /// Returns every revocation, by the SHA-256 of the certificate's DER.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn revocations(&self) -> Result<HashMap<Fingerprint, Revocation>, StoreError> {
        self.read(|connection| {
            let mut select =
                connection.prepare(&format!("SELECT r.sha256, {REASON}, r.revoked_at FROM revocations r"))?;
            let row = |row: &Row<'_>| {
                let (Column(certificate), Column(reason), Column(at)) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok((certificate, Revocation { reason, at }))
            };
            select.query_map([], row)?.collect()
        })
    }
}
