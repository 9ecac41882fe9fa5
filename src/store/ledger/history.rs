//! The history of a cluster directory: certificates, revocations and other actions, in the order in which they were
//! recorded.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Statement, params};
use serde_json::Value;
use time::OffsetDateTime;

use super::columns::Column;
use super::events::{ADOPTED, KEY_DISCARDED, REASON_CHANGED};
use super::{Ledger, chain};
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
    /// A certificate was issued, or one that was in a file but not in the ledger was recorded.
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
    /// The revocation of a certificate got another reason.
    ReasonChanged {
        /// The certificate.
        certificate: CertificateId,
        /// The new reason.
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
    /// Another action.
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
    /// Only entries about these hosts, accounts, serial numbers and SHA-256s; all entries if it is empty.
    pub about: Vec<String>,
    /// If given, only entries from this time on.
    pub since: Option<OffsetDateTime>,
}

/// The tables that record changes, with the names that the hash chain has for them, as queries with equal columns. Entries
/// of one transaction are in this order, then in that of their rows.
const TABLES: [(&str, &str); 4] = [
    (
        "certificates",
        "SELECT seq, issued_at AS at, issued_by AS by, host, account, profile, serial, sha256,
            CASE WHEN sha256 IN (SELECT detail FROM events WHERE kind = 'adopt') THEN 'adopt' END AS kind, NULL AS detail
            FROM certificates",
    ),
    (
        "revocations",
        "SELECT r.seq, r.revoked_at AS at, r.revoked_by AS by, c.host, c.account, c.profile, c.serial, c.sha256, NULL AS kind,
            r.reason AS detail FROM revocations r JOIN certificates c ON c.sha256 = r.sha256",
    ),
    (
        "unrecorded_revocations",
        "SELECT seq, revoked_at AS at, revoked_by AS by, NULL AS host, NULL AS account, NULL AS profile, serial, sha256,
            NULL AS kind, reason AS detail FROM unrecorded_revocations",
    ),
    (
        "events",
        "SELECT e.seq, e.at, e.by, CASE WHEN c.sha256 IS NULL THEN e.subject ELSE c.host END AS host, c.account, c.profile,
            c.serial, CASE WHEN e.kind = 'forget-key' THEN e.detail ELSE c.sha256 END AS sha256, e.kind, e.detail FROM events e
            LEFT JOIN certificates c ON e.kind = 'change-reason' AND c.sha256 = e.subject WHERE e.kind != 'adopt'",
    ),
];

const CERTIFICATES: usize = 0;
const REVOCATIONS: usize = 1;
const UNRECORDED: usize = 2;

fn query_of(table: &str) -> String {
    format!(
        "SELECT seq, at, by, host, account, profile, serial, sha256, kind, detail FROM ({table})
         WHERE (?1 IS NULL OR at >= ?1) AND (?2 IS NULL
            OR host IN (SELECT value FROM json_each(?2)) OR account IN (SELECT value FROM json_each(?2))
            OR serial IN (SELECT value FROM json_each(?3)) OR sha256 IN (SELECT value FROM json_each(?4)))
         ORDER BY seq"
    )
}

/// The order in which rows of all tables were recorded, by the links of the hash chain: each names the rows of one
/// transaction. The times of the rows are not sufficient, because the clock may have been wrong.
#[derive(Debug)]
struct RecordingOrder {
    /// Of each table, the first row of each link, and the link.
    links: [Vec<(i64, i64)>; TABLES.len()],
    /// The last link of the first transaction. Where an earlier format was migrated, it has all rows of that ledger.
    first_transaction: i64,
}

/// The place of an entry: its transaction; its time, within the first one; its table; its row.
type Place = (i64, Option<OffsetDateTime>, usize, i64);

impl RecordingOrder {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut order = Self { links: Default::default(), first_transaction: 0 };
        let mut select = connection.prepare("SELECT seq, source, substr(entries, 1, 8) FROM chain ORDER BY seq")?;
        let mut rows = select.query([])?;
        let (mut in_first, mut last_source) = (true, None);
        while let Some(row) = rows.next()? {
            let (link, source, first): (i64, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            // A transaction adds one link of each table, in one order.
            let source_number = chain::source_number(&source);
            in_first &= source_number.is_some() && last_source < source_number;
            last_source = source_number;
            if in_first {
                order.first_transaction = link;
            }
            let table = TABLES.iter().position(|(name, _)| *name == source);
            if let (Some(table), Ok(first)) = (table, <[u8; 8]>::try_from(first)) {
                order.links[table].push((i64::from_be_bytes(first), link));
            }
        }
        Ok(order)
    }

    fn place(&self, table: usize, seq: i64, at: OffsetDateTime) -> Place {
        let links = &self.links[table];
        let after = links.partition_point(|(first, _)| *first <= seq);
        let link = after.checked_sub(1).map_or(0, |index| links[index].1);
        match link <= self.first_transaction {
            true => (0, Some(at), table, seq),
            false => (link, None, table, seq),
        }
    }
}

