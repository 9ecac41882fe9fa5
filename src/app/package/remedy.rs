//! Remedies for bundles that cannot be packed, as data.

use super::preflight_error::Refusal;
use crate::cluster::name::HostName;
use crate::cluster::spec::Role;
use crate::store::error::StoreError;

/// The remedy for bundles that cannot be packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Name hosts, or select all.
    NameHosts,
    /// Use this name, which is in the cluster file.
    UseSimilarName(String),
    /// Add the host to the cluster file.
    AddHost,
    /// Remove the settings from the cluster file, or use a later version of Kubernetes.
    RemoveKubeletSettings,
    /// Pack archives, or do not encrypt.
    PackArchives,
    /// Use a format that has an installer, or do not sign.
    PackWithInstaller,
    /// Use a format that has an installer.
    UseFormatWithInstaller,
    /// Add the hosts' keys to the `known_hosts` file.
    CompleteKnownHosts,
    /// Name recipients, or do not encrypt.
    NameRecipients,
    /// Generate new SSH host keys on one of two hosts.
    ReplaceHostKeys,
    /// Name recipients, so that keys can be discarded.
    EncryptToDiscard,
    /// Encrypt the bundles again, or ask for unencrypted ones.
    EncryptAgain,
    /// Start a new cluster directory, unless the clock is wrong.
    ReplaceExpiredCa,
    /// Issue the masters' credentials, which also generates the service-account key.
    CreateServiceAccountKey,
    /// Restore the service-account key from a backup.
    RestoreServiceAccountKey,
    /// Make a file readable; the error has the details.
    MakeReadable(StoreError),
    /// Issue what the refused hosts lack, then pack them.
    RepairCredentials(Refusal),
    /// Reissue a host's credentials, which changed while bundles were packed.
    ReissueChanged {
        /// The host.
        host: HostName,
        /// The role that the credential is for.
        role: Role,
    },
    /// Move the files somewhere else.
    MoveAway,
    /// Correct the template that the error names.
    CorrectTemplate,
    /// Run the same command again: completed work is kept.
    RunAgain,
    /// Issue the masters' credentials and the verifier's.
    IssueMasters,
    /// Use the identity of one of the bundle's recipients.
    UseRecipientsIdentity,
    /// Decode the file's armor first.
    RemoveArmor,
    /// Copy the bundle again.
    CopyBundleAgain,
    /// Check that it is the right file.
    CheckFile,
    /// Use the version that wrote the bundle, or a later one.
    UseNewerVersion,
    /// Get the bundle from a signer that is allowed.
    GetSignedBundle,
    /// Remove the folder, or name another one.
    NameAnotherFolder,
}
