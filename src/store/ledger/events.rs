//! The log of all actions except issuing and revoking.

use std::collections::HashSet;

use rusqlite::{Row, Transaction, params};
use time::OffsetDateTime;

use super::Ledger;
use super::columns::Column;
use crate::cluster::duration::stamp;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;

/// The kind of the events that record the deletion of a key; their detail is the certificate's SHA-256.
pub(super) const KEY_DISCARDED: &str = "forget-key";

/// The kind of the events that record that a certificate was signed for a key that only its host has; their detail is the
/// certificate's SHA-256.
pub(super) const KEY_ON_HOST: &str = "sign";

/// The kind of the events that record a new one-time token; their subject is the host, their detail the token's id.
pub const TOKEN_CREATED: &str = "token";

/// The kind of the events that record that a certificate was issued elsewhere; their detail is the certificate's SHA-256.
pub(super) const ADOPTED: &str = "adopt";

/// The kind of the events that record another reason for a revocation; their subject is the certificate's SHA-256, their
/// detail the reason. The row of the revocation, which the hash chain covers, stays as it is.
pub(super) const REASON_CHANGED: &str = "change-reason";

/// The reason of the revocation `r`: the last one that was recorded; null where nothing was revoked.
pub(super) const REASON: &str = "CASE WHEN r.sha256 IS NOT NULL THEN coalesce((SELECT e.detail FROM events e \
    WHERE e.kind = 'change-reason' AND e.subject = r.sha256 ORDER BY e.seq DESC LIMIT 1), r.reason) END";

/// The order of issue of `certificates c`: those that were issued elsewhere precede all that clusterctl issued, because they
/// are recorded later than they were issued.
pub(super) const RANK: &str = "c.seq - CASE WHEN c.sha256 IN (SELECT detail FROM events WHERE kind = 'adopt') \
    THEN 1099511627776 ELSE 0 END";

/// Actor and timestamp recorded with a change.
#[derive(Debug, Clone)]
pub struct AuditContext<'a> {
    /// The time.
    pub at: OffsetDateTime,
    /// `user@machine`
    pub by: &'a str,
}

