//! The hash chain over the append-only rows. It detects rows that another program changed, removed or inserted.
//!
//! Every transaction adds a link for each table that it added rows to. A link has the SHA-256 of each of these rows,
//! and a SHA-256 over itself and the previous link. The chain does not protect against an attacker who can write the
//! ledger and computes a whole new chain. Such a chain is detected with a copy of the head, which `ledger check`
//! prints, that was kept elsewhere.

use std::collections::{HashMap, HashSet};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Ledger;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;

/// A table whose rows are chained.
struct Source {
    table: &'static str,
    /// Its columns in the order in which they are hashed, after `seq`. Part of the ledger's format.
    columns: &'static str,
}

const SOURCES: [Source; 4] = [
    Source {
        table: "certificates",
        columns: "serial, sha256, spki_sha256, profile, host, account, not_before, not_after, issuer_sha256, issued_at, \
            issued_by, der",
    },
    Source { table: "events", columns: "at, by, kind, subject, detail" },
    Source { table: "revocations", columns: "sha256, reason, revoked_at, revoked_by" },
    Source { table: UNRECORDED, columns: "sha256, issuer_sha256, serial, reason, revoked_at, revoked_by" },
];

const UNRECORDED: &str = "unrecorded_revocations";
/// The source of links that list rows of [`UNRECORDED`] that clusterctl removed because the certificates were recorded.
const RESOLVED: &str = "resolved";

/// Returns the number of a source of links, in the order in which a transaction adds its links.
pub(super) fn source_number(name: &str) -> Option<usize> {
    SOURCES.iter().position(|source| source.table == name)
}

/// The length of a row's entry in a link: its number and its digest.
const ENTRY: usize = 8 + 32;

/// The highest row number in each table at the beginning of a transaction.
pub(super) struct Watermarks([i64; SOURCES.len()]);

impl Watermarks {
    /// Returns those of empty tables.
    pub(super) fn none() -> Self {
        Self([0; SOURCES.len()])
    }

    /// Reads the current watermarks.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut highest = [0; SOURCES.len()];
        for (source, highest) in SOURCES.iter().zip(&mut highest) {
            let query = format!("SELECT coalesce(max(seq), 0) FROM {}", source.table);
            *highest = connection.prepare_cached(&query)?.query_row([], |row| row.get(0))?;
        }
        Ok(Self(highest))
    }
}

/// Adds links for the rows above the watermarks, as a part of the transaction that added them.
///
/// Rows that another program added earlier are left out, so that a check still detects them.
pub(super) fn extend(connection: &Connection, before: &Watermarks) -> rusqlite::Result<()> {
    for (source, before) in SOURCES.iter().zip(before.0) {
        let query = format!("SELECT seq, {} FROM {} WHERE seq > ?1 ORDER BY seq", source.columns, source.table);
        let mut select = connection.prepare_cached(&query)?;
        let mut rows = select.query([before])?;
        let (mut entries, mut buffer) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next()? {
            let (seq, digest) = digest(source, row, &mut buffer)?;
            entries.extend_from_slice(&seq.to_be_bytes());
            entries.extend_from_slice(digest.bytes());
        }
        link(connection, source.table, &entries)?;
    }
    Ok(())
}

/// Adds a link that lists rows of unrecorded revocations that are about to be removed.
pub(super) fn resolve(connection: &Connection, rows: &[i64]) -> rusqlite::Result<()> {
    let entries: Vec<u8> = rows.iter().flat_map(|seq| seq.to_be_bytes().into_iter().chain([0; 32])).collect();
    link(connection, RESOLVED, &entries)
}

/// Adds a link, unless it would be empty.
fn link(connection: &Connection, source: &str, entries: &[u8]) -> rusqlite::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let last = last_hash(connection)?;
    let hash = link_hash(last.as_deref().unwrap_or_default(), source, entries);
    connection.prepare_cached("INSERT INTO chain (source, entries, hash) VALUES (?1, ?2, ?3)")?.execute(params![
        source,
        entries,
        hash.bytes()
    ])?;
    Ok(())
}

fn last_hash(connection: &Connection) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut select = connection.prepare_cached("SELECT hash FROM chain ORDER BY seq DESC LIMIT 1")?;
    select.query_row([], |row| row.get(0)).optional()
}

fn link_hash(last: &[u8], source: &str, entries: &[u8]) -> Fingerprint {
    let mut bytes = Vec::with_capacity(last.len() + source.len() + entries.len() + 24);
    [last, source.as_bytes(), entries].into_iter().for_each(|part| append(&mut bytes, b'b', part));
    Fingerprint::of(&bytes)
}

/// Returns the number of a row and the SHA-256 of its content: of each value the type, the length and the bytes.
fn digest(source: &Source, row: &Row<'_>, buffer: &mut Vec<u8>) -> rusqlite::Result<(i64, Fingerprint)> {
    buffer.clear();
    append(buffer, b't', source.table.as_bytes());
    for i in 0..row.as_ref().column_count() {
        match row.get_ref(i)? {
            ValueRef::Null => append(buffer, b'n', &[]),
            ValueRef::Integer(number) => append(buffer, b'i', &number.to_be_bytes()),
            ValueRef::Real(number) => append(buffer, b'r', &number.to_be_bytes()),
            ValueRef::Text(text) => append(buffer, b't', text),
            ValueRef::Blob(bytes) => append(buffer, b'b', bytes),
        }
    }
    Ok((row.get(0)?, Fingerprint::of(buffer)))
}

