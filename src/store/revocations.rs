//! Revocations in the ledger: what was revoked, when and why, and the lists that say so.

use std::collections::HashMap;

use rusqlite::{Row, params};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::StoreError;
use super::ledger::{AuditContext, Ledger, failed};
use super::sequence;
use crate::cluster::duration::stamp;
use crate::pki::certificate::Serial;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::reason::Reason;

/// The ledger's format that brought the revocations.
const SINCE: i64 = 2;

/// Why and when a certificate was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: OffsetDateTime,
}

/// A certificate that was issued, as far as revoking it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Its serial number.
    pub serial: Serial,
    /// SHA-256 of its DER.
    pub fingerprint: Fingerprint,
    /// Its profile, as the policy table names it.
    pub profile: String,
    /// Whose it is; `None` where the cluster or a person has one.
    pub host: Option<String>,
    /// Its common name.
    pub account: String,
    /// When it ends.
    pub not_after: OffsetDateTime,
    /// SHA-256 of the root that signed it.
    pub issuer: Fingerprint,
    /// Why and when it was revoked, if it was.
    pub revocation: Option<Revocation>,
}

impl Issued {
    /// True for a root: it signed itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.issuer == self.fingerprint
    }
}

const COLUMNS: &str =
    "c.serial, c.sha256, c.profile, c.host, c.account, c.not_after, c.issuer_sha256, r.reason, r.revoked_at";
const WITH_REVOCATIONS: &str = "FROM certificates c LEFT JOIN revocations r ON r.sha256 = c.sha256";

impl Ledger {
    /// Every certificate that a host, a person or the verifier ever had, in the order of issue.
    ///
    /// # Errors
    /// When SQLite cannot, or a row is not what we write.
    pub fn issued_to(&self, name: &str) -> Result<Vec<Issued>, StoreError> {
        let wanted = "WHERE c.host = ?1 OR (c.host IS NULL AND c.account = ?1 AND c.sha256 != c.issuer_sha256)";
        self.issued(&format!("SELECT {COLUMNS} {WITH_REVOCATIONS} {wanted} ORDER BY c.seq"), &[&name])
    }

    /// The certificates with this serial number: one at most of each root.
    ///
    /// # Errors
    /// When SQLite cannot, or a row is not what we write.
    pub fn issued_with(&self, serial: &Serial) -> Result<Vec<Issued>, StoreError> {
        let query = format!("SELECT {COLUMNS} {WITH_REVOCATIONS} WHERE c.serial = ?1 ORDER BY c.seq");
        self.issued(&query, &[&serial.to_string()])
    }

    /// Why and when a certificate was revoked, if it was.
    ///
    /// # Errors
    /// When SQLite cannot, or the row is not what we write.
    pub fn revocation_of(&self, certificate: Fingerprint) -> Result<Option<Revocation>, StoreError> {
        Ok(self.issued_as(certificate)?.and_then(|issued| issued.revocation))
    }

    /// The certificate with this SHA-256 of its DER.
    ///
    /// # Errors
    /// When SQLite cannot, or a row is not what we write.
    pub fn issued_as(&self, certificate: Fingerprint) -> Result<Option<Issued>, StoreError> {
        let query = format!("SELECT {COLUMNS} {WITH_REVOCATIONS} WHERE c.sha256 = ?1");
        Ok(self.issued(&query, &[&certificate.to_string()])?.pop())
    }

    /// The certificate that a root gave this serial number.
    ///
    /// # Errors
    /// When SQLite cannot, or a row is not what we write.
    pub fn issued_by(&self, root: Fingerprint, serial: &Serial) -> Result<Option<Issued>, StoreError> {
        let query = format!("SELECT {COLUMNS} {WITH_REVOCATIONS} WHERE c.issuer_sha256 = ?1 AND c.serial = ?2");
        Ok(self.issued(&query, &[&root.to_string(), &serial.to_string()])?.pop())
    }

    /// What was revoked and ends after `after`, in the order of revocation.
    ///
    /// # Errors
    /// When SQLite cannot, or a row is not what we write.
    pub fn revoked_until(&self, after: OffsetDateTime) -> Result<Vec<Issued>, StoreError> {
        if self.format()? < SINCE {
            return Ok(Vec::new());
        }
        let query = format!(
            "SELECT {COLUMNS} FROM revocations r JOIN certificates c ON c.sha256 = r.sha256 \
             WHERE c.not_after > ?1 ORDER BY r.seq"
        );
        self.issued(&query, &[&stamp(after)])
    }

