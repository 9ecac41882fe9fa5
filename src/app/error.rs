//! The errors of all use cases, in one enum: [`crate::cli::exit`] maps each to an exit status.

use std::error::Error as StdError;

use super::admin::AdminError;
use super::backup::{BackupError, RestoreError};
use super::ca::{CreateCaError, ImportCaError, RenewCaError};
use super::directory_error::DirectoryError;
use super::enrol::AnnounceError;
use super::enrol::JoinTokenError;
use super::enrol::join::JoinError;
#[cfg(feature = "server")]
use super::enrol::serve::ServeError;
#[cfg(feature = "server")]
use super::enrol::{ConnectionError, DecisionError, ReviewRemedy, SignerError};
use super::history::HistoryError;
use super::init::InitError;
use super::input::InputError;
use super::inspect::InspectError;
use super::issue::IssuanceError;
use super::ledger::RebuildError;
use super::lint::LintError;
use super::package::{OpenBundleError, PackageError, TemplatesError};
use super::policy::PolicyError;
use super::remedy::Remedy;
use super::remove::RemoveError;
use super::request::RequestError;
use super::revoke::RevokeError;
use super::rotate::RotateError;
use super::rotate::tokens::TokenRotationError;
use super::sign::SignError;
use super::status::StatusError;
use super::verify::VerifyError;
use crate::pki::issuer::IssueError;
#[cfg(feature = "server")]
use crate::server::bootstrap::BootstrapError;
use crate::store::ca::CaError;
use crate::store::error::StoreError;

/// Errors of use cases.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The CAs cannot be created.
    #[error(transparent)]
    CreateCa(#[from] CreateCaError),
    /// A CA cannot be imported.
    #[error(transparent)]
    ImportCa(#[from] ImportCaError),
    /// Intermediates cannot be replaced.
    #[error(transparent)]
    RenewCa(#[from] RenewCaError),
    /// The cluster file cannot be written.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A file cannot be described.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The ledger has no entry for the requested name.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A live cluster cannot be verified.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The access rules cannot be written.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A file named by the user cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An administrator's kubeconfig cannot be issued.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Credentials cannot be issued.
    #[error(transparent)]
    Issuance(#[from] IssuanceError),
    /// Hosts cannot be removed.
    #[error(transparent)]
    Remove(#[from] RemoveError),
    /// A host's request cannot be created.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The directory cannot be backed up.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A backup cannot be restored.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The ledger cannot be rebuilt.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// Files cannot be checked by rules.
    #[error(transparent)]
    Lint(#[from] LintError),
    /// A cluster cannot be registered or announced.
    #[error(transparent)]
    Announce(#[from] AnnounceError),
    /// A bootstrap endpoint cannot start.
    #[cfg(feature = "server")]
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// A token cannot be created or found.
    #[error(transparent)]
    Token(#[from] JoinTokenError),
    /// A host cannot join, or its certificates cannot be renewed.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// A signer cannot work.
    #[cfg(feature = "server")]
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// A kubeconfig cannot be used.
    #[cfg(feature = "server")]
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A person's decision cannot be written.
    #[cfg(feature = "server")]
    #[error(transparent)]
    Decision(#[from] DecisionError),
    /// Requests are refused.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Certificates cannot be revoked, or the state of revocations cannot be determined.
    #[error(transparent)]
    Revoke(#[from] RevokeError),
    /// A CA cannot be rotated, or the rotation cannot continue.
    #[error(transparent)]
    Rotate(#[from] RotateError),
    /// The key of service accounts cannot be rotated.
    #[error(transparent)]
    TokenRotation(#[from] TokenRotationError),
    /// The expiry of certificates cannot be determined.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// A CA's certificate or key cannot be used.
    #[error(transparent)]
    Ca(CaError),
    /// A certificate or a CRL cannot be signed.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// Bundles cannot be packed.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A bundle cannot be opened.
    #[error(transparent)]
    OpenBundle(#[from] OpenBundleError),
    /// Templates cannot be used.
    #[error(transparent)]
    Templates(#[from] TemplatesError),
    /// The enrolment CA's server cannot start.
    #[cfg(feature = "server")]
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A file or the ledger cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CaError> for Error {
    fn from(error: CaError) -> Self {
        match error {
            CaError::Store(error) => Self::Store(error),
            error => Self::Ca(error),
        }
    }
}

impl Error {
    /// Returns the remedy as data; `None` if no remedy is known.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Directory(error) => error.remedy(),
            Self::CreateCa(error) => error.remedy(),
            Self::ImportCa(error) => error.remedy(),
            Self::RenewCa(error) => Some(Remedy::OfRenewedCa(error.clone())),
            Self::Init(error) => Some(error.remedy()),
            Self::Inspect(error) => error.remedy(),
            Self::History(error) => error.remedy(),
            Self::Verify(error) => error.remedy(),
            Self::Policy(error) => Some(error.remedy()),
            #[cfg(feature = "server")]
            Self::Signer(error) => Some(Remedy::Review(error.remedy())),
            #[cfg(feature = "server")]
            Self::Connection(_) => Some(Remedy::Review(ReviewRemedy::CorrectKubeconfig)),
            #[cfg(feature = "server")]
            Self::Decision(error) => Some(Remedy::Review(error.remedy())),
            Self::Input(error) => error.remedy(),
            Self::Admin(error) => error.remedy(),
            Self::Issuance(error) => error.remedy(),
            Self::Remove(error) => error.remedy(),
            Self::Request(error) => Some(Remedy::Request(error.remedy())),
            Self::Backup(error) => Some(error.remedy()),
            Self::Restore(error) => Some(error.remedy()),
            Self::Rebuild(RebuildError::NothingWrong(_)) => Some(Remedy::CheckLedger),
            Self::Lint(error) => Some(error.remedy()),
            Self::Announce(error) => Some(Remedy::OfAnnouncement(error.clone())),
            #[cfg(feature = "server")]
            Self::Bootstrap(error) => match error {
                BootstrapError::Listen { .. } => Some(Remedy::ListenElsewhere),
                BootstrapError::InUse(_) => Some(Remedy::NameAnotherState),
                BootstrapError::Damaged(path) => Some(Remedy::RestoreRegistrations(path.clone())),
                BootstrapError::Tls(_) => None,
            },
            Self::Token(error) => Some(Remedy::OfToken(error.clone())),
            Self::Join(error) => error.remedy().map(Remedy::Join),
            Self::Sign(error) => Some(error.remedy()),
            Self::Revoke(error) => error.remedy(),
            Self::Rotate(error) => error.remedy(),
            Self::TokenRotation(error) => error.remedy(),
            Self::Status(error) => error.remedy(),
            Self::Ca(error) => Some(Remedy::OfCa(error.clone())),
            Self::Issue(_) => None,
            Self::Package(error) => error.remedy().map(Remedy::Package),
            Self::OpenBundle(error) => Some(error.remedy()),
            Self::Templates(error) => error.remedy(),
            #[cfg(feature = "server")]
            Self::Serve(error) => error.remedy(),
            Self::Store(error) => Some(Remedy::OfStore(error.clone())),
        }
    }
}

/// Returns an error and its causes on one line.
#[must_use]
pub fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut link = error.source();
    while let Some(cause) = link {
        text.push_str(&format!(": {cause}"));
        link = cause.source();
    }
    text
}
