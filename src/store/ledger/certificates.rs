//! Records issued certificates, and queries them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use time::OffsetDateTime;

use super::columns::Column;
use super::enrolments::EnrolmentRecord;
use super::events::{KEY_ON_HOST, RANK, REASON};
use super::query::RowQuery;
use super::revocations::Revocation;
use super::{AuditContext, Ledger, cache, enrolments, events};
use crate::cluster::duration::stamp;
use crate::cluster::profile::{CANARY, CaRole};
use crate::pki::certificate::{Certificate, Serial};
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;
use crate::store::verification_cache::CacheEntry;

/// The profile of the client certificates by which a rotation is proven.
pub const CANARY_PROFILE: &str = "canary";

/// A certificate to be recorded.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The certificate.
    pub certificate: &'a Certificate,
    /// The name of its profile in the policy table.
    pub profile: &'a str,
    /// The host that it belongs to; `None` if it belongs to the cluster or a person.
    pub host: Option<&'a str>,
    /// The issuing CA's certificate.
    pub issuer: &'a Certificate,
}

/// The ledger's record of an issued certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// Its serial number.
    pub serial: Serial,
    /// The SHA-256 of its DER.
    pub fingerprint: Fingerprint,
    /// The name of its profile in the policy table.
    pub profile: String,
    /// The host that it belongs to; `None` if it belongs to the cluster or a person.
    pub host: Option<String>,
    /// Its common name.
    pub account: String,
    /// When it expires.
    pub not_after: OffsetDateTime,
    /// The SHA-256 of the issuing CA's DER.
    pub issuer: Fingerprint,
    /// The reason and the time of its revocation, if it was revoked.
    pub revocation: Option<Revocation>,
}

impl IssuedCertificate {
    /// Returns true for a root CA: it is its own issuer.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.issuer == self.fingerprint
    }

    /// Returns true for a certificate by which a rotation is proven.
    ///
    /// The account alone does not tell: a canary of the front proxy's CA has that of the front proxies. The profile alone does not
    /// either: a ledger that was made anew has none of it.
    #[must_use]
    pub fn is_canary(&self) -> bool {
        self.profile == CANARY_PROFILE || self.account == CANARY
    }

    /// Reads the columns of [`columns`].
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let revocation = match (row.get(7)?, row.get(8)?) {
            (Some(Column(reason)), Some(Column(at))) => Some(Revocation { reason, at }),
            _ => None,
        };
        Ok(Self {
            serial: row.get::<_, Column<_>>(0)?.0,
            fingerprint: row.get::<_, Column<_>>(1)?.0,
            profile: row.get(2)?,
            host: row.get(3)?,
            account: row.get(4)?,
            not_after: row.get::<_, Column<_>>(5)?.0,
            issuer: row.get::<_, Column<_>>(6)?.0,
            revocation,
        })
    }
}

/// The columns of certificates and their revocations, `r`.
pub(super) fn columns() -> String {
    format!("c.serial, c.sha256, c.profile, c.host, c.account, c.not_after, c.issuer_sha256, {REASON}, r.revoked_at")
}
pub(super) const WITH_REVOCATIONS: &str = "certificates c LEFT JOIN revocations r ON r.sha256 = c.sha256";

/// A query for certificates, which reads them one at a time.
pub type CertificateQuery<'l> = RowQuery<'l, IssuedCertificate>;

impl Ledger {
    /// Records certificates, all or none, durable on return.
    ///
    /// # Errors
    /// Returns an error if SQLite fails. In that case, nothing is recorded.
    pub fn record(&mut self, entries: &[Entry<'_>], audit: &AuditContext<'_>) -> Result<(), StoreError> {
        self.record_with_cache(entries, &[], audit)
    }

    /// Like [`Ledger::record`], for certificates whose keys only their hosts have. `requests` are the hosts' requests for
    /// these certificates, if there were any.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a request has a certificate already. In that case, nothing is recorded.
    pub fn record_signed(
        &mut self,
        entries: &[Entry<'_>],
        requests: &[EnrolmentRecord],
        audit: &AuditContext<'_>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            insert(transaction, entries, audit)?;
            entries.iter().try_for_each(|entry| {
                let fingerprint = entry.certificate.fingerprint().to_string();
                events::insert(transaction, KEY_ON_HOST, entry.host.unwrap_or_default(), &fingerprint, audit)
            })?;
            enrolments::insert(transaction, requests, audit)
        })
    }

