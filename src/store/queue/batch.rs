//! A transaction of the queue's database, and what its changes have in common.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Transaction;
use time::OffsetDateTime;

use super::change::{Answer, Kind, Published};
use super::error::Refused;
use super::row::StoredRequest;
use crate::pki::fingerprint::{Fingerprint, hex};

/// Open requests that were changed lately, by name.
pub(super) type Recent = HashMap<String, Arc<StoredRequest>>;

/// The number of requests that are kept in memory.
const RECENT: usize = 2048;

/// A failure inside a transaction.
pub(super) enum Failure {
    /// This change is refused; nothing was written for it.
    Refused(Refused),
    /// The database fails, and the whole transaction with it.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// The state of a transaction: the last resource version, and the events to publish.
pub(super) struct Batch<'t> {
    pub(super) transaction: &'t Transaction<'t>,
    pub(super) now: OffsetDateTime,
    pub(super) version: i64,
    pub(super) created: i64,
    pub(super) published: Vec<Published>,
    pub(super) recent: Recent,
}

impl Batch<'_> {
    /// Returns the next resource version.
    pub(super) fn next_version(&mut self) -> i64 {
        self.version += 1;
        self.version
    }

    /// Returns an open request that was changed lately.
    pub(super) fn recent(&self, name: &str) -> Option<Arc<StoredRequest>> {
        self.recent.get(name).cloned()
    }

    /// Returns a new uid, in the form of a random UUID (RFC 9562 § 5.4). Versions are never used twice, so it is unique.
    pub(super) fn uid(&self, name: &str) -> String {
        let of = format!("{} {} {} {name}", self.created, self.version, self.now.unix_timestamp_nanos());
        let mut digits: Vec<char> = hex(&Fingerprint::of(of.as_bytes()).bytes()[..16]).chars().collect();
        digits[12] = '4';
        digits[16] = '8';
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
        parts.map(|part| digits[part].iter().collect::<String>()).join("-")
    }

    /// Records an event of a request, and publishes it when the transaction is durable.
    pub(super) fn event(
        &mut self,
        kind: Kind,
        what: &str,
        by: &str,
        request: StoredRequest,
    ) -> rusqlite::Result<Answer> {
        let mut insert = self
            .transaction
            .prepare_cached("INSERT INTO events (version, at, request, kind, by) VALUES (?1, ?2, ?3, ?4, ?5)")?;
        insert.execute((self.version, self.now.unix_timestamp(), request.id, what, by))?;
        let request = Arc::new(request);
        if kind == Kind::Deleted || !request.state.is_open() {
            self.recent.remove(&request.name);
        } else {
            if self.recent.len() >= RECENT {
                self.recent.clear();
            }
            self.recent.insert(request.name.clone(), request.clone());
        }
        self.published.push(Published { version: self.version, kind, request: request.clone() });
        Ok(Answer::Request(request))
    }
}
