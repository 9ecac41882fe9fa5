//! The ledger: every certificate ever issued, and an event for everything else. SQLite; no keys.
//! It knows a certificate before any file does.

use std::collections::{HashMap, HashSet};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, TransactionBehavior, params};
use time::OffsetDateTime;

use super::error::StoreError;
use super::files::PRIVATE;
use super::revocations::Revocation;
use super::verification_cache::{self, CacheEntry};
use crate::cluster::duration::stamp;
use crate::cluster::profile::CaRole;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;

/// What leads from one format to the next, from an empty database on. The format, kept in SQLite's `user_version`, is how many
/// of these steps were taken; a step that was released never changes.
const STEPS: [&str; 7] = [SCHEMA, REVOCATIONS, TRACES, FLEET_TRACE, GENERATIONS, SEQUENCE, NO_FLEET_TRACE];
/// The format that this program writes.
const FORMAT: i64 = STEPS.len() as i64;
/// How long another program may hold the database before we give up.
const PATIENCE: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
CREATE TABLE certificates (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT, -- order of issue
    serial        TEXT NOT NULL,                     -- hexadecimal
    sha256        TEXT NOT NULL UNIQUE,              -- of the DER: Kubernetes's credential-id
    spki_sha256   TEXT NOT NULL,                     -- of the SubjectPublicKeyInfo
    profile       TEXT NOT NULL,                     -- apiserver, kubelet-client, … root
    host          TEXT,                              -- null where the cluster has one
    account       TEXT NOT NULL,                     -- the subject's common name
    not_before    TEXT NOT NULL,                     -- RFC 3339, UTC
    not_after     TEXT NOT NULL,
    issuer_sha256 TEXT NOT NULL,                     -- of the issuing root's DER
    issued_at     TEXT NOT NULL,
    issued_by     TEXT NOT NULL,                     -- user@machine
    der           BLOB NOT NULL,
    UNIQUE (issuer_sha256, serial)
);
CREATE INDEX certificates_by_holder ON certificates (profile, host, seq);
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,                           -- RFC 3339, UTC
    by      TEXT NOT NULL,                           -- user@machine
    kind    TEXT NOT NULL,                           -- init-ca, bundle, …
    subject TEXT NOT NULL,                           -- a host, a root
    detail  TEXT NOT NULL
);
";

const REVOCATIONS: &str = "
CREATE TABLE revocations (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,    -- order of revocation
    sha256     TEXT NOT NULL UNIQUE REFERENCES certificates (sha256),
    reason     TEXT NOT NULL,                        -- RFC 5280's name: keyCompromise, superseded, …
    revoked_at TEXT NOT NULL,                        -- RFC 3339, UTC
    revoked_by TEXT NOT NULL                         -- user@machine
);
CREATE TABLE revocation_lists (
    issuer_sha256 TEXT NOT NULL,                     -- of the root's DER
    number        INTEGER NOT NULL,                  -- grows with every list of that root
    this_update   TEXT NOT NULL,                     -- RFC 3339, UTC
    next_update   TEXT NOT NULL,
    PRIMARY KEY (issuer_sha256, number)
);
CREATE INDEX certificates_by_account ON certificates (account);
";

const TRACES: &str = "
CREATE TABLE IF NOT EXISTS traces (
    holder     TEXT PRIMARY KEY,                     -- nodes/HOST, masters/NAME, verifier
    digest     BLOB NOT NULL,                        -- SHA-256: what was asked for, and the files that were good
    not_before INTEGER NOT NULL,                     -- all of its certificates are valid from here, in Unix seconds
    not_after  INTEGER NOT NULL                      -- until here
) WITHOUT ROWID;
";

const FLEET_TRACE: &str = "
CREATE TABLE IF NOT EXISTS fleet_trace (
    one          INTEGER PRIMARY KEY CHECK (one = 1), -- there is one at most
    digest       BLOB NOT NULL,                       -- SHA-256: what was asked for, and all nodes' files that were good
    certificates INTEGER NOT NULL,                    -- how many
    not_before   INTEGER NOT NULL,                    -- all of them are valid from here, in Unix seconds
    not_after    INTEGER NOT NULL                     -- until here
);
";

