//! Detects a write-ahead log that does not belong to the database beside it.
//!
//! A killed command leaves its log (`-wal`), and the next command that opens the database applies it. SQLite does not
//! detect that an older database was restored from a backup in between: the result would be a mixture of both. So every
//! transaction increments a number in the database's first page (in a field that SQLite leaves to applications,
//! `application_id`). A log that begins after number `n` has the numbers from `n + 1` on. It belongs to a database that
//! has `n` or, if a part of the log was already applied, a number of the log.

use std::fs::{self, File};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rusqlite::{Connection, Transaction};

use crate::store::error::StoreError;

/// The offset of the number in the first page (sqlite.org/fileformat2.html, § 1.3.10).
const NUMBER: usize = 68;
/// The bytes of the first page that are read.
const PREFIX: usize = 100;
/// The sizes of the log's header, and of the header of each frame, a page in the log (sqlite.org/fileformat2.html, § 4.1).
const WAL_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The number of attempts. If the log and the database do not match, both are read again, because a running command may
/// have moved pages from the log to the database in between.
const ATTEMPTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(50);

/// Returns the path of a file that SQLite keeps beside the database, with this ending: `-wal`, `-shm`.
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Increments the number in the first page, as a part of a transaction.
pub(super) fn increment(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let number: i32 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
    transaction.pragma_update(None, "application_id", number.wrapping_add(1))
}

/// Checks that the log beside a database belongs to it, if there is one.
///
/// # Errors
/// Returns [`StoreError::LedgerLogForeign`] if it does not, or the system's error.
pub(super) fn check(database: &Path) -> Result<(), StoreError> {
    let log = beside(database, "-wal");
    let failed = |error: io::Error| StoreError::io("read", &log, &error);
    for attempt in 1.. {
        if belongs(database, &log).map_err(failed)? {
            break;
        }
        if attempt == ATTEMPTS {
            return Err(StoreError::LedgerLogForeign(log));
        }
        sleep(PAUSE);
    }
    Ok(())
}

fn belongs(database: &Path, log: &Path) -> io::Result<bool> {
    let log = match fs::metadata(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        // A pipe would be waited for.
        Ok(metadata) if !metadata.is_file() => return Ok(false),
        _ => File::open(log)?,
    };
    let Some(first_page) = read::<PREFIX>(&File::open(database)?, 0)? else { return Ok(true) };
    let Some(numbers) = numbers_in(&log)? else { return Ok(true) };
    let number = u32_at(&first_page, NUMBER);
    // The number wraps around.
    Ok(number.wrapping_sub(*numbers.start()) <= numbers.end().wrapping_sub(*numbers.start()))
}

/// Returns the numbers of the databases to which a log belongs; `None` if the log has no copy of the first page, and
/// therefore no transaction of clusterctl.
fn numbers_in(log: &File) -> io::Result<Option<RangeInclusive<u32>>> {
    let Some(header) = read::<WAL_HEADER>(log, 0)? else { return Ok(None) };
    let (page_size, salts) = (u64::from(u32_at(&header, 8)), &header[16..24]);
    let mut found: Option<RangeInclusive<u32>> = None;
    let mut offset = WAL_HEADER as u64;
    while let Some(frame) = read::<{ FRAME_HEADER + PREFIX }>(log, offset)? {
        // The rest belongs to an earlier log.
        if &frame[8..16] != salts {
            break;
        }
        if u32_at(&frame, 0) == 1 {
            let number = u32_at(&frame, FRAME_HEADER + NUMBER);
            let start = found.map_or(number.wrapping_sub(1), |found| *found.start());
            found = Some(start..=number);
        }
        offset += FRAME_HEADER as u64 + page_size;
    }
    Ok(found)
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes[offset..offset + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Reads `N` bytes; `None` if the file ends before.
fn read<const N: usize>(file: &File, offset: u64) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Moves the log into the database and empties it (a checkpoint), except for pages that a reader still needs.
///
/// Does not wait for readers.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}
