//! Backs the cluster directory up into one encrypted file, and restores it.

mod check;
mod create;
mod error;
mod restore;

pub use create::{BACKUP_EVENT, BackupOptions, BackupReport, LeftOut, backup};
pub use error::{BackupError, RestoreError};
pub use restore::{OpenedBackup, RestoreOptions, RestoreReport, open, restore};
