//! Revocations of certificates that the ledger does not have because it was restored from a backup. They are identified
//! by a digest, or by a serial number and its issuer.

use std::collections::HashSet;

use rusqlite::{Connection, Row, params};
use time::OffsetDateTime;

use super::certificates::IssuedCertificate;
use super::columns::Column;
use super::revocations::Revocation;
use super::{AuditContext, Ledger, chain, sequence};
use crate::cluster::duration::stamp;
use crate::pki::certificate::Serial;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;

/// The revocation of a certificate that the ledger does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnrecordedRevocation {
    /// The SHA-256 of its DER, if known. API servers need it.
    pub fingerprint: Option<Fingerprint>,
    /// The SHA-256 of its issuer's DER, and its serial number, if known. A CRL needs them.
    pub serial: Option<(Fingerprint, Serial)>,
    /// The reason and the time of its revocation.
    pub revocation: Revocation,
}

impl UnrecordedRevocation {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let serial = match (row.get(1)?, row.get(2)?) {
            (Some(Column(issuer)), Some(Column(serial))) => Some((issuer, serial)),
            _ => None,
        };
        let (Column(reason), Column(at)) = (row.get(3)?, row.get(4)?);
        let fingerprint = row.get::<_, Option<Column<_>>>(0)?.map(|column| column.0);
        Ok(Self { fingerprint, serial, revocation: Revocation { reason, at } })
    }
}

/// Certificates that are not revoked in the ledger.
#[derive(Debug, Default)]
pub struct NotRevoked {
    /// The certificates that the ledger has.
    pub recorded: Vec<IssuedCertificate>,
    /// The certificates that the ledger does not have.
    pub unrecorded: Vec<Fingerprint>,
}

impl Ledger {
    /// Returns all revocations of certificates that the ledger does not have, in the order in which they were recorded.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn unrecorded(&self) -> Result<Vec<UnrecordedRevocation>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare(
                "SELECT sha256, issuer_sha256, serial, reason, revoked_at FROM unrecorded_revocations ORDER BY seq",
            )?;
            select.query_map([], UnrecordedRevocation::of)?.collect()
        })
    }

    /// Records revocations of certificates that the ledger does not have, all or none. Revocations that are already
    /// recorded are left unchanged.
    ///
    /// # Errors
    /// Returns an error if SQLite fails. In that case, nothing is recorded.
    pub fn revoke_unrecorded(
        &mut self,
        revoked: &[UnrecordedRevocation],
        audit: &AuditContext<'_>,
    ) -> Result<(), StoreError> {
        if revoked.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            let mut new = 0;
            for UnrecordedRevocation { fingerprint, serial, revocation } in revoked {
                let (issuer, serial) =
                    serial.as_ref().map(|(issuer, serial)| (issuer.to_string(), serial.to_string())).unzip();
                new += transaction.execute(
                    "INSERT OR IGNORE INTO unrecorded_revocations \
                     (sha256, issuer_sha256, serial, reason, revoked_at, revoked_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        fingerprint.map(|sha256| sha256.to_string()),
                        issuer,
                        serial,
                        revocation.reason.as_str(),
                        stamp(revocation.at),
                        audit.by
                    ],
                )?;
            }
            sequence::advance(transaction, new)
        })
    }

    /// Converts them to regular revocations if the certificates have been recorded since.
    ///
    /// # Errors
    /// Returns an error if SQLite fails. In that case, nothing is changed.
    pub fn resolve_unrecorded(&mut self) -> Result<(), StoreError> {
        self.write(|transaction| resolve(transaction))
    }

    /// Returns the given certificates that are not revoked in the ledger. Certificates that expired before `expired`
    /// are left out.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn not_revoked_among<'c>(
        &self,
        certificates: impl IntoIterator<Item = &'c Fingerprint>,
        expired: OffsetDateTime,
    ) -> Result<NotRevoked, StoreError> {
        let mut found = NotRevoked::default();
        let mut unrecorded: Option<HashSet<Fingerprint>> = None;
        for certificate in certificates {
            match self.by_fingerprint(*certificate)? {
                Some(issued) if issued.revocation.is_some() || issued.not_after <= expired => {}
                Some(issued) => found.recorded.push(issued),
                None => {
                    let known = match &mut unrecorded {
                        Some(known) => known,
                        none => none.insert(self.unrecorded()?.iter().filter_map(|one| one.fingerprint).collect()),
                    };
                    if !known.contains(certificate) {
                        found.unrecorded.push(*certificate);
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Converts revocations of certificates that were recorded later into usual ones, as a part of a transaction.
pub(super) fn resolve(connection: &Connection) -> rusqlite::Result<()> {
    const RECORDED: &str = "FROM unrecorded_revocations u JOIN certificates c \
        ON c.sha256 = u.sha256 OR (c.issuer_sha256 = u.issuer_sha256 AND c.serial = u.serial)";
    connection.execute(
        &format!(
            "INSERT OR IGNORE INTO revocations (sha256, reason, revoked_at, revoked_by) \
             SELECT c.sha256, u.reason, u.revoked_at, u.revoked_by {RECORDED}"
        ),
        [],
    )?;
    let rows: Vec<i64> = connection
        .prepare(&format!("SELECT DISTINCT u.seq {RECORDED} ORDER BY 1"))?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    chain::resolve(connection, &rows)?;
    let resolved = format!("DELETE FROM unrecorded_revocations WHERE seq IN (SELECT u.seq {RECORDED})");
    connection.execute(&resolved, []).map(|_| ())
}
