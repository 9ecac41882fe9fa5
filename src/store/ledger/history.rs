//! The history of a cluster directory: certificates, revocations and other actions, in the order of time.

use rusqlite::{Row, Statement, params};
use serde_json::Value;
use time::OffsetDateTime;

use super::Ledger;
use super::columns::Column;
use super::events::{ADOPTED, KEY_DISCARDED};
use crate::cluster::duration::stamp;
use crate::pki::certificate::Serial;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::reason::Reason;
use crate::store::error::StoreError;

/// An entry of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The time.
    pub at: OffsetDateTime,
    /// The actor: `user@machine`.
    pub by: String,
    /// The change.
    pub change: Change,
}

/// The change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A certificate was issued, or a file's that the ledger lacked was recorded.
    Issued(CertificateId),
    /// A certificate that was issued elsewhere was recorded.
    Adopted(CertificateId),
    /// A certificate was revoked.
    Revoked {
        /// The certificate.
        certificate: CertificateId,
        /// The reason.
        reason: Reason,
    },
    /// A certificate that the ledger does not have was revoked.
    RevokedUnrecorded {
        /// The SHA-256 of its DER, if it is known.
        fingerprint: Option<Fingerprint>,
        /// Its serial number, if it is known.
        serial: Option<Serial>,
        /// The reason.
        reason: Reason,
    },
    /// A private key was deleted on purpose: only its host has it.
    KeyDiscarded {
        /// The host.
        host: String,
        /// The SHA-256 of the certificate's DER.
        certificate: String,
    },
    /// Something else was done.
    Done {
        /// The kind of action: `init-ca`, `bundle`, `policy`, `BREAK-GLASS`, …
        kind: String,
        /// The subject of the action: a host, an account, or the cluster.
        subject: String,
        /// The rest, as text.
        detail: String,
    },
}

/// The identifiers of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateId {
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
}

/// The selection of history entries to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Those of these hosts, accounts, serial numbers and SHA-256s alone; all where there are none.
    pub about: Vec<String>,
    /// If given, only entries from this time on.
    pub since: Option<OffsetDateTime>,
}

const ISSUED: i64 = 0;
const REVOKED: i64 = 1;
const REVOKED_UNRECORDED: i64 = 2;

/// The union of all tables that record changes. Entries of the same second are in the order of the tables, then of
/// their rows.
const HISTORY: &str = "
WITH history (at, source, seq, by, host, account, profile, serial, sha256, kind, detail) AS (
    SELECT issued_at, 0, seq, issued_by, host, account, profile, serial, sha256,
        CASE WHEN sha256 IN (SELECT detail FROM events WHERE kind = 'adopt') THEN 'adopt' END, NULL FROM certificates
    UNION ALL
    SELECT r.revoked_at, 1, r.seq, r.revoked_by, c.host, c.account, c.profile, c.serial, c.sha256, NULL, r.reason
        FROM revocations r JOIN certificates c ON c.sha256 = r.sha256
    UNION ALL
    SELECT revoked_at, 2, seq, revoked_by, NULL, NULL, NULL, serial, sha256, NULL, reason FROM unrecorded_revocations
    UNION ALL
    SELECT at, 3, seq, by, subject, NULL, NULL, NULL, CASE kind WHEN ?5 THEN detail END, kind, detail FROM events
        WHERE kind != 'adopt'
)
SELECT at, source, by, host, account, profile, serial, sha256, kind, detail FROM history
WHERE (?1 IS NULL OR at >= ?1) AND (?2 IS NULL
    OR host IN (SELECT value FROM json_each(?2)) OR account IN (SELECT value FROM json_each(?2))
    OR serial IN (SELECT value FROM json_each(?3)) OR sha256 IN (SELECT value FROM json_each(?4)))
ORDER BY at, source, seq";

/// A query for the history, which reads its entries one at a time.
#[derive(Debug)]
pub struct HistoryQuery<'l> {
    ledger: &'l Ledger,
    statement: Statement<'l>,
    filter: HistoryFilter,
}

impl HistoryQuery<'_> {
    /// Passes the entries to `each`, from the oldest on.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn for_each(&mut self, mut each: impl FnMut(HistoryEntry)) -> Result<(), StoreError> {
        let about = &self.filter.about;
        let list = |texts: Vec<String>| Value::from(texts).to_string();
        let values = params![
            self.filter.since.map(stamp),
            (!about.is_empty()).then(|| list(about.clone())),
            list(about.iter().filter_map(|text| Serial::parse(text)).map(|serial| serial.to_string()).collect()),
            list(about.iter().filter_map(|text| fingerprint(text)).map(|digest| digest.to_string()).collect()),
            KEY_DISCARDED,
        ];
        let ledger = self.ledger;
        let mut rows = self.statement.query(values).map_err(|error| ledger.error(&error))?;
        while let Some(row) = rows.next().map_err(|error| ledger.error(&error))? {
            each(HistoryEntry::of(row).map_err(|error| ledger.error(&error))?);
        }
        Ok(())
    }
}

/// Parses a SHA-256 in hexadecimal or as a credential-id.
pub(super) fn fingerprint(text: &str) -> Option<Fingerprint> {
    Fingerprint::from_credential_id(text).or_else(|| Fingerprint::parse(text))
}

impl HistoryEntry {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let Column(at) = row.get(0)?;
        let change = match row.get(1)? {
            ISSUED => match row.get::<_, Option<String>>(8)?.as_deref() {
                Some(ADOPTED) => Change::Adopted(CertificateId::of(row)?),
                _ => Change::Issued(CertificateId::of(row)?),
            },
            REVOKED => Change::Revoked { certificate: CertificateId::of(row)?, reason: row.get::<_, Column<_>>(9)?.0 },
            REVOKED_UNRECORDED => Change::RevokedUnrecorded {
                fingerprint: row.get::<_, Option<Column<_>>>(7)?.map(|column| column.0),
                serial: row.get::<_, Option<Column<_>>>(6)?.map(|column| column.0),
                reason: row.get::<_, Column<_>>(9)?.0,
            },
            _ => {
                let (subject, kind, detail): (String, String, String) = (row.get(3)?, row.get(8)?, row.get(9)?);
                match kind.as_str() {
                    KEY_DISCARDED => Change::KeyDiscarded { host: subject, certificate: detail },
                    _ => Change::Done { kind, subject, detail },
                }
            }
        };
        Ok(Self { at, by: row.get(2)?, change })
    }
}

impl CertificateId {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            serial: row.get::<_, Column<_>>(6)?.0,
            fingerprint: row.get::<_, Column<_>>(7)?.0,
            profile: row.get(5)?,
            host: row.get(3)?,
            account: row.get(4)?,
        })
    }
}

impl Ledger {
    /// Finds the entries of the history that match a filter.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn history(&self, filter: HistoryFilter) -> Result<HistoryQuery<'_>, StoreError> {
        let statement = self.read(|connection| connection.prepare(HISTORY))?;
        Ok(HistoryQuery { ledger: self, statement, filter })
    }
}
