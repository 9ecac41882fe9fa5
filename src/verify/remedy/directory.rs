//! Remedies of the files in a cluster directory.

use serde::{Deserialize, Serialize};
use time::Duration;

use super::server::Server;
use crate::cluster::profile::CaRole;

/// Remedies of credentials in a cluster directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirectoryRemedy {
    /// Issue a host's credentials.
    Issue {
        /// The host.
        server: Server,
        /// Whether valid certificates are also replaced.
        reissue: bool,
    },
    /// Reissue a host's credentials before they expire.
    RenewHost(Server),
    /// Renew the verifier's certificate before `renew` would.
    RenewVerifier {
        /// The time within which it expires, in days.
        days: u32,
    },
    /// Reissue a node's credentials unless they are installed.
    ReissueUnlessInstalled {
        /// The node.
        host: String,
    },
    /// Send a new request from a node whose key is only on the node.
    SendRequest {
        /// The node.
        host: String,
    },
    /// Reissue both credentials of a shared key.
    ReissueBoth,
    /// Delete a key once its encrypted bundle is installed.
    DeleteDeliveredKey {
        /// The key's file.
        path: String,
    },
    /// Make a key readable only by its owner.
    RestrictKey {
        /// The key's file.
        path: String,
    },
    /// Restore a root's files from a backup.
    RestoreRoot,
    /// Continue the rotation of a CA.
    ContinueRotation,
    /// Issue and pack what the phase of a rotation requires.
    Apply,
    /// Replace a CA before it expires.
    PlanNewRoots {
        /// The role, as `rotate-ca --role` names it; `None` for the cluster's.
        #[serde(default)]
        role: Option<String>,
    },
    /// Replace a CA that has expired.
    ReplaceExpiredRoot {
        /// The role, as `rotate-ca --role` names it; `None` for the cluster's.
        #[serde(default)]
        role: Option<String>,
    },
    /// Issue with the active CA what a CA signed that is only trusted.
    ReissueOfTrusted {
        /// The role, as `rotate-ca --role` names it; `None` for the cluster's.
        #[serde(default)]
        role: Option<String>,
    },
    /// Generate the service account key pair.
    IssueServiceAccountKey,
    /// Restore the service accounts' key pair from a backup.
    RestoreServiceAccountKey,
    /// Reissue an administrator's kubeconfig.
    ReissueAdmin {
        /// The administrator.
        name: String,
        /// Whether the account is for emergencies.
        #[serde(default)]
        is_break_glass: bool,
    },
    /// Delete an administrator's kubeconfig.
    DeleteAdmin {
        /// The file.
        path: String,
    },
    /// Move a kubeconfig that is not its account's out of the folder.
    MoveAdminAway {
        /// The file.
        path: String,
    },
    /// Delete an emergency kubeconfig when the emergency is over.
    DeleteEmergencyAdmin {
        /// The file.
        path: String,
    },
    /// Remove a host that left the cluster, with its certificates and files.
    RemoveHost {
        /// The host.
        host: String,
    },
    /// Revoke and delete what is left of a role that a host no longer has.
    RemoveRole {
        /// The serial numbers that are revoked.
        revoke: Vec<String>,
        /// The files and folders to remove.
        paths: Vec<String>,
    },
    /// Reissue the nodes' certificates of the former account scheme.
    ReplaceAccounts {
        /// Whether access rules of the former scheme are to be deleted.
        delete_objects: bool,
    },
}

impl DirectoryRemedy {
    /// Returns the remedy for a verifier's certificate with this time left, before it is due for renewal.
    #[must_use]
    pub fn renew_verifier(left: Duration) -> Self {
        Self::RenewVerifier { days: u32::try_from(left.whole_days() + 1).unwrap_or(1) }
    }

    /// Returns the remedy for a CA that expires soon.
    #[must_use]
    pub fn plan_new_root(role: CaRole) -> Self {
        Self::PlanNewRoots { role: named(role) }
    }

    /// Returns the remedy for a CA that has expired.
    #[must_use]
    pub fn replace_expired_root(role: CaRole) -> Self {
        Self::ReplaceExpiredRoot { role: named(role) }
    }

    /// Returns the remedy for a CA that signs nothing, and expires soon.
    #[must_use]
    pub fn reissue_of_trusted(role: CaRole) -> Self {
        Self::ReissueOfTrusted { role: named(role) }
    }
}

/// Returns the role's name, unless it is the default of `rotate-ca --role`.
fn named(role: CaRole) -> Option<String> {
    (role != CaRole::Cluster).then(|| role.name().to_owned())
}

/// Remedies for bundles, rules, CRLs, the ledger, and for files and folders in general.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileRemedy {
    /// Make files and folders accessible only to their owner.
    RestrictAccess,
    /// Make files and folders writable only by this user.
    RestrictOwners,
    /// Remove the files that an interrupted issue left.
    RemoveUnfinishedIssue,
    /// Remove the files that interrupted commands left.
    RemoveUnfinished {
        /// The folders that contain files.
        folders: Vec<String>,
    },
    /// Pack a host's bundle again.
    PackBundle {
        /// The host.
        host: String,
        /// The format, if it is not the default.
        format: Option<String>,
    },
    /// Pack a host's bundle again if anything has changed.
    PackIfChanged {
        /// The host.
        host: String,
    },
    /// Compare a bundle with its templates, or pack it again.
    CompareBundle {
        /// The host.
        host: String,
        /// The format, if it is not the default.
        format: Option<String>,
    },
    /// Use a newer clusterctl.
    UseNewerVersion,
    /// Write the access rules again.
    WritePolicy,
    /// Sign the CRLs again.
    RenewCrl,
    /// Restore the newest ledger.
    RestoreLedger,
    /// Record the revocations that a restored ledger lacks.
    RecordMissing {
        /// The file to record from; `None` if it has to be copied from a control-plane node.
        from: Option<String>,
    },
    /// Free some space.
    FreeSpace,
    /// Check a file's owner and mode.
    CheckOwner {
        /// The file.
        path: String,
    },
    /// Move away a file that is in the place of a folder, or vice versa.
    MoveAway {
        /// The file or folder.
        path: String,
    },
    /// Check the disk.
    CheckDisk,
}
