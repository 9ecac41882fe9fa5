//! The connection to the ledger: opens it, and runs the transactions of the other modules.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags, Transaction, TransactionBehavior};
use tempfile::TempDir;

use super::chain::{self, Watermarks};
use super::schema::{self, FORMAT};
use super::sqlite_error::store_error;
use super::wal;
use crate::pki::fingerprint::hex;
use crate::store::error::StoreError;
use crate::store::files::{self, PRIVATE};

/// The time after which opening or writing fails while another process locks the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The number of pages in the log after which it is moved into the database. This is more than SQLite's default of
/// 1,000, because digests are random, so every batch of certificates changes the same pages of the indexes again.
const LOG_PAGES: u32 = 4096;

/// SQLite's own page cache, in KiB.
const CACHE_KIB: usize = 2_000;
/// The largest page cache: enough for the indexes of 65,000 certificates, in KiB.
const MAX_CACHE_KIB: usize = 32 << 10;
/// The size of one certificate's entries in the indexes, in bytes, with the unused part of their pages.
const INDEX_BYTES: usize = 512;

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    connection: Connection,
    path: PathBuf,
    writes: bool,
    /// The folder of the temporary copy, if a copy is open instead of the ledger itself.
    _copy: Option<TempDir>,
}

impl Ledger {
    /// Creates the ledger, mode 0600, or opens the existing one.
    ///
    /// # Errors
    /// Returns the errors of [`Ledger::open`].
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        Self::create_as(path, path)
    }

    /// Like [`Ledger::create`], for a ledger that will be renamed to `place`, which its errors name.
    ///
    /// # Errors
    /// Returns the errors of [`Ledger::open`].
    pub(in crate::store) fn create_as(path: &Path, place: &Path) -> Result<Self, StoreError> {
        if files::exists(path) {
            check_is_plain(path)?;
        }
        // SQLite would create it readable by all users. The log inherits the mode.
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(PRIVATE)
            .open(path)
            .map_err(|error| StoreError::io("create", place, &error))?;
        // SQLite gives the files beside it the same owner.
        files::give_file(&file, path);
        let connection = connect(path).map_err(|error| error.at_place(path, place))?;
        let mut ledger = Self { connection, path: place.to_owned(), writes: false, _copy: None };
        ledger.migrate()?;
        ledger.check_format()?;
        ledger.writes = true;
        Ok(ledger)
    }

    /// Opens the ledger for writing, and migrates an older format. On a read-only medium it is opened for reading.
    ///
    /// Commands that only read use [`Ledger::open_read_only`].
    ///
    /// # Errors
    /// Returns an error if the ledger is missing, damaged, held by another program, or written by a later version, or
    /// if the WAL file beside it belongs to another state of the ledger.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        match Self::connect_existing(path) {
            Ok(mut ledger) if !ledger.read(|connection| connection.is_readonly(MAIN_DB))? => {
                ledger.check_format()?;
                ledger.migrate()?;
                ledger.writes = true;
                Ok(ledger)
            }
            Ok(_) | Err(StoreError::Io { kind: ErrorKind::PermissionDenied, .. }) => Self::open_read_only(path),
            Err(error) => Err(error),
        }
    }

    /// Opens the ledger for reading, even while another process writes it, and in a read-only directory.
    ///
    /// A ledger of an older format is copied, and the copy is migrated. The ledger itself does not change.
    ///
    /// # Errors
    /// Returns the errors of [`Ledger::open`].
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let ledger = match Self::connect_existing(path) {
            Ok(ledger) => ledger,
            // On a full disk, SQLite cannot create the log's index either.
            Err(StoreError::Io { kind: ErrorKind::PermissionDenied | ErrorKind::StorageFull, .. }) => {
                Self::connect_read_only(path)?
            }
            Err(error) => return Err(error),
        };
        ledger.check_format()?;
        if ledger.format()? < FORMAT {
            return ledger.migrated_copy();
        }
        ledger.read(|connection| connection.pragma_update(None, "query_only", true))?;
        Ok(ledger)
    }

    /// Connects to an existing ledger. The log is checked first, and the format is read to test whether the ledger is
    /// readable at all.
    fn connect_existing(path: &Path) -> Result<Self, StoreError> {
        if !files::exists(path) {
            return Err(StoreError::LedgerMissing(path.to_owned()));
        }
        check_is_plain(path)?;
        wal::check(path)?;
        let ledger = Self::connect(path)?;
        ledger.format()?;
        Ok(ledger)
    }

    /// Connects to a ledger in a directory in which SQLite cannot create the log's index.
    fn connect_read_only(path: &Path) -> Result<Self, StoreError> {
        if fs::metadata(wal::beside(path, "-wal")).is_ok_and(|log| log.len() > 0) {
            return Self::copy_of_files(path);
        }
        // Without a log, the file is the complete ledger, and no process can write it.
        let absolute = std::path::absolute(path).map_err(|error| StoreError::io("open", path, &error))?;
        let digits = hex(absolute.as_os_str().as_bytes());
        let escaped: String =
            digits.as_bytes().chunks(2).flat_map(|byte| [b'%', byte[0], byte[1]]).map(char::from).collect();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)
            .map_err(|error| store_error(path, &error))?;
        Ok(Self { connection, path: path.to_owned(), writes: false, _copy: None })
    }

    /// Copies the ledger and its log, and opens the copy.
    fn copy_of_files(path: &Path) -> Result<Self, StoreError> {
        let (folder, copy) = temporary(path)?;
        for ending in ["", "-wal"] {
            let from = wal::beside(path, ending);
            fs::copy(&from, wal::beside(&copy, ending)).map_err(|error| StoreError::io("copy", &from, &error))?;
        }
        Ok(Self { connection: connect(&copy)?, path: path.to_owned(), writes: false, _copy: Some(folder) })
    }

    fn migrated_copy(&self) -> Result<Self, StoreError> {
        let (folder, copy) = temporary(&self.path)?;
        self.copy_into(&copy)?;
        let mut ledger =
            Self { connection: connect(&copy)?, path: self.path.clone(), writes: false, _copy: Some(folder) };
        ledger.migrate()?;
        Ok(ledger)
    }

    /// Copies the ledger as it is at one moment into a new file.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub(in crate::store) fn copy_into(&self, path: &Path) -> Result<(), StoreError> {
        let copied = self.read(|connection| connection.execute("VACUUM INTO ?1", [path.to_string_lossy()]));
        copied.map(|_| ()).map_err(|error| match error {
            // The ledger is only read, so the file that cannot be written is the copy.
            StoreError::Io { .. } => error.at_place(&self.path, path),
            other => other,
        })
    }

    fn connect(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: connect(path)?, path: path.to_owned(), writes: false, _copy: None })
    }

    /// Migrates a ledger of an older format, completely or not at all, and switches it to WAL mode.
    fn migrate(&mut self) -> Result<(), StoreError> {
        if self.format()? < FORMAT {
            self.transact(schema::migrate)?;
        }
        // Readers prevent switching to WAL mode; in that case the next command tries again.
        match self
            .connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(|error| store_error(&self.path, &error))
        {
            Err(StoreError::LedgerLocked { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn format(&self) -> Result<i64, StoreError> {
        self.read(schema::format)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let found = self.format()?;
        if found > FORMAT {
            return Err(StoreError::LedgerNewer { path: self.path.clone(), found, known: FORMAT });
        }
        let readable =
            self.read(|connection| connection.prepare("SELECT seq, sha256 FROM certificates LIMIT 1").map(|_| ()));
        readable.map_err(|error| match error {
            _ if files::is_empty(&self.path) => StoreError::LedgerEmpty(self.path.clone()),
            StoreError::Ledger { path, .. } => {
                let reason = "there is no table of certificates in it".to_owned();
                StoreError::LedgerForeign { path, reason }
            }
            other => other,
        })
    }

    /// Sizes the page cache for recording this number of certificates in addition to the existing ones.
    ///
    /// Digests are random, so each batch changes pages in all parts of the indexes. Pages that are not in the cache are
    /// written and read again in every batch.
    pub fn reserve_cache(&self, certificates: usize) {
        let last =
            self.read(|connection| connection.query_row("SELECT max(seq) FROM certificates", [], |row| row.get(0)));
        let recorded = last.ok().flatten().and_then(|last: i64| usize::try_from(last).ok()).unwrap_or(0);
        let bytes = certificates.saturating_add(recorded).saturating_mul(INDEX_BYTES);
        let kib = (bytes / 1024).clamp(CACHE_KIB, MAX_CACHE_KIB);
        // A negative value is in KiB. A failure only makes recording slower.
        let _ = self.connection.pragma_update(None, "cache_size", -(kib as i64));
    }

    /// Runs a query.
    pub(super) fn read<'c, T>(
        &'c self,
        query: impl FnOnce(&'c Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        query(&self.connection).map_err(|error| self.error(&error))
    }

    /// Runs a transaction, which is complete and durable on return, or has no effect. The rows that it adds are
    /// chained.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.transact(|transaction| {
            let before = Watermarks::read(transaction)?;
            let done = work(transaction)?;
            chain::extend(transaction, &before).map(|()| done)
        })
    }

    fn transact<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let run = |connection: &mut Connection| {
            // Immediate, because a transaction that reads before it writes fails if another process wrote in between.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            wal::increment(&transaction)?;
            transaction.commit().map(|()| done)
        };
        run(&mut self.connection).map_err(|error| store_error(&self.path, &error))
    }

    /// Converts an error of SQLite to an error of the store.
    pub(super) fn error(&self, error: &rusqlite::Error) -> StoreError {
        store_error(&self.path, error)
    }
}

