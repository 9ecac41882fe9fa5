//! Why a file is not described.

use std::path::PathBuf;

use crate::app::input::InputError;
use crate::app::package::reader::ReadBundleError;
use crate::app::{Remedy, in_full};
use crate::bundle::archive::ArchiveError;
use crate::bundle::encryption::DecryptError;
use crate::config::kubeconfig::KubeconfigError;
use crate::pki::material::MaterialError;
use crate::sanitize::{sanitized, sanitized_lines};

/// Why a file is not described, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It is damaged, or of a kind that is not described.
    #[error("{} cannot be inspected: {}", sanitized(&path.display().to_string()), sanitized_lines(&reason.to_string()))]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        reason: Unreadable,
    },
}

/// Why the content of a file is not described.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A folder has no file of a known kind.
    #[error("no file in this folder is of a known kind")]
    Folder,
    /// A bundle is damaged, or cannot be read.
    #[error("{}", in_full(.0))]
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
        /// What the part should be.
        kind: &'static str,
        /// The reason.
        problem: String,
    },
}

impl InspectError {
    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Input(error) => error.remedy(),
            Self::Unreadable { .. } => Some(Remedy::InspectKnownKinds),
        }
    }
}

impl From<ArchiveError> for Unreadable {
    fn from(error: ArchiveError) -> Self {
        Self::Bundle(error.into())
    }
}
