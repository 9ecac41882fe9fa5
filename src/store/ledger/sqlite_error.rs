//! Converts SQLite's errors into the store's.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::error::StoreError;
use crate::store::files;

/// The beginning of every database (sqlite.org/fileformat2.html, § 1.3).
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Converts an error of SQLite for the ledger at `path` into the store's error.
pub(super) fn store_error(path: &Path, error: &Error) -> StoreError {
    let path = path.to_owned();
    if let Error::FromSqlConversionFailure(_, _, cause) = error {
        return StoreError::LedgerDamaged { path, reason: cause.to_string() };
    }
    // The log's index, a memory-mapped file, cannot grow.
    let is_full = error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_SHMSIZE);
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) if is_full => no_space(path),
        Some(ErrorCode::NotADatabase) if !files::begins_with(&path, MAGIC) => {
            StoreError::LedgerForeign { path, reason: error.to_string() }
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::LedgerDamaged { path, reason: error.to_string() }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::LedgerLocked { path },
        Some(ErrorCode::DiskFull) => no_space(path),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            StoreError::Io { doing: "write", path, kind: io::ErrorKind::PermissionDenied, reason: error.to_string() }
        }
        _ => StoreError::Ledger { path, reason: error.to_string() },
    }
}

fn no_space(path: PathBuf) -> StoreError {
    let reason = "No space left on device".to_owned();
    StoreError::Io { doing: "write", path, kind: io::ErrorKind::StorageFull, reason }
}