/// A query for the history, which reads its entries one at a time.
#[derive(Debug)]
pub struct HistoryQuery<'l> {
    ledger: &'l Ledger,
    statements: Vec<Statement<'l>>,
    order: RecordingOrder,
    filter: HistoryFilter,
}

impl HistoryQuery<'_> {
    /// Passes the entries to `each`, in the order in which they were recorded.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn for_each(&mut self, mut each: impl FnMut(HistoryEntry)) -> Result<(), StoreError> {
        let Self { ledger, statements, order, filter } = self;
        let failed = |error: rusqlite::Error| ledger.error(&error);
        let about = &filter.about;
        let list = |texts: Vec<String>| Value::from(texts).to_string();
        let since = filter.since.map(stamp);
        let names = (!about.is_empty()).then(|| list(about.clone()));
        let serials = about.iter().filter_map(|text| Serial::parse(text)).map(|serial| serial.to_string()).collect();
        let digests = about.iter().filter_map(|text| fingerprint(text)).map(|digest| digest.to_string()).collect();
        let (serials, digests) = (list(serials), list(digests));
        let mut tables = Vec::with_capacity(statements.len());
        for statement in statements {
            tables.push(statement.query(params![since, names, serials, digests]).map_err(failed)?);
        }
        let mut next = |table: usize| -> Result<Option<(Place, HistoryEntry)>, StoreError> {
            let Some(row) = tables[table].next().map_err(failed)? else { return Ok(None) };
            let entry = HistoryEntry::of(table, row).map_err(failed)?;
            let seq = row.get(0).map_err(failed)?;
            Ok(Some((order.place(table, seq, entry.at), entry)))
        };
        let mut heads = Vec::with_capacity(TABLES.len());
        for table in 0..TABLES.len() {
            heads.push(next(table)?);
        }
        let first = |heads: &[Option<(Place, HistoryEntry)>]| {
            let places = heads.iter().enumerate().filter_map(|(table, head)| Some((head.as_ref()?.0, table)));
            places.min().map(|(_, table)| table)
        };
        while let Some(table) = first(&heads) {
            let following = next(table)?;
            if let Some((_, entry)) = std::mem::replace(&mut heads[table], following) {
                each(entry);
            }
        }
        Ok(())
    }
}

/// Parses a SHA-256 in hexadecimal or as a credential-id.
pub(super) fn fingerprint(text: &str) -> Option<Fingerprint> {
    Fingerprint::from_credential_id(text).or_else(|| Fingerprint::parse(text))
}

impl HistoryEntry {
    /// Returns true if its subject, where it has only one by name, is this one.
    #[must_use]
    pub fn is_about(&self, name: &str) -> bool {
        matches!(&self.change, Change::Done { subject, .. } if subject == name)
    }

    fn of(table: usize, row: &Row<'_>) -> rusqlite::Result<Self> {
        let Column(at) = row.get(1)?;
        let change = match table {
            CERTIFICATES => match row.get::<_, Option<String>>(8)?.as_deref() {
                Some(ADOPTED) => Change::Adopted(CertificateId::of(row)?),
                _ => Change::Issued(CertificateId::of(row)?),
            },
            REVOCATIONS => {
                Change::Revoked { certificate: CertificateId::of(row)?, reason: row.get::<_, Column<_>>(9)?.0 }
            }
            UNRECORDED => Change::RevokedUnrecorded {
                fingerprint: row.get::<_, Option<Column<_>>>(7)?.map(|column| column.0),
                serial: row.get::<_, Option<Column<_>>>(6)?.map(|column| column.0),
                reason: row.get::<_, Column<_>>(9)?.0,
            },
            _ => Self::event(row)?,
        };
        Ok(Self { at, by: row.get(2)?, change })
    }

    fn event(row: &Row<'_>) -> rusqlite::Result<Change> {
        let kind: String = row.get(8)?;
        if kind == REASON_CHANGED && row.get_ref(6)? != ValueRef::Null {
            let reason = row.get::<_, Column<_>>(9)?.0;
            return Ok(Change::ReasonChanged { certificate: CertificateId::of(row)?, reason });
        }
        let (subject, detail): (String, String) = (row.get(3)?, row.get(9)?);
        Ok(match kind.as_str() {
            KEY_DISCARDED => Change::KeyDiscarded { host: subject, certificate: detail },
            _ => Change::Done { kind, subject, detail },
        })
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
        self.read(|connection| {
            let statements = TABLES.iter().map(|(_, table)| connection.prepare(&query_of(table)));
            let statements = statements.collect::<Result<_, _>>()?;
            Ok(HistoryQuery { ledger: self, statements, order: RecordingOrder::read(connection)?, filter })
        })
    }
}
