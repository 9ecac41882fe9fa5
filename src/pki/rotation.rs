//! The rotation of a CA: its phases, and what each phase requires of certificates.

use time::OffsetDateTime;

use super::fingerprint::Fingerprint;
use crate::cluster::profile::{CaRole, CertificateSpec, Usage};

/// A phase of a rotation. The numbers are those of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// 0: the new CA exists, and no host has it.
    Prepare,
    /// 1: trust files have both roots.
    TrustBoth,
    /// 2: one master and one node present certificates of the new root.
    Canary,
    /// 3: all serving certificates are of the new root.
    Servers,
    /// 4: all client certificates are of the new root.
    Clients,
    /// 5: trust files have only the new root.
    DropOld,
}

impl Phase {
    /// All phases, in their order.
    pub const ALL: [Self; 6] =
        [Self::Prepare, Self::TrustBoth, Self::Canary, Self::Servers, Self::Clients, Self::DropOld];

    /// Returns the number of the phase.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Returns the name, as files and JSON have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::TrustBoth => "trust-both",
            Self::Canary => "canary",
            Self::Servers => "servers",
            Self::Clients => "clients",
            Self::DropOld => "drop-old",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }

    /// Returns the phases of a role's rotation, in their order: the front proxy's CA signs no serving certificates.
    #[must_use]
    pub fn of_role(role: CaRole) -> &'static [Self] {
        match role {
            CaRole::Cluster | CaRole::Etcd => &Self::ALL,
            CaRole::FrontProxy => &[Self::Prepare, Self::TrustBoth, Self::Clients, Self::DropOld],
        }
    }

    /// Returns the phase that follows; `None` if the old CA is retired next.
    #[must_use]
    pub fn next(self, role: CaRole) -> Option<Self> {
        Self::of_role(role).iter().copied().find(|phase| *phase > self)
    }

    /// Returns true if the rotation can still be aborted: clients have their old certificates.
    #[must_use]
    pub fn can_abort(self) -> bool {
        self < Self::Clients
    }

    /// Returns true if the new CA signs.
    #[must_use]
    pub fn is_signed_by_new(self) -> bool {
        self >= Self::Canary
    }

    /// Returns true if hosts trust the new root in this phase, and the old one only before [`Self::DropOld`].
    #[must_use]
    pub fn trusts_new(self) -> bool {
        self >= Self::TrustBoth
    }
}

/// The rotation of a CA that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The phase.
    pub phase: Phase,
    /// When the phase began.
    pub began: OffsetDateTime,
    /// SHA-256 of the certificate of the CA that is replaced.
    pub old: Fingerprint,
    /// SHA-256 of the certificate of the CA that replaces it.
    pub new: Fingerprint,
    /// The hosts that present certificates of the new root first.
    pub canaries: Vec<String>,
    /// The position in the ledger's order of issue at which the phase began.
    pub since: u64,
}

impl Rotation {
    /// Returns true if the phase requires another certificate in place of one that matches `spec`.
    ///
    /// `is_new` says whether the new CA signed it, and `sequence` is its position in the ledger's order of issue. When
    /// clients get their new certificates, each host also gets a newer serving certificate, by which others can see that
    /// the host has installed them.
    #[must_use]
    pub fn replaces(&self, spec: &CertificateSpec, is_new: bool, sequence: Option<u64>) -> bool {
        let is_server = spec.policy().usage != Usage::Client;
        let is_canary = || spec.host.as_ref().is_some_and(|host| self.is_canary(host.as_str()));
        match self.phase {
            Phase::Prepare => false,
            // Only an abort finds some: the new CA is going to be retired.
            Phase::TrustBoth => is_new,
            Phase::Canary => !is_new && is_canary(),
            Phase::Servers => !is_new && (is_server || is_canary()),
            Phase::Clients => !is_new || (is_server && sequence.is_some_and(|sequence| sequence <= self.since)),
            Phase::DropOld => !is_new,
        }
    }

    /// Returns true if a serving certificate of another CA, at this position in the ledger's order of issue, is replaced in
    /// this phase. The new one shows that the phase's client certificates, which cannot be observed, are installed too.
    #[must_use]
    pub fn is_mark_replaced(&self, sequence: Option<u64>) -> bool {
        self.phase == Phase::Clients && sequence.is_some_and(|sequence| sequence <= self.since)
    }

    /// Returns true if this host presents certificates of the new root first.
    #[must_use]
    pub fn is_canary(&self, host: &str) -> bool {
        self.canaries.iter().any(|canary| canary == host)
    }

    /// Returns true if all serving certificates must be of the old root: the new one has not signed yet, or the rotation is being
    /// aborted.
    #[must_use]
    pub fn serves_old(&self) -> bool {
        self.phase == Phase::TrustBoth
    }

    /// Returns true if a host's serving certificate must be of the new root.
    #[must_use]
    pub fn serves_new(&self, host: &str) -> bool {
        self.phase >= Phase::Servers || (self.phase == Phase::Canary && self.is_canary(host))
    }
}
