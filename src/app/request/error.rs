//! Errors of making a request.

use std::path::PathBuf;

use crate::app::remedy::Remedy;
use crate::pki::key::KeyError;
use crate::pki::ssh::SshError;

/// Errors of making a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The root under which the keys belong is not a folder.
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
    /// A key exists, and others than its owner can read it.
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
    /// The file that would be replaced is not a request.
    #[error("{} exists, and it is not a request of clusterctl", .0.display())]
    OtherFile(PathBuf),
}

impl RequestError {
    pub(in crate::app) fn remedy(&self) -> Remedy {
        match self {
            Self::NoRoot(_) => Remedy::NameAnotherRoot,
            Self::Key { .. } | Self::ReadableByOthers { .. } => Remedy::MoveKeyAway,
            Self::HostKey(_) => Remedy::NameAnotherHostKey,
            Self::OtherFile(_) => Remedy::NameAnotherRequestFile,
        }
    }
}