const GENERATIONS: &str = "
CREATE TABLE IF NOT EXISTS generation (
    one    INTEGER PRIMARY KEY CHECK (one = 1),       -- there is one at most
    number INTEGER NOT NULL                           -- the last that was given to bundles
);
CREATE TABLE IF NOT EXISTS bundles (
    host       TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,                      -- of the bundle that was packed last
    content    BLOB NOT NULL                          -- SHA-256: what is in it, but for its generation
) WITHOUT ROWID;
";

const SEQUENCE: &str = "
CREATE TABLE IF NOT EXISTS sequence (
    one    INTEGER PRIMARY KEY CHECK (one = 1),       -- there is one at most
    number INTEGER NOT NULL                           -- grows with every revocation; rendered files carry it
);
INSERT OR IGNORE INTO sequence (one, number) SELECT 1, count(*) FROM revocations;
CREATE TABLE IF NOT EXISTS unrecorded_revocations (   -- of certificates that `certificates` does not have
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256        TEXT UNIQUE,                        -- of the DER, where it is known
    issuer_sha256 TEXT,                               -- of the root's DER, where it is known
    serial        TEXT,                               -- hexadecimal, where it is known
    reason        TEXT NOT NULL,                      -- RFC 5280's name
    revoked_at    TEXT NOT NULL,                      -- RFC 3339, UTC
    revoked_by    TEXT NOT NULL,                      -- user@machine
    UNIQUE (issuer_sha256, serial)
);
";

const NO_FLEET_TRACE: &str = "
DROP TABLE IF EXISTS fleet_trace;
";

/// What SQLite keeps of a ledger in memory by itself, in KiB.
const KEPT_KIB: usize = 2_000;
/// What it may keep at most: room for the indices of 170,000 certificates, in KiB.
const KEPT_AT_MOST_KIB: usize = 32 << 10;
/// What one certificate takes in the indices, in bytes.
const INDEXED: usize = 192;

/// Begins every database (sqlite.org/fileformat2.html, § 1.3).
const SQLITE: &[u8] = b"SQLite format 3\0";

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

/// One certificate to be recorded.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The certificate.
    pub certificate: &'a Certificate,
    /// Profile, as the policy table names it.
    pub profile: &'a str,
    /// Whose it is.
    pub host: Option<&'a str>,
    /// The root that signed it.
    pub issuer: &'a Certificate,
}

/// Who does it, and when.
#[derive(Debug, Clone)]
pub struct AuditContext<'a> {
    /// The time.
    pub at: OffsetDateTime,
    /// `user@machine`
    pub by: &'a str,
}

/// The events that say that a key was removed on purpose; their detail is the certificate's SHA-256.
const FORGET_KEY: &str = "forget-key";

/// The order of issue of every certificate in the ledger, by its SHA-256.
#[derive(Debug, Default)]
pub struct Known {
    order: HashMap<Fingerprint, u64>,
    roots: HashMap<Fingerprint, String>,
    forgotten: HashSet<Fingerprint>,
    revoked: HashMap<Fingerprint, Revocation>,
}

impl Known {
    /// The place in the order of issue, from 1; `None` for a certificate that the ledger does not know.
    #[must_use]
    pub fn sequence(&self, certificate: Fingerprint) -> Option<u64> {
        self.order.get(&certificate).copied()
    }

    /// Whether the key of this certificate was forgotten on purpose: its host alone has it.
    #[must_use]
    pub fn is_forgotten(&self, certificate: Fingerprint) -> bool {
        self.forgotten.contains(&certificate)
    }

    /// Why and when a certificate was revoked, if it was.
    #[must_use]
    pub fn revocation(&self, certificate: Fingerprint) -> Option<&Revocation> {
        self.revoked.get(&certificate)
    }

    /// All certificates that were ever revoked.
    pub fn revoked(&self) -> impl Iterator<Item = Fingerprint> + '_ {
        self.revoked.keys().copied()
    }

    /// Whether this certificate was recorded as that root.
    #[must_use]
    pub fn is_root(&self, certificate: Fingerprint, kind: CaRole) -> bool {
        self.roots.get(&certificate).is_some_and(|profile| profile == kind.as_str())
    }
}

