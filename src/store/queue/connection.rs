//! The connection to the queue's database, and its transactions.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use time::OffsetDateTime;

use super::change::{Answer, Change, Kind, Published};
use super::error::{Cause, QueueError, Refused};
use super::row::StoredRequest;
use super::schema::{self, FORMAT};
use super::{create, expire, leases, update};
use crate::pki::fingerprint::{Fingerprint, hex};
use crate::store::files::PRIVATE;

/// The time after which a transaction fails while another process locks the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The number of pages in the log after which it is moved into the database.
const LOG_PAGES: u32 = 4096;
/// The number of prepared statements that are kept.
const STATEMENTS: usize = 64;

/// The open queue.
#[derive(Debug)]
pub struct Queue {
    connection: Connection,
    path: PathBuf,
    /// The open requests that this connection changed lately, by name. They are read from here, as nothing else changes them.
    recent: Recent,
}

type Recent = HashMap<String, Arc<StoredRequest>>;

/// The number of requests that are kept in memory.
const RECENT: usize = 2048;

/// The result of one change: an answer, a refusal, or a failure of the database.
pub type Outcome = Result<Answer, QueueError>;

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
    version: i64,
    created: i64,
    published: Vec<Published>,
    recent: Recent,
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

impl Queue {
    /// Opens the queue for changes, and creates it, mode 0600, if it does not exist.
    ///
    /// # Errors
    /// Returns an error if it cannot be opened, is damaged, or was written by a later version.
    pub fn open(path: &Path) -> Result<Self, QueueError> {
        let failed = |cause, reason| QueueError::Database { path: path.to_owned(), cause, reason };
        // SQLite would create it readable by all users. The log inherits the mode.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(PRIVATE)
            .open(path)
            .map_err(|error| failed(Cause::Access, error.to_string()))?;
        let mut queue = Self::connect(path)?;
        let found = queue.run(|connection| schema::format(connection))?;
        if found > FORMAT {
            return Err(failed(Cause::Newer, format!("it has format {found}; this program knows up to {FORMAT}")));
        }
        queue.run(|connection| connection.pragma_update(None, "journal_mode", "WAL"))?;
        if found < FORMAT {
            queue.run(|connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                schema::migrate(&transaction)?;
                transaction.commit()
            })?;
        }
        Ok(queue)
    }

    /// Opens an existing queue for reading, beside the process that changes it.
    ///
    /// # Errors
    /// Returns an error if it cannot be opened or is damaged.
    pub fn reader(path: &Path) -> Result<Self, QueueError> {
        let mut queue = Self::connect(path)?;
        queue.run(|connection| connection.pragma_update(None, "query_only", true))?;
        Ok(queue)
    }

    fn connect(path: &Path) -> Result<Self, QueueError> {
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            // Each commit is synced.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            Ok(connection)
        };
        let connection = open().map_err(|error| QueueError::database(path, &error))?;
        Ok(Self { connection, path: path.to_owned(), recent: Recent::new() })
    }

    pub(super) fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, QueueError> {
        query(&self.connection).map_err(|error| QueueError::database(&self.path, &error))
    }

    fn run<T>(&mut self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, QueueError> {
        work(&mut self.connection).map_err(|error| QueueError::database(&self.path, &error))
    }

    /// Makes changes in one transaction, which is durable on return, and returns a result for each and the events.
    ///
    /// If the database fails, the changes are made one by one, so that one that cannot be written does not hold up the
    /// others.
    pub fn commit(&mut self, changes: &[Change], now: OffsetDateTime) -> (Vec<Outcome>, Vec<Published>) {
        match self.transact(changes, now) {
            Ok(done) => done,
            Err(QueueError::Database { cause, .. }) if changes.len() > 1 && cause != Cause::Busy => {
                let (mut outcomes, mut events) = (Vec::with_capacity(changes.len()), Vec::new());
                for change in changes {
                    match self.transact(std::slice::from_ref(change), now) {
                        Ok((outcome, published)) => {
                            outcomes.extend(outcome);
                            events.extend(published);
                        }
                        Err(error) => outcomes.push(Err(error)),
                    }
                }
                (outcomes, events)
            }
            Err(error) => (changes.iter().map(|_| Err(error.clone())).collect(), Vec::new()),
        }
    }

    fn transact(
        &mut self,
        changes: &[Change],
        now: OffsetDateTime,
    ) -> Result<(Vec<Outcome>, Vec<Published>), QueueError> {
        // If the transaction fails, nothing of it is kept.
        let recent = std::mem::take(&mut self.recent);
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let (before, created) = transaction
                .prepare_cached("SELECT version, created FROM sequence")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let published = Vec::new();
            let mut batch = Batch { transaction: &transaction, now, version: before, created, published, recent };
            let mut outcomes = Vec::with_capacity(changes.len());
            for change in changes {
                match apply(&mut batch, change) {
                    Ok(answer) => outcomes.push(Ok(answer)),
                    Err(Failure::Refused(refused)) => outcomes.push(Err(QueueError::Refused(refused))),
                    Err(Failure::Database(error)) => return Err(error),
                }
            }
            let Batch { version, published, recent, .. } = batch;
            if version > before {
                transaction.prepare_cached("UPDATE sequence SET version = ?1")?.execute([version])?;
            }
            transaction.commit()?;
            Ok(((outcomes, published), recent))
        };
        let (done, recent) = run(&mut self.connection).map_err(|error| QueueError::database(&self.path, &error))?;
        self.recent = recent;
        Ok(done)
    }
}

fn apply(batch: &mut Batch<'_>, change: &Change) -> Result<Answer, Failure> {
    match change {
        Change::Create(new) => create::create(batch, new),
        Change::Update { name, precondition, edit, by } => update::update(batch, name, precondition, edit, by),
        Change::Delete { name, precondition, by } => update::delete(batch, name, precondition, by),
        Change::Expire { retention, limit } => expire::expire(batch, *retention, *limit),
        Change::Close { host, message } => expire::close(batch, host, message),
        Change::CreateLease { namespace, name, spec } => leases::create(batch, namespace, name, spec),
        Change::UpdateLease { namespace, name, precondition, spec } => {
            leases::update(batch, namespace, name, precondition, spec)
        }
        Change::DeleteLease { namespace, name } => leases::delete(batch, namespace, name),
    }
}

#[cfg(test)]
mod tests;