    /// Like [`Ledger::record`], but also stores entries of the verification cache in the same transaction, because a
    /// sync of the disk takes as long as writing many rows.
    pub(in crate::store) fn record_with_cache(
        &mut self,
        entries: &[Entry<'_>],
        verified: &[CacheEntry],
        audit: &AuditContext<'_>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            insert(transaction, entries, audit)?;
            cache::insert(transaction, verified)
        })
    }

    /// Finds all certificates, in the order of issue, that a host, a person or the verifier ever had.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn by_host(&self, name: &str) -> Result<CertificateQuery<'_>, StoreError> {
        let condition = "WHERE c.host = ?1 OR (c.host IS NULL AND c.account = ?1 AND c.sha256 != c.issuer_sha256)";
        self.certificates(&format!("{condition} ORDER BY c.seq"), &[&name])
    }

    /// Finds the certificates with this serial number: at most one of each issuer.
    ///
    /// # Errors
    /// Returns the errors of [`CertificateQuery::all`].
    pub fn by_serial(&self, serial: &Serial) -> Result<Vec<IssuedCertificate>, StoreError> {
        self.certificates("WHERE c.serial = ?1 ORDER BY c.seq", &[&serial.to_string()])?.all()
    }

    /// Finds the certificate that an issuer gave this serial number.
    ///
    /// # Errors
    /// Returns the errors of [`CertificateQuery::all`].
    pub fn by_issuer_and_serial(
        &self,
        issuer: Fingerprint,
        serial: &Serial,
    ) -> Result<Option<IssuedCertificate>, StoreError> {
        let condition = "WHERE c.issuer_sha256 = ?1 AND c.serial = ?2";
        Ok(self.certificates(condition, &[&issuer.to_string(), &serial.to_string()])?.all()?.pop())
    }

    /// Finds the certificate whose DER has this SHA-256.
    ///
    /// # Errors
    /// Returns the errors of [`CertificateQuery::all`].
    pub fn by_fingerprint(&self, certificate: Fingerprint) -> Result<Option<IssuedCertificate>, StoreError> {
        Ok(self.certificates("WHERE c.sha256 = ?1", &[&certificate.to_string()])?.all()?.pop())
    }

    /// Finds the certificates of a public key, in the order of issue.
    ///
    /// # Errors
    /// Returns the errors of [`CertificateQuery::all`].
    pub fn by_public_key(&self, spki: Fingerprint) -> Result<Vec<IssuedCertificate>, StoreError> {
        self.certificates("WHERE c.spki_sha256 = ?1 ORDER BY c.seq", &[&spki.to_string()])?.all()
    }

    /// Finds all certificates that expire before a time, in the order of expiry.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn expiring_before(&self, time: OffsetDateTime) -> Result<CertificateQuery<'_>, StoreError> {
        self.certificates("WHERE c.not_after < ?1 ORDER BY c.not_after, c.seq", &[&stamp(time)])
    }

    /// Finds the certificates of a profile whose account begins with `prefix` and that are neither expired nor revoked.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn valid_by_account_prefix(
        &self,
        profile: &str,
        prefix: &str,
        now: OffsetDateTime,
    ) -> Result<CertificateQuery<'_>, StoreError> {
        // A range of accounts, up to Unicode's last character, because SQLite would not use an index for a function of
        // the account.
        let condition = "WHERE c.profile = ?1 AND c.account >= ?2 AND c.account < ?2 || char(0x10FFFF) \
             AND c.not_after > ?3 AND r.sha256 IS NULL ORDER BY c.seq";
        self.certificates(condition, &[&profile, &prefix, &stamp(now)])
    }

    /// Finds the revoked certificates that expire after a time, in the order of revocation.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn revoked_expiring_after(&self, time: OffsetDateTime) -> Result<CertificateQuery<'_>, StoreError> {
        let revoked = "revocations r JOIN certificates c ON c.sha256 = r.sha256";
        // `+` prevents SQLite from searching all certificates by expiry.
        self.query(&format!("{revoked} WHERE +c.not_after > ?1 ORDER BY r.seq"), &[&stamp(time)])
    }

    fn certificates(&self, condition: &str, values: &[&dyn ToSql]) -> Result<CertificateQuery<'_>, StoreError> {
        self.query(&format!("{WITH_REVOCATIONS} {condition}"), values)
    }

    fn query(&self, from: &str, values: &[&dyn ToSql]) -> Result<CertificateQuery<'_>, StoreError> {
        RowQuery::new(self, &format!("SELECT {} FROM {from}", columns()), values, IssuedCertificate::of)
    }

    /// Returns true if this certificate was recorded as the root CA of that role.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn has_ca(&self, certificate: Fingerprint, role: CaRole) -> Result<bool, StoreError> {
        let query = "SELECT 1 FROM certificates WHERE sha256 = ?1 AND issuer_sha256 = ?1 AND profile = ?2";
        let values = params![certificate.to_string(), role.as_str()];
        self.read(|connection| connection.query_row(query, values, |_| Ok(())).optional()).map(|found| found.is_some())
    }

    /// Returns when the last of the certificates expires that a CA signed and that are neither expired nor revoked; `None` if
    /// there is none.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn last_valid_of_issuer(
        &self,
        issuer: Fingerprint,
        now: OffsetDateTime,
    ) -> Result<Option<OffsetDateTime>, StoreError> {
        let last = self.read(|connection| {
            let query = format!(
                "SELECT max(c.not_after) FROM {WITH_REVOCATIONS} WHERE c.issuer_sha256 = ?1 AND c.sha256 != ?1 \
                 AND c.not_after > ?2 AND r.sha256 IS NULL"
            );
            let values = params![issuer.to_string(), stamp(now)];
            connection.query_row(&query, values, |row| row.get::<_, Option<Column<OffsetDateTime>>>(0))
        })?;
        Ok(last.map(|column| column.0))
    }

    /// Finds the certificates that a CA signed and that are neither expired nor revoked, in the order of issue.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn valid_of_issuer(
        &self,
        issuer: Fingerprint,
        now: OffsetDateTime,
    ) -> Result<CertificateQuery<'_>, StoreError> {
        let condition = "WHERE c.issuer_sha256 = ?1 AND c.sha256 != ?1 AND c.not_after > ?2 AND r.sha256 IS NULL \
             ORDER BY c.seq";
        self.certificates(condition, &[&issuer.to_string(), &stamp(now)])
    }

    /// Returns the newest certificate of this profile for each host.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn newest(&self, profile: &str) -> Result<HashMap<String, Fingerprint>, StoreError> {
        self.read(|connection| {
            // A bare column beside max() has the value of the same row (SQLite, "Bare columns in an aggregate query").
            let mut select = connection.prepare(&format!(
                "SELECT c.host, c.sha256, max({RANK}) FROM certificates c \
                 WHERE c.profile = ?1 AND c.host IS NOT NULL GROUP BY c.host",
            ))?;
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, Column<_>>(1)?.0));
            select.query_map([profile], row)?.collect()
        })
    }

    /// Returns the accounts, each once, that certificates of a profile ever had.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn accounts_of(&self, profile: &str) -> Result<Vec<String>, StoreError> {
        self.texts("SELECT DISTINCT account FROM certificates WHERE profile = ?1 ORDER BY 1", &[&profile])
    }

    /// Returns the hosts, each once, that ever had a certificate of a profile.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn hosts_of(&self, profile: &str) -> Result<Vec<String>, StoreError> {
        let query = "SELECT DISTINCT host FROM certificates WHERE profile = ?1 AND host IS NOT NULL ORDER BY 1";
        self.texts(query, &[&profile])
    }

    /// Returns the hosts that ever had a certificate with this common name; `None` means a CA, a person or the
    /// verifier.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn hosts_with_account(&self, account: &str) -> Result<Vec<Option<String>>, StoreError> {
        self.read(|connection| {
            let query = "SELECT DISTINCT host FROM certificates WHERE account = ?1 \
                AND profile IN (SELECT profile FROM certificates) ORDER BY 1";
            connection.prepare(query)?.query_map([account], |row| row.get(0))?.collect()
        })
    }

    /// Returns the names of all hosts, persons and accounts that ever had a certificate.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn holders(&self) -> Result<Vec<String>, StoreError> {
        let query =
            "SELECT DISTINCT coalesce(host, account) FROM certificates WHERE sha256 != issuer_sha256 ORDER BY 1";
        self.texts(query, &[])
    }

    fn texts(&self, query: &str, values: &[&dyn ToSql]) -> Result<Vec<String>, StoreError> {
        self.read(|connection| connection.prepare(query)?.query_map(values, |row| row.get(0))?.collect())
    }
}

pub(super) fn insert(connection: &Connection, entries: &[Entry<'_>], audit: &AuditContext<'_>) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO certificates (serial, sha256, spki_sha256, profile, host, account, not_before, not_after, \
         issuer_sha256, issued_at, issued_by, der) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    for Entry { certificate, profile, host, issuer } in entries {
        insert.execute(params![
            certificate.serial.to_string(),
            certificate.fingerprint().to_string(),
            certificate.spki_fingerprint().to_string(),
            profile,
            host,
            certificate.account().user,
            stamp(certificate.not_before),
            stamp(certificate.not_after),
            issuer.fingerprint().to_string(),
            stamp(audit.at),
            audit.by,
            certificate.der(),
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