impl Ledger {
    /// Makes the ledger, mode 0600, or opens the one that is there.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        // SQLite would create it readable for all; its journal takes the mode over.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(PRIVATE)
            .open(path)
            .map_err(|error| StoreError::io("create", path, &error))?;
        let mut ledger = Self::connect(path)?;
        ledger.migrate()?;
        ledger.check_format()?;
        Ok(ledger)
    }

    /// Takes the steps that are missing, all or none.
    fn migrate(&mut self) -> Result<(), StoreError> {
        if self.format()? >= FORMAT {
            return Ok(());
        }
        let path = &self.path;
        let migrate = |connection: &mut Connection| {
            // Whoever waited here for another process finds its work done.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let taken: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
            for step in STEPS.iter().skip(usize::try_from(taken).unwrap_or(usize::MAX)) {
                transaction.execute_batch(step)?;
            }
            transaction.pragma_update(None, "user_version", taken.max(FORMAT))?;
            transaction.commit()
        };
        migrate(&mut self.connection).map_err(|error| failed(path, &error))
    }

    /// Opens the ledger: for writing where the medium allows it, else for reading. SQLite decides that by itself; it has to
    /// be able to write even for those who only read, to undo what a killed process left half-recorded.
    ///
    /// # Errors
    /// When it is missing, damaged, held by another program, or written by a later version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !super::files::exists(path) {
            return Err(StoreError::LedgerMissing(path.to_owned()));
        }
        if super::files::is_folder(path) {
            return Err(StoreError::io("open", path, &std::io::ErrorKind::IsADirectory.into()));
        }
        let mut ledger = Self::connect(path)?;
        ledger.check_format()?;
        match ledger.migrate() {
            // On a medium that cannot be written an older ledger is read as it is.
            Ok(()) | Err(StoreError::Io { kind: std::io::ErrorKind::PermissionDenied, .. }) => Ok(ledger),
            Err(error) => Err(error),
        }
    }

    fn connect(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| failed(path, &error))?;
        connection
            .busy_timeout(PATIENCE)
            // FULL would not sync the folder once the journal is unlinked: after a power failure it could be back, and undo what
            // was recorded last.
            .and_then(|()| connection.pragma_update(None, "synchronous", "EXTRA"))
            .map_err(|error| failed(path, &error))?;
        Ok(Self { connection, path: path.to_owned() })
    }

    pub(super) fn format(&self) -> Result<i64, StoreError> {
        self.connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|error| failed(&self.path, &error))
    }

    /// True if there is such a table: some are made when they are needed first.
    pub(super) fn has_table(&self, name: &str) -> rusqlite::Result<bool> {
        let there = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
        self.connection.query_row(there, [name], |row| row.get::<_, i64>(0)).map(|count| count > 0)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let found = self.format()?;
        if found > FORMAT {
            return Err(StoreError::LedgerNewer { path: self.path.clone(), found, known: FORMAT });
        }
        let readable = self.connection.prepare("SELECT seq, sha256 FROM certificates LIMIT 1").map(|_| ());
        readable.map_err(|error| match failed(&self.path, &error) {
            _ if super::files::is_empty(&self.path) => StoreError::LedgerEmpty(self.path.clone()),
            StoreError::Ledger { path, .. } => {
                let reason = "there is no table of certificates in it".to_owned();
                StoreError::LedgerForeign { path, reason }
            }
            other => other,
        })
    }

    /// Makes room for recording so many certificates: their digests come in no order, so that each batch touches the index
    /// everywhere, and what SQLite cannot keep of it is written and read again in every batch.
    pub fn make_room(&self, certificates: usize) {
        let room = (certificates.saturating_mul(INDEXED) / 1024).clamp(KEPT_KIB, KEPT_AT_MOST_KIB);
        // In KiB where it is negative. Without it all is as good, and slower.
        let _ = self.connection.pragma_update(None, "cache_size", -(room as i64));
    }

    /// Records certificates, all or none, durable on return.
    ///
    /// # Errors
    /// When SQLite cannot; nothing is recorded then.
    pub fn record(&mut self, entries: &[Entry<'_>], mark: &AuditContext<'_>) -> Result<(), StoreError> {
        self.record_and_remember(entries, &[], mark)
    }

    /// As [`Ledger::record`], and remembers in the same breath what was found good of others: each sync of the disk costs as
    /// much as many rows.
    pub(super) fn record_and_remember(
        &mut self,
        entries: &[Entry<'_>],
        verified: &[CacheEntry],
        mark: &AuditContext<'_>,
    ) -> Result<(), StoreError> {
        let path = &self.path;
        let record = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            {
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO certificates (serial, sha256, spki_sha256, profile, host, account, not_before, \
                     not_after, issuer_sha256, issued_at, issued_by, der) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                )?;
                for entry in entries {
                    let certificate = entry.certificate;
                    insert.execute(params![
                        certificate.serial.to_string(),
                        certificate.fingerprint().to_string(),
                        certificate.spki_fingerprint().to_string(),
                        entry.profile,
                        entry.host,
                        certificate.account().user,
                        stamp(certificate.not_before),
                        stamp(certificate.not_after),
                        entry.issuer.fingerprint().to_string(),
                        stamp(mark.at),
                        mark.by,
                        certificate.der(),
                    ])?;
                }
            }
            verification_cache::insert(&transaction, verified)?;
            transaction.commit()
        };
        record(&mut self.connection).map_err(|error| failed(path, &error))
    }

    /// Records that something else was done.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn note(&mut self, kind: &str, subject: &str, detail: &str, mark: &AuditContext<'_>) -> Result<(), StoreError> {
        self.connection
            .execute(
                "INSERT INTO events (at, by, kind, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![stamp(mark.at), mark.by, kind, subject, detail],
            )
            .map(|_| ())
            .map_err(|error| failed(&self.path, &error))
    }

    /// Whether this certificate was recorded as that root, made by itself.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn knows_root(&self, certificate: Fingerprint, kind: CaRole) -> Result<bool, StoreError> {
        let query = "SELECT count(*) FROM certificates WHERE sha256 = ?1 AND issuer_sha256 = ?1 AND profile = ?2";
        self.connection
            .query_row(query, params![certificate.to_string(), kind.as_str()], |row| row.get::<_, i64>(0))
            .map(|count| count > 0)
            .map_err(|error| failed(&self.path, &error))
    }

    /// Records that keys are about to be removed on purpose, each with its host and its certificate's SHA-256: all or none,
    /// durable on return.
    ///
    /// # Errors
    /// When SQLite cannot; nothing is recorded then.
    pub fn forget(&mut self, keys: &[(String, Fingerprint)], mark: &AuditContext<'_>) -> Result<(), StoreError> {
        let path = &self.path;
        let record = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            {
                let mut insert = transaction
                    .prepare_cached("INSERT INTO events (at, by, kind, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?;
                for (host, certificate) in keys {
                    insert.execute(params![stamp(mark.at), mark.by, FORGET_KEY, host, certificate.to_string()])?;
                }
            }
            transaction.commit()
        };
        record(&mut self.connection).map_err(|error| failed(path, &error))
    }

    /// Of each host the certificate of this profile that was issued last.
    ///
    /// # Errors
    /// When SQLite cannot, or a row is not what we write.
    pub fn newest(&self, profile: &str) -> Result<HashMap<String, Fingerprint>, StoreError> {
        let query = || {
            // What stands beside max() is of its row (SQLite, "Bare columns in an aggregate query").
            let mut select = self.connection.prepare(
                "SELECT host, sha256, max(seq) FROM certificates WHERE profile = ?1 AND host IS NOT NULL GROUP BY host",
            )?;
            let rows = select.query_map([profile], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = query().map_err(|error| failed(&self.path, &error))?;
        rows.into_iter().map(|(host, sha256)| Ok((host, self.fingerprint(&sha256)?))).collect()
    }

    /// Which certificates the ledger knows.
    ///
    /// # Errors
    /// When SQLite cannot, or a row is not what we write.
    pub fn known(&self) -> Result<Known, StoreError> {
        let damaged = |reason: String| StoreError::LedgerDamaged { path: self.path.clone(), reason };
        let no_digest = |text: &str| damaged(format!("sha256 {text:?}"));
        let parse = |text: &str| Fingerprint::parse(text).ok_or_else(|| no_digest(text));
        // Of a large fleet there is one for each certificate, so that only what is none becomes a text of its own.
        let digest = |row: &Row<'_>| -> rusqlite::Result<Result<Fingerprint, String>> {
            let text = row.get_ref(1)?.as_str()?;
            Ok(Fingerprint::parse(text).ok_or_else(|| text.to_owned()))
        };
        let query = || {
            let mut select = self.connection.prepare("SELECT seq, sha256 FROM certificates")?;
            let rows = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, digest(row)?)))?;
            let order = rows.collect::<Result<Vec<_>, _>>()?;
            let mut select =
                self.connection.prepare("SELECT sha256, profile FROM certificates WHERE sha256 = issuer_sha256")?;
            let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            let roots = rows.collect::<Result<Vec<_>, _>>()?;
            let mut select = self.connection.prepare("SELECT detail FROM events WHERE kind = ?1")?;
            let rows = select.query_map([FORGET_KEY], |row| row.get::<_, String>(0))?;
            Ok((order, roots, rows.collect::<Result<Vec<_>, _>>()?))
        };
        let (rows, roots, forgotten) = query().map_err(|error| failed(&self.path, &error))?;
        let mut order = HashMap::with_capacity(rows.len());
        for (sequence, sha256) in rows {
            let sha256 = sha256.map_err(|text| no_digest(&text))?;
            order.insert(sha256, u64::try_from(sequence).unwrap_or(0));
        }
        let roots = roots
            .into_iter()
            .map(|(sha256, profile)| Ok((parse(&sha256)?, profile)))
            .collect::<Result<_, StoreError>>()?;
        let forgotten = forgotten.iter().map(|sha256| parse(sha256)).collect::<Result<_, _>>()?;
        let mut revoked = self.revocations()?;
        // Of a certificate that the ledger does not have, too, where its digest is known.
        for one in self.unrecorded()? {
            if let Some(certificate) = one.fingerprint {
                revoked.entry(certificate).or_insert(one.revocation);
            }
        }
        Ok(Known { order, roots, forgotten, revoked })
    }
}

