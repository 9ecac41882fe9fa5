//! The changes of a run, made or planned.

use std::path::PathBuf;

use crate::app::issue::{PlannedCertificate, ServiceAccountStep};
use crate::app::package::{MissingRecipient, PackReason, Refusal, RefusedHost, Warning};
use crate::app::policy::PolicyChange;
use crate::app::renew::DueCrl;
use crate::app::revoke::removed_host::RemovedHost;
use crate::app::rotate::AccountBehind;
use crate::cluster::name::HostName;
use crate::store::error::StoreError;
use crate::store::ledger::certificates::IssuedCertificate;

/// The changes of a run, made or planned, and what is left for a person or a host to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The step for the key pair that signs service account tokens.
    pub service_account: Option<ServiceAccountStep>,
    /// The renewed certificates of hosts and of the verifier, with the reasons.
    pub certificates: Vec<PlannedCertificate>,
    /// The certificates of the former account scheme, which are revoked.
    pub revoked: Vec<IssuedCertificate>,
    /// The administrators' kubeconfigs in the directory that a rotation replaces.
    pub kubeconfigs: Vec<AccountBehind>,
    /// The accounts whose kubeconfigs a rotation has to replace, and that are elsewhere or break-glass ones.
    pub to_reissue: Vec<AccountBehind>,
    /// The CRLs that are due. If one is due, all CRLs are signed again.
    pub crls: Vec<DueCrl>,
    /// The files that were written when the CRLs were signed.
    pub crl_files: Vec<PathBuf>,
    /// The folder of access rules.
    pub policy_folder: PathBuf,
    /// The files of access rules.
    pub policy: Vec<PolicyChange>,
    /// The folder with the list of objects of accounts that the cluster file no longer has, if it was written.
    pub deletions: Option<PathBuf>,
    /// The bundles.
    pub bundles: Vec<BundleChange>,
    /// The verifier bundle, if it is packed again.
    pub verifier_bundle: Option<PathBuf>,
    /// The number of keys that were deleted; `None` if that was not requested.
    pub discarded: Option<usize>,
    /// The hosts that need their new bundles.
    pub to_deliver: Vec<HostName>,
    /// The certificates that are due but need a request from their host, with the reasons.
    pub to_request: Vec<PlannedCertificate>,
    /// The hosts that keep their encrypted bundles, because their keys were discarded.
    pub kept: Vec<HostName>,
    /// The hosts whose bundles cannot be packed.
    pub refused: Vec<RefusedHost>,
    /// The hosts whose bundles cannot be encrypted, because they have no recipient although other hosts have one.
    pub without_recipients: Vec<MissingRecipient>,
    /// The error of reading the verifier's credential, which is left as it is.
    pub verifier_unreadable: Option<StoreError>,
    /// The hosts that are no longer in the cluster file but still have valid certificates or files.
    pub left: Vec<RemovedHost>,
    /// What the user should know about bundles and access rules.
    pub warnings: Vec<Warning>,
}

/// A bundle that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleChange {
    /// The host.
    pub host: HostName,
    /// The file or folder.
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
    /// Its host is a master, which has to deny the certificates that this run revokes.
    Revocations,
    /// It differs from what would be packed.
    Packing(PackReason),
}

impl BundleReason {
    /// Returns the id, as in JSON.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Certificates => "certificates",
            Self::ServiceAccountKey => "service-account-key",
            Self::Revocations => "revocations",
            Self::Packing(reason) => reason.id(),
        }
    }

    /// Returns true if the host needs the new bundle.
    #[must_use]
    pub fn needs_delivery(&self) -> bool {
        !matches!(self, Self::Packing(PackReason::OtherForm | PackReason::Keys))
    }
}

impl Changes {
    /// Returns true if a run changes nothing.
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
