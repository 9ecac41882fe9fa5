//! The texts of remedies for a file or a ledger that cannot be used.

use std::io::ErrorKind;
use std::path::Path;

use crate::store::error::StoreError;
use crate::store::files::A_FOLDER as FOLDER;

pub(super) fn words(error: &StoreError) -> Option<String> {
    Some(match error {
        StoreError::Io { kind, path, .. } => return of_system(*kind, path),
        StoreError::TooLarge { .. } | StoreError::Missing(_) => return None,
        StoreError::NotPlain { kind: FOLDER, .. } => "name a file".to_owned(),
        StoreError::NotPlain { .. } => {
            "copy its content into a file, or give it as <(…) or, where a command reads standard input, as -".to_owned()
        }
        StoreError::NoWriter { .. } => "start the program that writes into it first, or use a file".to_owned(),
        StoreError::Exists(path) => format!("move {} away if it is no longer needed", path.display()),
        StoreError::InTheWay(path) => format!("move {} somewhere else, then try again", path.display()),
        StoreError::TokenRotation(path) => {
            format!("use the newer clusterctl that wrote {}, or restore it from a backup", path.display())
        }
        StoreError::Locked { .. } => "wait until it is done, then run the same command again".to_owned(),
        StoreError::LedgerMissing(path) | StoreError::LedgerEmpty(path) | StoreError::LedgerForeign { path, .. } => {
            format!(
                "restore {} from the newest backup: it is the record of every certificate that was issued. Without one, make a new ledger \
                 from the certificates, CRLs and bundles in this directory, with: clusterctl ledger rebuild",
                path.display()
            )
        }
        StoreError::LedgerDamaged { path, .. } => format!(
            "restore {} from the newest backup. Without one, make a new ledger from the certificates, CRLs and bundles in this \
             directory, with: clusterctl ledger rebuild (the damaged one is kept)",
            path.display()
        ),
        StoreError::LedgerLogForeign(log) => format!(
            "if the ledger was restored from a backup, remove {} : it contains what an interrupted command recorded \
             after that backup",
            log.display()
        ),
        StoreError::LedgerNewer { .. } => "use the newer clusterctl that wrote it".to_owned(),
        StoreError::LedgerLocked { .. } => "close the program that has it open, then try again".to_owned(),
        StoreError::Ledger { .. } => "check the disk and the file's owner and mode".to_owned(),
    })
}

fn of_system(kind: ErrorKind, path: &Path) -> Option<String> {
    Some(match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space and run the same command again: nothing is lost".to_owned()
        }
        ErrorKind::PermissionDenied => format!(
            "check who owns {} and the folder that it is in, and their modes, or run as their owner",
            path.display()
        ),
        ErrorKind::NotFound => format!("make the folder {} first", path.parent()?.display()),
        ErrorKind::ReadOnlyFilesystem => "the file system is mounted read-only".to_owned(),
        ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::AlreadyExists => format!(
            "there is a folder instead of a file, or a file instead of a folder: check {}, and move away what does not \
             belong there",
            path.display()
        ),
        _ => return None,
    })
}
