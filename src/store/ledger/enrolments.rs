//! Records which certificate a host's request got; a request never gets two.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::columns::Column;
use super::{AuditContext, Ledger, events};
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;

/// The kind of the events that record that a request got a certificate.
pub const ENROLLED: &str = "enrol";
/// The kind of the events that record that a request was approved.
pub const APPROVED: &str = "approve";
/// The kind of the events that record that a request was denied, or was refused after its approval.
pub const DENIED: &str = "deny";

/// A request, and the certificate that it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentRecord {
    /// SHA-256 of the certificate request's DER.
    pub csr: Fingerprint,
    /// SHA-256 of the certificate's DER.
    pub certificate: Fingerprint,
    /// The host.
    pub host: String,
    /// The request's name, and why it got the certificate.
    pub detail: String,
}

impl Ledger {
    /// Returns the certificate that a request got, by SHA-256 of the request's DER.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn enrolled(&self, csr: Fingerprint) -> Result<Option<Fingerprint>, StoreError> {
        let query = "SELECT sha256 FROM enrolments WHERE csr_sha256 = ?1";
        let row = |row: &Row<'_>| Ok(row.get::<_, Column<_>>(0)?.0);
        self.read(|connection| connection.prepare_cached(query)?.query_row([csr.to_string()], row).optional())
    }

    /// Returns the certificates that hosts asked for themselves in place of an earlier one with the same key: they have them,
    /// and need no bundle for that.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn renewed_by_hosts(&self) -> Result<HashSet<Fingerprint>, StoreError> {
        let query = "SELECT e.sha256 FROM enrolments e JOIN certificates c ON c.sha256 = e.sha256 \
            WHERE EXISTS (SELECT 1 FROM certificates o WHERE o.spki_sha256 = c.spki_sha256 AND o.seq < c.seq \
            AND o.host = c.host AND o.profile = c.profile)";
        self.read(|connection| {
            let certificate = |row: &Row<'_>| row.get::<_, Column<Fingerprint>>(0).map(|column| column.0);
            connection.prepare(query)?.query_map([], certificate)?.collect()
        })
    }
}

pub(super) fn insert(
    transaction: &Transaction<'_>,
    records: &[EnrolmentRecord],
    audit: &AuditContext<'_>,
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT INTO enrolments (csr_sha256, sha256) VALUES (?1, ?2)")?;
    for record in records {
        insert.execute(params![record.csr.to_string(), record.certificate.to_string()])?;
        events::insert(transaction, ENROLLED, &record.host, &record.detail, audit)?;
    }
    Ok(())
}
