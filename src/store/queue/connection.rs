//! The connection to the queue's database, and its transactions.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use time::OffsetDateTime;

use super::batch::{Batch, Failure, Recent};
use super::change::{Answer, Change, Published};
use super::error::{Cause, QueueError};
use super::schema::{self, FORMAT};
use super::{create, expire, leases, update};
use crate::store::files::{self, PRIVATE};

/// The time after which a transaction fails while another process locks the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The number of pages in the write-ahead log that starts a checkpoint.
const LOG_PAGES: u32 = 4096;
/// The number of prepared statements that are kept.
const STATEMENTS: usize = 64;

/// The open queue.
#[derive(Debug)]
pub struct Queue {
    connection: Connection,
    path: PathBuf,
    /// The open requests that this connection changed last, by name: a cache, which stays current because no other
    /// connection makes changes.
    recent: Recent,
}

/// The result of one change: an answer, a refusal, or a failure of the database.
pub type Outcome = Result<Answer, QueueError>;

impl Queue {
    /// Opens the queue for changes, and creates it, mode 0600, if it does not exist.
    ///
    /// # Errors
    /// Returns an error if it cannot be opened, is damaged, or was written by a later version.
    pub fn open(path: &Path) -> Result<Self, QueueError> {
        let failed = |cause, reason| QueueError::Database { path: path.to_owned(), cause, reason };
        // A pipe would be waited for.
        if files::exists(path) && !files::is_plain_file(path) {
            return Err(failed(Cause::Access, "it is a folder, a pipe, a socket or a device".to_owned()));
        }
        // SQLite would create a file that all users can read. The write-ahead log gets the mode of the database.
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

    /// Opens an existing queue for reading, while another process may change it.
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
            // Otherwise SQLite prepares a query again for each value, in case another plan is better for that value.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
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
    /// If the database fails for another reason than a lock, the changes are made one by one, so that one that cannot be
    /// written does not prevent the others.
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
        // If the transaction fails, the cache stays empty.
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
