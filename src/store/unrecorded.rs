//! Revocations of certificates that the ledger does not have: one from a backup may have forgotten them, and what names them
//! is a digest, or a serial number and its issuer.

use std::collections::HashSet;

use rusqlite::{Connection, Row, params};
use time::OffsetDateTime;

use super::error::StoreError;
use super::ledger::{AuditContext, Ledger, failed};
use super::revocations::{Issued, Revocation};
use super::sequence;
use crate::cluster::duration::stamp;
use crate::pki::certificate::Serial;
use crate::pki::fingerprint::Fingerprint;

/// The ledger's format that brought them.
const SINCE: i64 = 6;

/// A revoked certificate that the ledger does not have, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrecorded {
    /// SHA-256 of its DER: what API servers are told.
    pub fingerprint: Option<Fingerprint>,
    /// The SHA-256 of its issuer's DER, and its serial number: what a CRL needs.
    pub serial: Option<(Fingerprint, Serial)>,
    /// Why and when it was revoked.
    pub revocation: Revocation,
}

impl Ledger {
    /// Returns all revocations of certificates that the ledger does not have, in the order in which they were recorded.
    ///
    /// # Errors
    /// When SQLite cannot, or a row is not what we write.
    pub fn unrecorded(&self) -> Result<Vec<Unrecorded>, StoreError> {
        if self.format()? < SINCE {
            return Ok(Vec::new());
        }
        type Columns = (Option<String>, Option<String>, Option<String>, String, String);
        let query = || {
            let mut select = self.connection.prepare(
                "SELECT sha256, issuer_sha256, serial, reason, revoked_at FROM unrecorded_revocations ORDER BY seq",
            )?;
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
            select.query_map([], row)?.collect::<rusqlite::Result<Vec<Columns>>>()
        };
        let rows = query().map_err(|error| failed(&self.path, &error))?;
        let read = |(sha256, issuer, serial, reason, at): Columns| {
            let serial = match (issuer, serial) {
                (Some(issuer), Some(serial)) => {
                    let number = Serial::parse(&serial).ok_or_else(|| self.damaged("serial", &serial))?;
                    Some((self.fingerprint(&issuer)?, number))
                }
                _ => None,
            };
            Ok(Unrecorded {
                fingerprint: sha256.as_deref().map(|sha256| self.fingerprint(sha256)).transpose()?,
                serial,
                revocation: self.revocation(&reason, &at)?,
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Records revocations of certificates that the ledger does not have, all or none; what is recorded already stays as it is.
    ///
    /// # Errors
    /// When SQLite cannot; nothing is recorded then.
    pub fn revoke_unrecorded(&mut self, revoked: &[Unrecorded], mark: &AuditContext<'_>) -> Result<(), StoreError> {
        if revoked.is_empty() {
            return Ok(());
        }
        let record = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            let mut new = 0;
            for Unrecorded { fingerprint, serial, revocation } in revoked {
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
                        mark.by
                    ],
                )?;
            }
            sequence::advance(&transaction, new)?;
            transaction.commit()
        };
        record(&mut self.connection).map_err(|error| failed(&self.path, &error))
    }

    /// Makes usual revocations of those whose certificates have been recorded since.
    ///
    /// # Errors
    /// When SQLite cannot; nothing is changed then.
    pub fn adopt_unrecorded(&mut self) -> Result<(), StoreError> {
        const NOW_RECORDED: &str = "FROM unrecorded_revocations u JOIN certificates c \
            ON c.sha256 = u.sha256 OR (c.issuer_sha256 = u.issuer_sha256 AND c.serial = u.serial)";
        let adopt = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction.execute(
                &format!(
                    "INSERT OR IGNORE INTO revocations (sha256, reason, revoked_at, revoked_by) \
                     SELECT c.sha256, u.reason, u.revoked_at, u.revoked_by {NOW_RECORDED}"
                ),
                [],
            )?;
            transaction.execute(
                &format!("DELETE FROM unrecorded_revocations WHERE seq IN (SELECT u.seq {NOW_RECORDED})"),
                [],
            )?;
            transaction.commit()
        };
        adopt(&mut self.connection).map_err(|error| failed(&self.path, &error))
    }

    /// Returns which of these certificates, of which somebody says that they were revoked, the ledger does not have as revoked.
    /// What ended before `ended` is no loss.
    ///
    /// # Errors
    /// When SQLite cannot, or a row is not what we write.
    pub fn not_revoked_of<'c>(
        &self,
        certificates: impl IntoIterator<Item = &'c Fingerprint>,
        ended: OffsetDateTime,
    ) -> Result<NotRevoked, StoreError> {
        let mut found = NotRevoked::default();
        let mut unrecorded: Option<HashSet<Fingerprint>> = None;
        for certificate in certificates {
            match self.issued_as(*certificate)? {
                Some(issued) if issued.revocation.is_some() || issued.not_after <= ended => {}
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

/// Certificates that the ledger does not have as revoked.
#[derive(Debug, Default)]
pub struct NotRevoked {
    /// Those that the ledger issued.
    pub recorded: Vec<Issued>,
    /// Those that it does not have.
    pub unrecorded: Vec<Fingerprint>,
}