pub(super) fn failed(path: &Path, error: &rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) if !super::files::begins_with(&path, SQLITE) => {
            StoreError::LedgerForeign { path, reason: error.to_string() }
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::LedgerDamaged { path, reason: error.to_string() }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::LedgerLocked { path },
        Some(ErrorCode::DiskFull) => StoreError::Io {
            doing: "write",
            path,
            kind: std::io::ErrorKind::StorageFull,
            reason: "No space left on device".to_owned(),
        },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => StoreError::Io {
            doing: "write",
            path,
            kind: std::io::ErrorKind::PermissionDenied,
            reason: error.to_string(),
        },
        _ => StoreError::Ledger { path, reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_last_outlives_a_power_failure() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.sqlite3");
        drop(Ledger::create(&path).expect("a ledger"));
        let ledger = Ledger::open(&path).expect("a ledger");
        let synchronous: i64 =
            ledger.connection.pragma_query_value(None, "synchronous", |row| row.get(0)).expect("a level");
        assert_eq!(synchronous, 3, "EXTRA: the folder is synced once the journal is unlinked");
    }

    #[test]
    fn a_ledger_keeps_as_much_in_memory_as_is_to_be_recorded_and_no_more_than_allowed() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::create(&folder.path().join("ledger.sqlite3")).expect("a ledger");
        for (certificates, kibibytes) in [(2, 2_000), (20_000, 3_750), (200_000, 32_768), (usize::MAX, 32_768)] {
            ledger.make_room(certificates);
            let kept: i64 = ledger.connection.pragma_query_value(None, "cache_size", |row| row.get(0)).expect("a size");
            assert_eq!(kept, -kibibytes, "{certificates}");
        }
    }
}
