//! Remedies of errors, as data; [`crate::cli::remedies`] renders them as text.

use std::path::PathBuf;

use super::backup::{BackupError, RestoreError};
use super::ca::{ImportCaError, RenewCaError};
use super::enrol::AnnounceError;
use super::enrol::JoinTokenError;
use super::enrol::join::JoinRemedy;
use super::nearby::Nearby;
use super::rotate::RotateError;
use super::rotate::tokens::TokenRotationError;
use super::{enrol, init, package, request, revoke, verify};
use crate::config::ReadError;
use crate::store::ca::CaError;
use crate::store::error::StoreError;
use crate::verify::remedy as finding;

/// The remedy for an error of a use case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Write a cluster file, or name the cluster directory.
    WriteClusterFile,
    /// Correct the cluster file; the error has the details.
    CorrectClusterFile(ReadError),
    /// Run as the owner of the directory, change its owner, or trust its owner.
    ChangeOwner,
    /// Restore the cluster's name in the cluster file.
    RestoreClusterName,
    /// Name a folder outside of the cluster directory for the roots' keys.
    NameAnotherRootFolder,
    /// Give each CA a key of its own.
    GiveEachCaItsKey,
    /// Use the passphrase of the other CAs' keys.
    UseTheSamePassphrase,
    /// Check the ledger, or record the revocations that a restored ledger lacks.
    CheckLedger,
    /// Restore a ledger that a check accepts, and find out who changed this one.
    RestoreLedger,
    /// A remedy for bundles that cannot be packed or opened.
    Package(package::Remedy),
    /// Start from the built-in templates, which work.
    EjectTemplates,
    /// Correct the template that the error names, or start from the built-in one.
    CorrectTemplate,
    /// Keep other files in another folder than the access rules.
    KeepFilesElsewhere,
    /// Name files of the kinds that are described.
    InspectKnownKinds,
    /// Decrypt the bundles first.
    OpenBundles,
    /// Name a host, an account, a serial number or a SHA-256 that the ledger has; perhaps this one.
    NameAKnownHolder(Option<String>),
    /// A remedy of [`verify`].
    Verify(verify::Remedy),
    /// A remedy of [`init`].
    Init(init::Remedy),
    /// Run again to continue; completed work is kept.
    Continue,
    /// Run again.
    RunAgain,
    /// Let the system give this process more threads.
    RaiseThreadLimit,
    /// Restore the key pair that signs service account tokens, or remove it to get a new one.
    RestoreServiceAccountKey,
    /// Use the person's own name for an administrator.
    NameThePerson,
    /// Issue a break-glass certificate for at most seven days.
    ShortenBreakGlass,
    /// Use another name, or replace the kubeconfig.
    ReissueAdmin,
    /// Reissue the kubeconfig by the flag of its group; for an administrator, remove it first.
    NameAdminGroup,
    /// Reissue the kubeconfig by the flag of its group, or remove it first.
    KeepAdminGroup,
    /// The remedy of a finding of the audit.
    OfFinding(finding::Remedy),
    /// Issue the masters' credentials.
    IssueServingCertificate,
    /// Name the master on which the server runs.
    NameTheMaster,
    /// Listen on another address, or stop the program that listens there.
    ListenElsewhere,
    /// End the other server, or name another folder of its state.
    NameAnotherState,
    /// Restore the file with the registration tokens, or move it away.
    RestoreRegistrations(PathBuf),
    /// Name a file that exists.
    NameAFile(Nearby),
    /// Use this similar name.
    DidYouMean(String),
    /// Remove the hosts from the cluster file first.
    RemoveFromClusterFile,
    /// A remedy for requests of hosts.
    Request(request::Remedy),
    /// The remedy for a cluster that is not registered or announced; the error has the details.
    OfAnnouncement(AnnounceError),
    /// The remedy for a token; the error has the details.
    OfToken(JoinTokenError),
    /// A remedy for hosts that join.
    Join(JoinRemedy),
    /// A remedy for the signer, and for the review of requests.
    Review(enrol::ReviewRemedy),
    /// List the rules.
    ListRules,
    /// The remedy for a rotation that cannot continue; the error has the details.
    Rotate(RotateError),
    /// Go on with the rotation of the key of service accounts, or begin one.
    TokenRotation(TokenRotationError),
    /// A remedy of [`revoke`].
    Revoke(revoke::Remedy),
    /// The remedy for a CA's file that cannot be used; the error has the details.
    OfCa(CaError),
    /// The remedy for a CA that cannot be imported; the error has the details.
    OfImport(ImportCaError),
    /// The remedy for intermediates that cannot be replaced; the error has the details.
    OfRenewedCa(RenewCaError),
    /// The remedy for a directory that cannot be backed up; the error has the details.
    OfBackup(BackupError),
    /// The remedy for a backup that cannot be restored; the error has the details.
    OfRestore(RestoreError),
    /// The remedy for a file or a ledger that cannot be used; the error has the details.
    OfStore(StoreError),
}

impl<R: Into<finding::Remedy>> From<R> for Remedy {
    fn from(remedy: R) -> Self {
        Self::OfFinding(remedy.into())
    }
}
