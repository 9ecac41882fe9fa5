//! Errors of writing the access rules.

use std::path::PathBuf;

use crate::app::remedy::Remedy;

/// Errors of writing the access rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The folder, which is replaced as a whole, has a file that clusterctl did not write.
    #[error("clusterctl did not write {}, and the folder is replaced as a whole", .0.display())]
    OtherFile(PathBuf),
    /// A stop was requested before anything was changed.
    #[error("stopped on request; nothing was changed")]
    Stopped,
}

impl PolicyError {
    pub(in crate::app) fn remedy(&self) -> Remedy {
        match self {
            Self::OtherFile(_) => Remedy::KeepFilesElsewhere,
            Self::Stopped => Remedy::RunAgain,
        }
    }
}
