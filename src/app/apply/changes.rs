//! What `apply` changed or `plan` found, and what a person or a host still has to do.

use std::path::PathBuf;

use crate::app::issue::{PlannedCertificate, ServiceAccountStep};
use crate::app::package::{MissingRecipient, PackReason, Refusal, RefusedHost, Warning};
use crate::app::policy::PolicyChange;
use crate::app::renew::DueCrl;
use crate::app::revoke::removed_host::RemovedHost;
use crate::app::rotate::OutdatedAccount;
use crate::cluster::name::HostName;
use crate::store::error::StoreError;
use crate::store::ledger::certificates::IssuedCertificate;

/// What `apply` changed or `plan` found, and what a person or a host still has to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// What is written of the key pair that signs service account tokens: both files, or only the public key.
    pub service_account: Option<ServiceAccountStep>,
    /// The certificates of hosts and of the verifier that are issued, first ones and renewals, with the reasons.
    pub certificates: Vec<PlannedCertificate>,
    /// The valid certificates that are revoked: those of nodes for accounts that the setting `accounts` in the cluster file no
    /// longer selects.
    pub revoked: Vec<IssuedCertificate>,
    /// The accounts whose kubeconfigs in the directory are issued again because of a rotation.
    pub kubeconfigs: Vec<OutdatedAccount>,
    /// The accounts whose kubeconfigs a person has to issue again because of a rotation: the directory does not have the
    /// kubeconfig, or it is a break-glass one.
    pub to_reissue: Vec<OutdatedAccount>,
    /// The CRLs that are due. If one is due, all CRLs are signed again.
    pub crls: Vec<DueCrl>,
    /// The files that were written when the CRLs were signed.
    pub crl_files: Vec<PathBuf>,
    /// The folder of access rules, in which the use case `policy` writes, too.
    pub policy_folder: PathBuf,
    /// The files in the folder of access rules that are written or removed.
    pub policy: Vec<PolicyChange>,
    /// The folder of the Kubernetes objects that a person has to delete; `None` if there are none, or if this run did not render the
    /// access rules. The objects belong to accounts that the cluster file no longer has.
    pub deletions: Option<PathBuf>,
    /// The bundles that change, with the reasons.
    pub bundles: Vec<BundleChange>,
    /// The path of the verifier bundle, if it is packed again.
    pub verifier_bundle: Option<PathBuf>,
    /// The number of hosts' private keys that were deleted from the directory; `None` if that was not requested.
    pub deleted_keys: Option<usize>,
    /// The hosts to which a person has to deliver their new bundles.
    pub to_deliver: Vec<HostName>,
    /// The certificates that are due, but whose host has to send a request because only it has the key; with the reasons.
    pub to_request: Vec<PlannedCertificate>,
    /// The hosts whose encrypted bundles in the directory stay as they are. They cannot be packed again, because the directory
    /// no longer has the keys.
    pub keeping_bundles: Vec<HostName>,
    /// The hosts whose bundles cannot be packed.
    pub refused: Vec<RefusedHost>,
    /// The hosts whose bundles cannot be encrypted, because they have no recipient although other hosts have one.
    pub without_recipients: Vec<MissingRecipient>,
    /// Why the verifier's credential cannot be read. The credential is left as it is.
    pub verifier_unreadable: Option<StoreError>,
    /// The hosts that are no longer in the cluster file but still have valid certificates or files.
    pub removed_hosts: Vec<RemovedHost>,
    /// The warnings about bundles and access rules, each once.
    pub warnings: Vec<Warning>,
}

/// A bundle that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleChange {
    /// The host.
    pub host: HostName,
    /// The bundle itself: a file, or a folder in the format `dir`.
    pub path: PathBuf,
    /// The reason.
    pub reason: BundleReason,
}

/// Why a bundle changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleReason {
    /// Its host gets new certificates.
    Certificates,
    /// Its host is a master, and the key pair that signs service account tokens changes.
    ServiceAccountKey,
    /// Its host is a master, which has to reject the certificates that this run revokes.
    Revocations,
    /// It is missing, it differs from what would be packed, or only files in the directory change: an old bundle is removed, or
    /// keys are deleted.
    Outdated(PackReason),
}

impl BundleReason {
    /// Returns the id, as in JSON.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Certificates => "certificates",
            Self::ServiceAccountKey => "service-account-key",
            Self::Revocations => "revocations",
            Self::Outdated(reason) => reason.id(),
        }
    }

    /// Returns true if the host needs the new bundle.
    ///
    /// It does not if only files in the directory change: a bundle in another format or encryption is removed, or keys are
    /// deleted there.
    #[must_use]
    pub fn needs_delivery(&self) -> bool {
        !matches!(self, Self::Outdated(PackReason::OtherForm | PackReason::Keys))
    }
}

impl Changes {
    /// Returns true if nothing is issued, revoked, signed, written or packed.
    ///
    /// What a person or a host still has to do does not count, nor do records in the ledger and the removal of unfinished files.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.service_account.is_none()
            && self.certificates.is_empty()
            && self.revoked.is_empty()
            && self.kubeconfigs.is_empty()
            && self.crls.is_empty()
            && self.policy.is_empty()
            && self.bundles.is_empty()
            && self.verifier_bundle.is_none()
    }

    /// Returns the error that the run ends with if bundles of hosts cannot be packed.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let refused = self.refused.clone();
        (!refused.is_empty()).then_some(Refusal { refused, is_partial: true })
    }

    /// Adds warnings, each once.
    pub(super) fn warn(&mut self, warnings: impl IntoIterator<Item = Warning>) {
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }
}
