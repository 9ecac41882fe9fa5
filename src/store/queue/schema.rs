//! The formats of the queue's database.

use rusqlite::{Connection, Transaction};

/// The statements that migrate from one format to the next. A released step never changes.
const STEPS: [&str; 1] = [QUEUE];

/// The format that this program writes.
pub(super) const FORMAT: i64 = STEPS.len() as i64;

const QUEUE: &str = "
CREATE TABLE sequence (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,                       -- the last resource version
    created INTEGER NOT NULL                        -- Unix seconds
);
INSERT INTO sequence VALUES (1, 0, unixepoch());
CREATE TABLE requests (
    id          INTEGER PRIMARY KEY,                -- order of arrival
    name        TEXT NOT NULL,
    uid         TEXT NOT NULL,
    version     INTEGER NOT NULL,                   -- resource version of the last change
    born        INTEGER NOT NULL,                   -- resource version of the creation
    signer      TEXT NOT NULL,
    host        TEXT NOT NULL,
    spki_sha256 BLOB NOT NULL,
    proven      INTEGER NOT NULL,                   -- evidence of the host was verified when it came
    known       INTEGER NOT NULL,                   -- the cluster file had the host
    state       TEXT NOT NULL,                      -- pending, approved, issued, denied, failed, superseded, expired
    created     INTEGER NOT NULL,                   -- Unix seconds
    changed     INTEGER NOT NULL,
    expiration  INTEGER,                            -- spec.expirationSeconds
    pem         BLOB NOT NULL,                      -- spec.request
    usages      TEXT NOT NULL,                      -- JSON
    requester   TEXT NOT NULL,                      -- JSON
    annotations TEXT NOT NULL,                      -- JSON
    conditions  TEXT NOT NULL,                      -- JSON
    certificate BLOB NOT NULL,                      -- PEM; empty if there is none
    archived    INTEGER NOT NULL DEFAULT 0          -- no longer listed; the name is free
);
CREATE UNIQUE INDEX requests_by_name ON requests (name) WHERE archived = 0;
CREATE INDEX requests_by_version ON requests (version) WHERE archived = 0;
CREATE INDEX requests_open ON requests (host) WHERE archived = 0 AND state IN ('pending', 'approved');
CREATE INDEX requests_unknown ON requests (known) WHERE archived = 0 AND known = 0 AND state IN ('pending', 'approved');
CREATE INDEX requests_by_change ON requests (state, changed) WHERE archived = 0;
CREATE TABLE events (
    version INTEGER NOT NULL,                       -- resource version
    at      INTEGER NOT NULL,                       -- Unix seconds
    request INTEGER NOT NULL REFERENCES requests (id),
    kind    TEXT NOT NULL,                          -- created, approved, denied, issued, failed, superseded, expired, annotated, deleted, archived
    by      TEXT NOT NULL                           -- user name
);
CREATE INDEX events_by_version ON events (version);
CREATE TABLE leases (
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    uid       TEXT NOT NULL,
    version   INTEGER NOT NULL,
    created   INTEGER NOT NULL,
    spec      TEXT NOT NULL,                        -- JSON
    PRIMARY KEY (namespace, name)
) WITHOUT ROWID;
CREATE TABLE used_tokens (
    token       TEXT NOT NULL,                      -- its id
    signer      TEXT NOT NULL,
    spki_sha256 BLOB NOT NULL,                      -- the key that it was used for
    at          INTEGER NOT NULL,
    PRIMARY KEY (token, signer)
) WITHOUT ROWID;
";

/// Returns the format of a database; 0 for an empty one.
pub(super) fn format(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Runs the missing steps as a part of a transaction.
pub(super) fn migrate(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let taken = format(transaction)?;
    for step in STEPS.iter().skip(usize::try_from(taken).unwrap_or(usize::MAX)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", taken.max(FORMAT))
}
