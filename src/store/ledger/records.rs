//! Everything that the ledger records about single certificates.

use rusqlite::{OptionalExtension, Row, params};
use time::OffsetDateTime;

use super::Ledger;
use super::certificates::IssuedCertificate;
use super::columns::Column;
use super::events::RANK;
use super::history::fingerprint;
use crate::pki::certificate::Serial;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;

/// A certificate with its DER, and the actors who issued and revoked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRecord {
    /// The certificate.
    pub issued: IssuedCertificate,
    /// Its DER.
    pub der: Vec<u8>,
    /// When it was issued, or recorded.
    pub issued_at: OffsetDateTime,
    /// Who issued or recorded it: `user@machine`.
    pub issued_by: String,
    /// Whether it was issued elsewhere, and recorded by [`Ledger::adopt`].
    pub adopted: bool,
    /// Who revoked it, if it was.
    pub revoked_by: Option<String>,
}

impl Ledger {
    /// Returns everything that the ledger records about the certificate whose DER has this SHA-256.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn certificate_record(&self, certificate: Fingerprint) -> Result<Option<CertificateRecord>, StoreError> {
        let Some(issued) = self.by_fingerprint(certificate)? else { return Ok(None) };
        let query = "SELECT c.der, c.issued_at, c.issued_by, r.revoked_by FROM certificates c \
            LEFT JOIN revocations r ON r.sha256 = c.sha256 WHERE c.sha256 = ?1";
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, Column<_>>(1)?.0, row.get(2)?, row.get(3)?));
        let found = self.read(|connection| connection.query_row(query, [certificate.to_string()], row).optional())?;
        let adopted = self.is_adopted(certificate)?;
        Ok(found.map(|(der, issued_at, issued_by, revoked_by)| CertificateRecord {
            issued,
            der,
            issued_at,
            issued_by,
            adopted,
            revoked_by,
        }))
    }

    /// Finds the certificates with this serial number or SHA-256 (also as an API server's `X509SHA256=…`), in the order
    /// of issue.
    ///
    /// # Errors
    /// Returns the errors of [`Ledger::certificate_record`].
    pub fn by_number(&self, text: &str) -> Result<Vec<Fingerprint>, StoreError> {
        let serial = Serial::parse(text).map(|serial| serial.to_string());
        let digest = fingerprint(text).map(|digest| digest.to_string());
        self.read(|connection| {
            let mut select =
                connection.prepare("SELECT sha256 FROM certificates WHERE serial = ?1 OR sha256 = ?2 ORDER BY seq")?;
            select.query_map(params![serial, digest], |row| Ok(row.get::<_, Column<_>>(0)?.0))?.collect()
        })
    }

    /// Finds the newest certificate of each profile of a host or an account, in the order of issue.
    ///
    /// # Errors
    /// Returns the errors of [`Ledger::certificate_record`].
    pub fn newest_of(&self, name: &str) -> Result<Vec<Fingerprint>, StoreError> {
        self.read(|connection| {
            // With the list of profiles, SQLite uses the index of accounts.
            let mut select = connection.prepare(&format!(
                "SELECT c.sha256, max({RANK}) FROM certificates c \
                 WHERE c.host = ?1 OR (c.profile IN (SELECT profile FROM certificates) AND c.account = ?1) \
                 GROUP BY c.profile ORDER BY 2",
            ))?;
            select.query_map([name], |row| Ok(row.get::<_, Column<_>>(0)?.0))?.collect()
        })
    }
}