impl Ledger {
    /// Logs an event.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn log_event(
        &mut self,
        kind: &str,
        subject: &str,
        detail: &str,
        audit: &AuditContext<'_>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| insert(transaction, kind, subject, detail, audit))
    }

    /// Logs events of one kind, each with its subject and its detail; all or none.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn log_events(
        &mut self,
        kind: &str,
        events: &[(String, String)],
        audit: &AuditContext<'_>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            events.iter().try_for_each(|(subject, detail)| insert(transaction, kind, subject, detail, audit))
        })
    }

    /// Returns when an event of this kind was logged last; `None` if there is none.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn last_event(&self, kind: &str) -> Result<Option<OffsetDateTime>, StoreError> {
        let last = self.read(|connection| {
            let query = "SELECT max(at) FROM events WHERE kind = ?1";
            connection.query_row(query, [kind], |row| row.get::<_, Option<Column<OffsetDateTime>>>(0))
        })?;
        Ok(last.map(|column| column.0))
    }

    /// Returns the times and the details of the events of this kind about this subject, the oldest first.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn events_about(&self, kind: &str, subject: &str) -> Result<Vec<(OffsetDateTime, String)>, StoreError> {
        self.read(|connection| {
            let query = "SELECT at, detail FROM events WHERE kind = ?1 AND subject = ?2 ORDER BY seq";
            let mut select = connection.prepare(query)?;
            let event = |row: &Row<'_>| Ok((row.get::<_, Column<OffsetDateTime>>(0)?.0, row.get(1)?));
            select.query_map([kind, subject], event)?.collect()
        })
    }

    /// Like [`Self::events_about`], with the position of each event in the log instead of its time.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn numbered_events_about(&self, kind: &str, subject: &str) -> Result<Vec<(u64, String)>, StoreError> {
        self.read(|connection| {
            let query = "SELECT seq, detail FROM events WHERE kind = ?1 AND subject = ?2 ORDER BY seq";
            let mut select = connection.prepare(query)?;
            let event = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?));
            select.query_map([kind, subject], event)?.collect()
        })
    }

    /// Returns the sequence number of the certificate that was recorded last; 0 if there is none.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn last_sequence(&self) -> Result<u64, StoreError> {
        let last = "SELECT coalesce(max(seq), 0) FROM certificates";
        let last = self.read(|connection| connection.query_row(last, [], |row| row.get::<_, i64>(0)))?;
        Ok(last.unsigned_abs())
    }

    /// Records that keys are about to be deleted on purpose, each with its host and its certificate's SHA-256.
    ///
    /// # Errors
    /// Returns an error if SQLite fails. In that case, nothing is recorded.
    pub fn record_discarded_keys(
        &mut self,
        keys: &[(String, Fingerprint)],
        audit: &AuditContext<'_>,
    ) -> Result<(), StoreError> {
        self.record_keys(KEY_DISCARDED, keys, audit)
    }

    /// Records that only hosts have the keys of certificates that are recorded already, each with its host and its SHA-256.
    ///
    /// # Errors
    /// Returns an error if SQLite fails. In that case, nothing is recorded.
    pub fn record_keys_on_hosts(
        &mut self,
        keys: &[(String, Fingerprint)],
        audit: &AuditContext<'_>,
    ) -> Result<(), StoreError> {
        self.record_keys(KEY_ON_HOST, keys, audit)
    }

    fn record_keys(
        &mut self,
        kind: &str,
        keys: &[(String, Fingerprint)],
        audit: &AuditContext<'_>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            keys.iter().try_for_each(|(host, key)| insert(transaction, kind, host, &key.to_string(), audit))
        })
    }

    /// Returns the certificates whose keys were deleted on purpose.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn discarded_keys(&self) -> Result<HashSet<Fingerprint>, StoreError> {
        self.certificates_of(KEY_DISCARDED)
    }

    /// Returns the certificates that were signed for keys which only their hosts have.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn keys_on_hosts(&self) -> Result<HashSet<Fingerprint>, StoreError> {
        self.certificates_of(KEY_ON_HOST)
    }

    /// Returns the certificates whose keys were deleted on purpose, and not again after this position in the log.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn keys_discarded_before(&self, number: u64) -> Result<HashSet<Fingerprint>, StoreError> {
        self.read(|connection| {
            let query = "SELECT detail FROM events WHERE kind = ?1 GROUP BY detail HAVING max(seq) < ?2";
            let mut select = connection.prepare(query)?;
            let certificate = |row: &Row<'_>| row.get::<_, Column<Fingerprint>>(0).map(|column| column.0);
            select.query_map(params![KEY_DISCARDED, number.cast_signed()], certificate)?.collect()
        })
    }

    /// Returns the certificates whose keys were deleted on purpose before the directory was restored from a backup last.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn keys_discarded_before_restore(&self) -> Result<HashSet<Fingerprint>, StoreError> {
        self.read(|connection| {
            let query = "SELECT detail FROM events WHERE kind = ?1 \
                AND seq < (SELECT max(seq) FROM events WHERE kind = 'restore')";
            let mut select = connection.prepare(query)?;
            let certificate = |row: &Row<'_>| row.get::<_, Column<Fingerprint>>(0).map(|column| column.0);
            select.query_map([KEY_DISCARDED], certificate)?.collect()
        })
    }

    fn certificates_of(&self, kind: &str) -> Result<HashSet<Fingerprint>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare("SELECT detail FROM events WHERE kind = ?1")?;
            let certificate = |row: &Row<'_>| row.get::<_, Column<Fingerprint>>(0).map(|column| column.0);
            select.query_map([kind], certificate)?.collect()
        })
    }
}

pub(super) fn insert(
    transaction: &Transaction<'_>,
    kind: &str,
    subject: &str,
    detail: &str,
    audit: &AuditContext<'_>,
) -> rusqlite::Result<()> {
    let mut insert =
        transaction.prepare_cached("INSERT INTO events (at, by, kind, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    insert.execute(params![stamp(audit.at), audit.by, kind, subject, detail]).map(|_| ())
}
