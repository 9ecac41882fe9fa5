//! The texts of remedies for directories that cannot be backed up or restored.

use crate::app::backup::{BackupError, RestoreError};
use crate::bundle::backup::BackupContentError;
use crate::bundle::backup_manifest::BackupManifestError;
use crate::bundle::encrypted_stream::StreamError;

pub(super) fn of_backup(error: &BackupError) -> String {
    let text = match error {
        BackupError::Inside(_) => "name a file outside the directory, preferably on another disk",
        BackupError::Ledger(_) => {
            "clusterctl ledger check lists all faults. Restore an older backup, or copy the directory as it is, and \
             find out which program changed the ledger"
        }
        BackupError::OtherIssuer(_) => {
            "clusterctl verify --offline describes it; issue it again with clusterctl issue-node or issue-master, or move the file \
             away"
        }
        BackupError::Changed(_) => "run the same command again, while no other program writes in the directory",
        BackupError::Unsuited(_) => "move or rename the named files, then run the same command again",
        BackupError::Encrypt(_) => "name other recipients with --encrypt-to",
    };
    text.to_owned()
}

pub(super) fn of_restore(error: &RestoreError) -> String {
    let text = match error {
        RestoreError::NotEmpty { .. } => {
            "name a folder that is empty or does not exist, with --dir; a backup never replaces a directory"
        }
        RestoreError::Decrypt { source, .. } => stream(source),
        RestoreError::Content { source: BackupContentError::Manifest(BackupManifestError::Newer { .. }), .. } => {
            "use the newer clusterctl that wrote it"
        }
        RestoreError::Content { source: BackupContentError::Manifest(BackupManifestError::NotOne), .. } => {
            "name a file that clusterctl backup wrote"
        }
        RestoreError::Content { .. } | RestoreError::Directory { .. } => {
            "nothing was restored. Use another backup. If there is none and you trust the author of this one: age -d -i KEY FILE | tar \
             -tv lists what is in it"
        }
        RestoreError::OtherCluster { .. } => {
            "name a backup of that cluster, or the pin of this backup's cluster, which clusterctl show ca.crt prints"
        }
        RestoreError::OtherHead { .. } => {
            "the backup is older than that head, or its ledger was rebuilt: use a newer backup, or omit --head"
        }
    };
    text.to_owned()
}

fn stream(error: &StreamError) -> &'static str {
    match error {
        StreamError::NotEncrypted => "name a file that clusterctl backup wrote: it is always encrypted",
        StreamError::Armored => {
            "remove the armor first: age -d and age -e, or base64 -d without its first and last line"
        }
        StreamError::Header | StreamError::Damaged => {
            "copy the file again from where backups are kept, and compare its SHA-256; or use another backup"
        }
        StreamError::PassphraseNeeded => {
            "give the passphrase with --passphrase-file FILE or CLUSTERCTL_BACKUP_PASSPHRASE, or run on a terminal without --identity"
        }
        StreamError::KeyNeeded { .. } => "name the key of one of its recipients with --identity KEY",
        StreamError::WrongPassphrase => "nothing was restored; try again with the right one",
        StreamError::TooMuchWork => "clusterctl does not write such files: decrypt it with age -d to see what it is",
        StreamError::Read(_) => "check the disk and the file's owner and mode",
    }
}
