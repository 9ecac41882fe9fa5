//! Errors of opening a bundle.

use std::path::PathBuf;

use super::remedy::Remedy;
use crate::app::remedy::Remedy as AppRemedy;
use crate::bundle::archive::ArchiveError;
use crate::bundle::encryption::DecryptError;
use crate::bundle::signature::SignatureError;

/// Errors of opening a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenBundleError {
    /// It cannot be decrypted.
    #[error("{} cannot be decrypted", path.display())]
    Decrypt {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: DecryptError,
    },
    /// It is not a bundle, or is damaged.
    #[error("{} is not a valid bundle", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: ArchiveError,
    },
    /// None of the allowed signers signed it.
    #[error("{} is not signed by an allowed signer", path.display())]
    Signature {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: SignatureError,
    },
    /// The folder to unpack into exists.
    #[error("{} exists already, so nothing was written", .0.display())]
    FolderExists(PathBuf),
}

impl OpenBundleError {
    pub(in crate::app) fn remedy(&self) -> AppRemedy {
        AppRemedy::Package(match self {
            Self::Decrypt { source: DecryptError::OtherRecipients { .. }, .. } => Remedy::UseRecipientsIdentity,
            Self::Decrypt { source: DecryptError::Armored, .. } => Remedy::RemoveArmor,
            Self::Decrypt { source: DecryptError::Damaged | DecryptError::Truncated, .. } => Remedy::CopyBundleAgain,
            Self::Decrypt {
                source: DecryptError::Header | DecryptError::Passphrase | DecryptError::TooLarge, ..
            } => Remedy::CheckFile,
            Self::Invalid { source, .. } if source.is_newer() => Remedy::UseNewerVersion,
            Self::Invalid { .. } => Remedy::CopyBundleAgain,
            Self::Signature { .. } => Remedy::GetSignedBundle,
            Self::FolderExists(_) => Remedy::NameAnotherFolder,
        })
    }
}
