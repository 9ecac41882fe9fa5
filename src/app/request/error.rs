//! Errors of creating a request.

use std::path::PathBuf;

use super::remedy::Remedy;
use crate::pki::key::KeyError;
use crate::pki::ssh::SshError;

/// Errors of creating a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The root folder for the keys is not a folder.
    #[error("there is no folder {}", .0.display())]
    NoRoot(PathBuf),
    /// A key exists and cannot be used.
    #[error("the key {} cannot be used, and it is not replaced", path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// The reason.
        source: KeyError,
    },
    /// A key exists, and users other than its owner can read it.
    #[error("the key {} has mode {mode:04o}, others can read it", path.display())]
    ReadableByOthers {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The SSH host key cannot sign.
    #[error("the SSH host key cannot sign")]
    HostKey(#[source] SshError),
    /// The file that would be replaced is not a request of this host.
    #[error("{} exists, and it is not a request of this host", .0.display())]
    OtherFile(PathBuf),
    /// A link below the root leads out of it, for example an absolute one in an image.
    #[error("{} is a link that leads out of {}", path.display(), root.display())]
    LeadsOut {
        /// The link.
        path: PathBuf,
        /// The root.
        root: PathBuf,
    },
}

impl RequestError {
    pub(in crate::app) fn remedy(&self) -> Remedy {
        match self {
            Self::NoRoot(_) => Remedy::NameAnotherRoot,
            Self::Key { .. } => Remedy::MoveKeyAway,
            Self::ReadableByOthers { path, .. } => Remedy::CloseKey(path.clone()),
            Self::LeadsOut { .. } => Remedy::NameAnotherRoot,
            Self::HostKey(_) => Remedy::NameAnotherHostKey,
            Self::OtherFile(_) => Remedy::NameAnotherFile,
        }
    }
}