fn append(buffer: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    buffer.push(kind);
    buffer.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    buffer.extend_from_slice(bytes);
}

/// The kind of difference between a row or a link and the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakKind {
    /// The row was changed after it was recorded.
    Changed,
    /// The row is gone.
    Removed,
    /// The row was not recorded by clusterctl.
    Inserted,
    /// The link does not follow the previous link: it was changed, or links before it were removed.
    Link,
}

/// A row or a link that differs from the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainBreak {
    /// The kind of difference.
    pub kind: BreakKind,
    /// The table: a chained table, or `chain` itself.
    pub table: String,
    /// Its `seq`.
    pub row: i64,
}

/// The result of comparing the ledger with its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// The hash of the last link; `None` if nothing was recorded yet.
    pub head: Option<Fingerprint>,
    /// The number of rows in the chain.
    pub rows: usize,
    /// Whether the expected link is in the chain; true if none is expected.
    pub has_expected: bool,
    /// Rows and links that differ, in the order of the tables.
    pub breaks: Vec<ChainBreak>,
}

impl Ledger {
    /// Returns the hash of the last link; `None` if nothing was recorded yet. The chain is not checked.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn chain_head(&self) -> Result<Option<Fingerprint>, StoreError> {
        let hash = self.read(last_hash)?;
        Ok(hash.and_then(|hash| <[u8; 32]>::try_from(hash).ok()).map(Fingerprint::from_bytes))
    }

    /// Compares every chained row with the chain. `expected` is the hash of a link from an earlier check.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn check_chain(&self, expected: Option<Fingerprint>) -> Result<ChainReport, StoreError> {
        self.read(|connection| {
            let Links { mut recorded, resolved, head, hashes, mut breaks } = Links::read(connection)?;
            let has_expected = expected.is_none_or(|hash| hashes.contains(&hash));
            let rows = recorded.values().map(HashMap::len).sum();
            for source in &SOURCES {
                let expected = recorded.remove(source.table).unwrap_or_default();
                let resolved = (source.table == UNRECORDED).then_some(&resolved);
                compare(connection, source, expected, resolved, &mut breaks)?;
            }
            Ok(ChainReport { head, rows, has_expected, breaks })
        })
    }
}

/// The content of all links.
struct Links {
    /// The digests of the rows of each table.
    recorded: HashMap<String, HashMap<i64, [u8; 32]>>,
    /// The rows of unrecorded revocations that clusterctl removed.
    resolved: HashSet<i64>,
    head: Option<Fingerprint>,
    /// The hashes of all links.
    hashes: HashSet<Fingerprint>,
    /// The links that do not follow the previous link.
    breaks: Vec<ChainBreak>,
}

impl Links {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut links = Self {
            recorded: HashMap::new(),
            resolved: HashSet::new(),
            head: None,
            hashes: HashSet::new(),
            breaks: Vec::new(),
        };
        let mut select = connection.prepare("SELECT seq, source, entries, hash FROM chain ORDER BY seq")?;
        let mut rows = select.query([])?;
        let mut last: Vec<u8> = Vec::new();
        while let Some(row) = rows.next()? {
            let (seq, source): (i64, String) = (row.get(0)?, row.get(1)?);
            let (entries, hash): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
            if link_hash(&last, &source, &entries).bytes() != hash.as_slice() {
                links.breaks.push(ChainBreak { kind: BreakKind::Link, table: "chain".to_owned(), row: seq });
            }
            let rows = entries.chunks_exact(ENTRY).filter_map(|entry| {
                let (row, digest) = entry.split_first_chunk::<8>()?;
                Some((i64::from_be_bytes(*row), <[u8; 32]>::try_from(digest).ok()?))
            });
            if source == RESOLVED {
                links.resolved.extend(rows.map(|(row, _)| row));
            } else {
                links.recorded.entry(source).or_default().extend(rows);
            }
            links.head = <[u8; 32]>::try_from(hash.as_slice()).ok().map(Fingerprint::from_bytes);
            links.hashes.extend(links.head);
            last = hash;
        }
        Ok(links)
    }
}

/// Compares a table with its entries in the chain.
fn compare(
    connection: &Connection,
    source: &Source,
    mut expected: HashMap<i64, [u8; 32]>,
    resolved: Option<&HashSet<i64>>,
    breaks: &mut Vec<ChainBreak>,
) -> rusqlite::Result<()> {
    let mut found = |kind, row| breaks.push(ChainBreak { kind, table: source.table.to_owned(), row });
    let mut select =
        connection.prepare(&format!("SELECT seq, {} FROM {} ORDER BY seq", source.columns, source.table))?;
    let mut rows = select.query([])?;
    let mut buffer = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, digest) = digest(source, row, &mut buffer)?;
        match expected.remove(&seq) {
            None => found(BreakKind::Inserted, seq),
            Some(recorded) if recorded != *digest.bytes() => found(BreakKind::Changed, seq),
            Some(_) => {}
        }
    }
    let mut gone: Vec<i64> = expected.into_keys().collect();
    gone.retain(|seq| !resolved.is_some_and(|resolved| resolved.contains(seq)));
    gone.sort_unstable();
    gone.into_iter().for_each(|seq| found(BreakKind::Removed, seq));
    Ok(())
}
