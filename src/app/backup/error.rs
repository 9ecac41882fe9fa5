//! Errors of backups.

use std::path::PathBuf;

use crate::app::ledger::LedgerFinding;
use crate::app::remedy::Remedy;
use crate::bundle::backup::BackupContentError;
use crate::bundle::backup_manifest::BackupManifestError;
use crate::bundle::encrypted_stream::StreamError;
use crate::bundle::encryption::EncryptError;
use crate::pki::fingerprint::Fingerprint;

/// Errors of creating a backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// The backup would be in a folder that is backed up.
    #[error("{} is in a folder that is backed up", .0.display())]
    Inside(PathBuf),
    /// The ledger is damaged: a backup of it could not be restored.
    #[error("the ledger is damaged: {}", listed(.0))]
    Ledger(Vec<LedgerFinding>),
    /// No CA of the directory signed a certificate of a host.
    #[error("no CA of this directory signed {}", .0.display())]
    OtherIssuer(PathBuf),
    /// A file was changed while it was backed up.
    #[error("{} was changed while it was backed up", .0.display())]
    Changed(PathBuf),
    /// A file or folder cannot be in a backup.
    #[error("the directory cannot be backed up")]
    Unsuited(#[source] BackupManifestError),
    /// The backup cannot be encrypted.
    #[error(transparent)]
    Encrypt(EncryptError),
}

/// Errors of restoring a backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The folder is not empty.
    #[error("{} is not empty: it has {}", folder.display(), names.join(", "))]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
        /// The first names in it.
        names: Vec<String>,
    },
    /// The file cannot be decrypted.
    #[error("{} cannot be decrypted", file.display())]
    Decrypt {
        /// The file.
        file: PathBuf,
        /// The reason.
        source: StreamError,
    },
    /// The file is not a backup, or not as clusterctl wrote it.
    #[error("{} cannot be restored", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// The reason.
        source: BackupContentError,
    },
    /// The cluster directory in it cannot be used.
    #[error("the cluster directory in {} cannot be used: {reason}", file.display())]
    Directory {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The cluster in it is not the one that its manifest names, or not the expected one.
    #[error("{} is a backup of another cluster: its root's public key is {found}, and not {expected}", file.display())]
    OtherCluster {
        /// The file.
        file: PathBuf,
        /// The pin of its root.
        found: String,
        /// The pin that is expected.
        expected: String,
    },
    /// The ledger's hash chain does not have the expected link.
    #[error("the ledger in {} does not have the link {expected} in its hash chain", file.display())]
    OtherHead {
        /// The file.
        file: PathBuf,
        /// The hash that is expected.
        expected: Fingerprint,
    },
}

impl BackupError {
    pub(in crate::app) fn remedy(&self) -> Remedy {
        Remedy::OfBackup(self.clone())
    }
}

impl RestoreError {
    pub(in crate::app) fn remedy(&self) -> Remedy {
        Remedy::OfRestore(self.clone())
    }
}

/// Returns the first findings as text.
fn listed(findings: &[LedgerFinding]) -> String {
    const NAMED: usize = 3;
    let one = |finding: &LedgerFinding| format!("{} at {}: {}", finding.id.as_str(), finding.place, finding.observed);
    let first: Vec<String> = findings.iter().take(NAMED).map(one).collect();
    match findings.len().saturating_sub(NAMED) {
        0 => first.join("; "),
        more => format!("{}; and {more} more", first.join("; ")),
    }
}
