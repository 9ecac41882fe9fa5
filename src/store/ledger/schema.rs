//! The formats of the ledger, and the migrations between them.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction};

use super::chain::{self, Watermarks};

/// The statements that migrate from one format to the next, beginning with an empty database. The format, which is
/// stored in SQLite's `user_version`, is the number of completed steps. A released step never changes.
const STEPS: [&str; 9] =
    [CERTIFICATES, REVOCATIONS, TRACES, FLEET_TRACE, GENERATIONS, SEQUENCE, INDEXES, CHAIN, ENROLMENTS];

/// The format that this program writes.
pub(super) const FORMAT: i64 = STEPS.len() as i64;

const CERTIFICATES: &str = "
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

/// Indexes for queries by serial number, host, expiry, and the accounts of a profile; the tables that earlier versions
/// created on first use; and the renamed table of the verification cache.
const INDEXES: &str = "
CREATE INDEX certificates_by_serial ON certificates (serial);
CREATE INDEX certificates_by_host ON certificates (host);
CREATE INDEX certificates_by_expiry ON certificates (not_after);
DROP INDEX certificates_by_account;
CREATE INDEX certificates_by_account ON certificates (profile, account);
CREATE INDEX events_by_kind ON events (kind);
DROP TABLE IF EXISTS fleet_trace;
DROP TABLE IF EXISTS traces;
CREATE TABLE verification_cache (
    folder     TEXT PRIMARY KEY,                      -- nodes/HOST, masters/NAME, verifier
    digest     BLOB NOT NULL,                         -- SHA-256: the expected certificates and the files' metadata
    not_before INTEGER NOT NULL,                      -- all of its certificates are valid from here, in Unix seconds
    not_after  INTEGER NOT NULL                       -- the first of them expires here
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS images (
    host   TEXT PRIMARY KEY,
    images TEXT NOT NULL                              -- versions and repository, as a person reads them
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS units (
    host TEXT PRIMARY KEY                             -- its last bundle had units for systemd
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sealed (
    host    TEXT PRIMARY KEY,
    made_of BLOB NOT NULL,                            -- SHA-256 of what was encrypted and of its recipients
    file    BLOB NOT NULL                             -- SHA-256 of the encrypted archive
) WITHOUT ROWID;
";

/// The hash chain over certificates, events and revocations; rows of earlier formats are chained by the migration.
const CHAIN: &str = "
CREATE TABLE chain (
    seq     INTEGER PRIMARY KEY,                      -- order of the links
    source  TEXT NOT NULL,                            -- the table of the rows; resolved: unrecorded revocations that were removed
    entries BLOB NOT NULL,                            -- for each row: seq (8 bytes, big-endian), SHA-256 of its content
    hash    BLOB NOT NULL                             -- SHA-256 over the last link's hash, source and entries
);
";

/// The certificates that requests of hosts got, and an index for queries by public key.
const ENROLMENTS: &str = "
CREATE TABLE IF NOT EXISTS enrolments (
    csr_sha256 TEXT PRIMARY KEY,                      -- of the certificate request's DER
    sha256     TEXT NOT NULL                          -- of the certificate that it got
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS certificates_by_key ON certificates (spki_sha256);
";

/// The format that introduced the hash chain.
const CHAINED: i64 = 8;

/// Returns the format of a database; 0 for an empty one.
pub(super) fn format(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Runs the missing steps as a part of a transaction: all or none.
///
/// Another process may have run them while this process waited for the transaction.
pub(super) fn migrate(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let taken = format(transaction)?;
    for step in STEPS.iter().skip(usize::try_from(taken).unwrap_or(usize::MAX)) {
        transaction.execute_batch(step)?;
    }
    if taken < CHAINED {
        chain::extend(transaction, &Watermarks::none())?;
    }
    transaction.pragma_update(None, "user_version", taken.max(FORMAT))
}

/// The kind and the name of a table, index, trigger or view, and the statement that creates it, without comments.
pub(super) type Objects = BTreeMap<(String, String), String>;

/// Returns the tables and indexes of the current format.
pub(super) fn expected() -> rusqlite::Result<Objects> {
    let connection = Connection::open_in_memory()?;
    STEPS.iter().try_for_each(|step| connection.execute_batch(step))?;
    objects(&connection)
}

/// Returns everything that a database defines, but for what SQLite makes itself.
pub(super) fn objects(connection: &Connection) -> rusqlite::Result<Objects> {
    // SQLite refuses these names in statements, but not where its schema was edited: there a trigger may have one.
    let query = "SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE NOT (type IN ('table', 'index') AND \
                 name GLOB 'sqlite_*')";
    let mut select = connection.prepare(query)?;
    let object = |row: &rusqlite::Row<'_>| -> rusqlite::Result<((String, String), String)> {
        Ok(((row.get(0)?, row.get(1)?), plain(&row.get::<_, String>(2)?)))
    };
    select.query_map([], object)?.collect()
}

/// Returns a statement without comments and with single spaces: migrations of different versions wrote these
/// differently.
fn plain(statement: &str) -> String {
    let lines = statement.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code));
    let words = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
    words.replace("( ", "(").replace(" )", ")").replace(" ,", ",")
}