    /// How many revocations there ever were: it only grows.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn count_of_revocations(&self) -> Result<u64, StoreError> {
        if self.format()? < SINCE {
            return Ok(0);
        }
        let count = self.connection.query_row("SELECT count(*) FROM revocations", [], |row| row.get::<_, i64>(0));
        count.map(|count| u64::try_from(count).unwrap_or(0)).map_err(|error| failed(&self.path, &error))
    }

    /// The certificates of a profile whose accounts begin with `prefix` and that are good: neither ended at `now` nor revoked.
    ///
    /// # Errors
    /// When SQLite cannot, or a row is not what we write.
    pub fn good_of_accounts(
        &self,
        profile: &str,
        prefix: &str,
        now: OffsetDateTime,
    ) -> Result<Vec<Issued>, StoreError> {
        if self.format()? < SINCE {
            return Ok(Vec::new());
        }
        let query = format!(
            "SELECT {COLUMNS} {WITH_REVOCATIONS} WHERE c.profile = ?1 AND substr(c.account, 1, length(?2)) = ?2 \
             AND c.not_after > ?3 AND r.sha256 IS NULL ORDER BY c.seq"
        );
        self.issued(&query, &[&profile, &prefix, &stamp(now)])
    }

    /// The accounts, each once, that certificates of a profile ever had.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn accounts_of(&self, profile: &str) -> Result<Vec<String>, StoreError> {
        self.texts("SELECT DISTINCT account FROM certificates WHERE profile = ?1 ORDER BY 1", profile)
    }

    /// The hosts, each once, that ever had a certificate of a profile.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn hosts_of(&self, profile: &str) -> Result<Vec<String>, StoreError> {
        let query = "SELECT DISTINCT host FROM certificates WHERE profile = ?1 AND host IS NOT NULL ORDER BY 1";
        self.texts(query, profile)
    }

    fn texts(&self, query: &str, value: &str) -> Result<Vec<String>, StoreError> {
        let read = || {
            let mut select = self.connection.prepare(query)?;
            select.query_map([value], |row| row.get(0))?.collect::<Result<_, _>>()
        };
        read().map_err(|error| failed(&self.path, &error))
    }

    /// The names of all that ever held a certificate.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn holders(&self) -> Result<Vec<String>, StoreError> {
        let query = || {
            let mut select = self.connection.prepare(
                "SELECT DISTINCT coalesce(host, account) FROM certificates WHERE sha256 != issuer_sha256 ORDER BY 1",
            )?;
            select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()
        };
        query().map_err(|error| failed(&self.path, &error))
    }

    /// The hosts that ever held a certificate with this common name; `None` among them stands for a root, a person or the
    /// verifier.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn hosts_with(&self, account: &str) -> Result<Vec<Option<String>>, StoreError> {
        let query = || {
            let query = "SELECT DISTINCT host FROM certificates WHERE account = ?1 ORDER BY 1";
            let mut select = self.connection.prepare(query)?;
            select.query_map([account], |row| row.get(0))?.collect::<Result<_, _>>()
        };
        query().map_err(|error| failed(&self.path, &error))
    }

    /// Records revocations, each with its own reason and time, all or none, durable on return. What is revoked already stays as
    /// it is.
    ///
    /// # Errors
    /// When SQLite cannot; nothing is recorded then.
    pub fn revoke(&mut self, revoked: &[(Fingerprint, Revocation)], mark: &AuditContext<'_>) -> Result<(), StoreError> {
        let record = |connection: &mut rusqlite::Connection| {
            let transaction = connection.transaction()?;
            let mut new = 0;
            for (certificate, revocation) in revoked {
                new += transaction.execute(
                    "INSERT OR IGNORE INTO revocations (sha256, reason, revoked_at, revoked_by) VALUES (?1, ?2, ?3, ?4)",
                    params![certificate.to_string(), revocation.reason.as_str(), stamp(revocation.at), mark.by],
                )?;
            }
            sequence::advance(&transaction, new)?;
            transaction.commit()
        };
        record(&mut self.connection).map_err(|error| failed(&self.path, &error))
    }

    /// Takes the number of the next list of a root (RFC 5280 § 5.2.3): greater than all before, and of `at_least`.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn next_list(
        &mut self,
        root: Fingerprint,
        at_least: u64,
        this_update: OffsetDateTime,
        next_update: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let take = |connection: &mut rusqlite::Connection| {
            let transaction = connection.transaction()?;
            let last: i64 = transaction.query_row(
                "SELECT coalesce(max(number), 0) FROM revocation_lists WHERE issuer_sha256 = ?1",
                [root.to_string()],
                |row| row.get(0),
            )?;
            let number = last.saturating_add(1).max(i64::try_from(at_least).unwrap_or(i64::MAX));
            transaction.execute(
                "INSERT INTO revocation_lists (issuer_sha256, number, this_update, next_update) VALUES (?1, ?2, ?3, ?4)",
                params![root.to_string(), number, stamp(this_update), stamp(next_update)],
            )?;
            transaction.commit().map(|()| number)
        };
        let number = take(&mut self.connection).map_err(|error| failed(&self.path, &error))?;
        Ok(u64::try_from(number).unwrap_or(1))
    }

    /// Every revocation, by the SHA-256 of the certificate's DER.
    pub(super) fn revocations(&self) -> Result<HashMap<Fingerprint, Revocation>, StoreError> {
        if self.format()? < SINCE {
            return Ok(HashMap::new());
        }
        let query = || {
            let mut select = self.connection.prepare("SELECT sha256, reason, revoked_at FROM revocations")?;
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect::<Result<Vec<(String, String, String)>, _>>()
        };
        let rows = query().map_err(|error| failed(&self.path, &error))?;
        rows.into_iter()
            .map(|(sha256, reason, at)| Ok((self.fingerprint(&sha256)?, self.revocation(&reason, &at)?)))
            .collect()
    }

    fn issued(&self, query: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Issued>, StoreError> {
        let read = || {
            let mut select = self.connection.prepare(query)?;
            select.query_map(values, Raw::of)?.collect::<Result<Vec<_>, _>>()
        };
        let rows = read().map_err(|error| failed(&self.path, &error))?;
        rows.into_iter().map(|raw| self.parse(raw)).collect()
    }

    fn parse(&self, raw: Raw) -> Result<Issued, StoreError> {
        let revocation = match (raw.reason, raw.revoked_at) {
            (Some(reason), Some(at)) => Some(self.revocation(&reason, &at)?),
            _ => None,
        };
        Ok(Issued {
            serial: Serial::parse(&raw.serial).ok_or_else(|| self.damaged("serial", &raw.serial))?,
            fingerprint: self.fingerprint(&raw.sha256)?,
            profile: raw.profile,
            host: raw.host,
            account: raw.account,
            not_after: self.time(&raw.not_after)?,
            issuer: self.fingerprint(&raw.issuer)?,
            revocation,
        })
    }

    pub(super) fn revocation(&self, reason: &str, at: &str) -> Result<Revocation, StoreError> {
        let known = Reason::parse(reason).ok_or_else(|| self.damaged("reason", reason))?;
        Ok(Revocation { reason: known, at: self.time(at)? })
    }

    pub(super) fn fingerprint(&self, text: &str) -> Result<Fingerprint, StoreError> {
        Fingerprint::parse(text).ok_or_else(|| self.damaged("sha256", text))
    }

    fn time(&self, text: &str) -> Result<OffsetDateTime, StoreError> {
        OffsetDateTime::parse(text, &Rfc3339).map_err(|_| self.damaged("time", text))
    }

    pub(super) fn damaged(&self, what: &str, text: &str) -> StoreError {
        StoreError::LedgerDamaged { path: self.path.clone(), reason: format!("{what} {text:?}") }
    }
}

/// A row as it stands there.
struct Raw {
    serial: String,
    sha256: String,
    profile: String,
    host: Option<String>,
    account: String,
    not_after: String,
    issuer: String,
    reason: Option<String>,
    revoked_at: Option<String>,
}

impl Raw {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            serial: row.get(0)?,
            sha256: row.get(1)?,
            profile: row.get(2)?,
            host: row.get(3)?,
            account: row.get(4)?,
            not_after: row.get(5)?,
            issuer: row.get(6)?,
            reason: row.get(7)?,
            revoked_at: row.get(8)?,
        })
    }
}