impl Drop for Ledger {
    /// Moves the log into the database. The last process that closes the ledger also removes the log.
    fn drop(&mut self) {
        if self.writes {
            // Pages that a reader still needs stay in the log. That reader or the next command moves them.
            let _ = wal::checkpoint(&self.connection);
        }
    }
}

/// Refuses a folder, and a FIFO, which would be waited for.
fn check_is_plain(path: &Path) -> Result<(), StoreError> {
    match files::is_plain_file(path) {
        true => Ok(()),
        false => {
            let reason = "it is a folder, a pipe, a socket or a device".to_owned();
            Err(StoreError::LedgerForeign { path: path.to_owned(), reason })
        }
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // Otherwise SQLite prepares a query again for each value, in case another plan is better for that value.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // In WAL mode this equals FULL: each commit is synced. Without WAL, while an older ledger is migrated, FULL
        // would not sync the folder after the journal is unlinked. After a power failure the journal could reappear and
        // undo the last transaction.
        connection.pragma_update(None, "synchronous", "EXTRA")?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        Ok(connection)
    };
    open().map_err(|error| store_error(path, &error))
}

/// Creates a temporary folder and names a ledger in it.
fn temporary(path: &Path) -> Result<(TempDir, PathBuf), StoreError> {
    let folder = tempfile::tempdir().map_err(|error| StoreError::io("copy", path, &error))?;
    let copy = folder.path().join("ledger.sqlite3");
    Ok((folder, copy))
}

#[cfg(test)]
mod tests;
