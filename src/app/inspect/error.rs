//! Errors of describing a file.

use std::path::PathBuf;

use super::walk::WalkError;
use crate::app::history::similar_holder;
use crate::app::input::InputError;
use crate::app::package::reader::ReadBundleError;
use crate::app::{Remedy, with_causes};
use crate::bundle::archive::ArchiveError;
use crate::bundle::encryption::DecryptError;
use crate::config::kubeconfig::KubeconfigError;
use crate::pki::material::MaterialError;
use crate::sanitize::{sanitized, sanitized_lines};
use crate::store::ledger::Ledger;

/// Errors of describing a file.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It is neither a file nor in the ledger.
    #[error("{name:?} is not a file, and the ledger has no such host, account, serial number or SHA-256")]
    NotRecorded {
        /// The name on the command line.
        name: String,
        /// The most similar name that the ledger has.
        similar: Option<String>,
    },
    /// A part of a named folder is not searched.
    #[error("{} is not read: {error}", sanitized(&path.display().to_string()))]
    Walk {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        error: WalkError,
    },
    /// It is damaged, or of a kind that is not described.
    #[error("{} cannot be inspected: {}", sanitized(&path.display().to_string()), sanitized_lines(&reason.to_string()))]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        reason: Unreadable,
    },
}

/// Errors of describing the content of a file.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A folder has no file of a known kind.
    #[error("no file in this folder is of a known kind")]
    Folder,
    /// A bundle is damaged, or cannot be read.
    #[error("{}", with_causes(.0))]
    Bundle(ReadBundleError),
    /// An encrypted file has no valid header.
    #[error(transparent)]
    Encrypted(DecryptError),
    /// PEM or DER is damaged.
    #[error(transparent)]
    Material(MaterialError),
    /// A kubeconfig is damaged.
    #[error(transparent)]
    Kubeconfig(KubeconfigError),
    /// It is a well-known kind of file that is not described.
    #[error("{0}")]
    OtherKind(&'static str),
    /// It is of no known kind.
    #[error("it is of no known kind")]
    UnknownKind,
    /// A part of it is damaged.
    #[error("{kind}: {problem}")]
    Part {
        /// The expected kind of the part.
        kind: &'static str,
        /// The reason.
        problem: String,
    },
}

impl InspectError {
    pub(super) fn not_recorded(name: &str, ledger: &Ledger) -> Self {
        // The similar name is only a hint; an unreadable ledger is reported elsewhere.
        let similar = similar_holder(ledger, name).unwrap_or_default();
        Self::NotRecorded { name: name.to_owned(), similar }
    }

    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Input(error) => error.remedy(),
            Self::NotRecorded { similar, .. } => Some(Remedy::NameAKnownHolder(similar.clone())),
            Self::Walk { .. } => None,
            Self::Unreadable { .. } => Some(Remedy::InspectKnownKinds),
        }
    }
}

impl From<ArchiveError> for Unreadable {
    fn from(error: ArchiveError) -> Self {
        Self::Bundle(error.into())
    }
}
