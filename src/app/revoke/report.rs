//! The result of a revocation.

use std::collections::BTreeSet;
use std::path::PathBuf;

use time::OffsetDateTime;

use super::changes::Changes;
use super::not_in_ledger::NotInLedger;
use super::options::Request;
use crate::cluster::profile::{CaRole, Profile};
use crate::pki::ca_set::CaSet;
use crate::store::ledger::certificates::IssuedCertificate;

/// The result of a revocation, and what is left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeReport {
    /// The outcome of a revocation.
    pub outcome: Outcome,
    /// The number of certificates that were already revoked, and whose reason changed.
    pub raised: usize,
    /// The files that were written: the CRLs, then the authorization configuration.
    pub written: Vec<PathBuf>,
    /// The nextUpdate of the CRLs; `None` if none was signed.
    pub next_update: Option<OffsetDateTime>,
    /// Remaining steps, and cases in which the revocation has no effect.
    pub advice: Vec<Advice>,
    /// The revocations that were recorded from CRLs and rendered files.
    pub learnt: Learnt,
}

/// The outcome of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// This number of certificates was revoked.
    Revoked(usize),
    /// A revocation that was interrupted was completed.
    Completed,
    /// The CRLs were signed again.
    Renewed,
    /// The content of rendered files was recorded.
    Recorded {
        /// The number of certificates of bundles that were recorded.
        from_bundles: usize,
    },
}

/// A remaining step after a revocation, or a case in which it has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// No CRL lists some of the certificates: their CA no longer signs, and its key is not in the directory.
    NotInCrl,
    /// API servers cannot deny a certificate by its serial number: its file has to be named.
    NameFile,
    /// The authorization configuration has to be copied to the control-plane nodes.
    CopyAuthorization,
    /// etcd's CRL has to be copied to the control-plane nodes, and etcd has to be configured to read it.
    CopyEtcdCrl,
    /// A break-glass account keeps its rights until its certificate expires.
    BreakGlassStaysValid,
    /// Clients of API servers and kubelets do not check CRLs: a revoked serving certificate is still accepted.
    ServingStaysAccepted,
}

/// The revocations that were recorded from CRLs and rendered files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learnt {
    /// The number of revoked certificates that the ledger recorded as valid.
    pub certificates: usize,
    /// Their hosts and accounts.
    pub names: BTreeSet<String>,
    /// Whether the user named files to record from.
    pub from_files: bool,
    /// The number of revoked serial numbers whose certificates the ledger does not have.
    pub serials: usize,
    /// The number of revoked SHA-256s whose certificates the ledger does not have.
    pub digests: usize,
}

impl Outcome {
    pub(super) fn of(request: &Request, changes: &Changes) -> Self {
        match (request, changes.count()) {
            (Request::RecordFromFiles(_), _) => Self::Recorded { from_bundles: changes.recorded.len() },
            (Request::RenewCrls, _) => Self::Renewed,
            (Request::Revoke { .. } | Request::Remove { .. } | Request::Replaced(_), 0)
                if changes.raised.is_empty() =>
            {
                Self::Completed
            }
            (Request::Revoke { .. } | Request::Remove { .. } | Request::Replaced(_), count) => Self::Revoked(count),
        }
    }
}

impl Advice {
    /// Returns the stable id.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::NotInCrl => "not-in-crl",
            Self::NameFile => "name-file",
            Self::CopyAuthorization => "copy-authorization",
            Self::CopyEtcdCrl => "copy-etcd-crl",
            Self::BreakGlassStaysValid => "break-glass-stays-valid",
            Self::ServingStaysAccepted => "serving-stays-accepted",
        }
    }

    /// Returns the advice after a run.
    pub(super) fn of(request: &Request, changes: &Changes, cas: &CaSet) -> Vec<Self> {
        if matches!(request, Request::RenewCrls) {
            return Vec::new();
        }
        let revoked = |profiles: &[Profile]| {
            changes.revoked.iter().any(|one| profiles.iter().any(|profile| one.profile == profile.policy().name))
        };
        let is_of_inactive_ca = |one: &IssuedCertificate| {
            CaRole::ALL
                .into_iter()
                .map(|role| cas.of(role))
                .any(|trust| trust.has(one.issuer) && !trust.signs_crl_of(one.issuer))
        };
        // API servers deny revoked certificates even if the CA has no key usage cRLSign and therefore no CRL.
        let denied =
            changes.crls.contains(&CaRole::Cluster) || changes.revoked.iter().any(|one| cas.cluster.has(one.issuer));
        let applies = [
            (changes.revoked.iter().chain(&changes.raised).any(is_of_inactive_ca), Self::NotInCrl),
            (!changes.serials.is_empty(), Self::NameFile),
            (denied || changes.revoked.is_empty(), Self::CopyAuthorization),
            (changes.crls.contains(&CaRole::Etcd), Self::CopyEtcdCrl),
            (revoked(&[Profile::BreakGlass]), Self::BreakGlassStaysValid),
            (revoked(&[Profile::Apiserver, Profile::KubeletServer]), Self::ServingStaysAccepted),
        ];
        applies.into_iter().filter_map(|(applies, advice)| applies.then_some(advice)).collect()
    }
}

impl Learnt {
    pub(super) fn of(request: &Request, not_in_ledger: &NotInLedger) -> Self {
        let name = |host: &Option<String>, account: &str| host.clone().unwrap_or_else(|| account.to_owned());
        Self {
            certificates: not_in_ledger.recorded.len(),
            names: not_in_ledger.recorded.iter().map(|one| name(&one.host, &one.account)).collect(),
            from_files: matches!(request, Request::RecordFromFiles(_)),
            serials: not_in_ledger.serials.len(),
            digests: not_in_ledger.digests.len(),
        }
    }
}
