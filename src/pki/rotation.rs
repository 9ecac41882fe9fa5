//! The rotation of a CA: its phases, and what each phase requires of certificates.

use time::OffsetDateTime;

use super::fingerprint::Fingerprint;
use crate::cluster::profile::{CaRole, CertificateSpec, Usage};

/// A phase of a rotation. The numbers are those of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// 0: the new CA exists, and no host trusts it yet.
    Prepare,
    /// 1: the CA files (`ca.crt`) and kubeconfigs contain both roots.
    TrustBoth,
    /// 2: the canaries present certificates issued by the new CA: the first master, and for the cluster's CA also the first node,
    /// unless others were chosen.
    Canary,
    /// 3: all serving certificates are issued by the new CA.
    Servers,
    /// 4: all client certificates are issued by the new CA.
    Clients,
    /// 5: the CA files and kubeconfigs contain only the new root.
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

    /// Returns the name of the phase, as in files and JSON.
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

    /// Parses the name of a phase; `None` if there is no such phase.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }

    /// Returns the phases of a role's rotation, in their order.
    ///
    /// The rotation of the front proxy's CA skips [`Self::Canary`] and [`Self::Servers`], because it issues no serving certificates.
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

    /// Returns true if the rotation can still be aborted: before [`Self::Clients`], at most the canaries have client certificates
    /// issued by the new CA.
    #[must_use]
    pub fn can_abort(self) -> bool {
        self < Self::Clients
    }

    /// Returns true if the new CA issues certificates in this phase; in earlier ones the old CA does.
    #[must_use]
    pub fn new_ca_signs(self) -> bool {
        self >= Self::Canary
    }

    /// Returns true if hosts trust the new root in this phase. They also trust the old root, except in [`Self::DropOld`].
    #[must_use]
    pub fn trusts_new(self) -> bool {
        self >= Self::TrustBoth
    }
}

/// The state of a rotation that is under way: a new CA replaces an old one.
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
    /// The hosts that get certificates issued by the new CA first.
    pub canaries: Vec<String>,
    /// The sequence number in the ledger of the last certificate that was recorded before the phase began.
    pub after_sequence: u64,
}

impl Rotation {
    /// Returns true if the phase requires another certificate in place of one that matches `spec`.
    ///
    /// `issued_by_new` says whether the new CA issued that one, and `sequence` is its sequence number in the ledger. In
    /// [`Phase::Clients`], hosts also get another serving certificate, although theirs is already issued by the new CA: client
    /// certificates cannot be observed from outside, and a newer serving certificate shows that both are installed.
    #[must_use]
    pub fn replaces(&self, spec: &CertificateSpec, issued_by_new: bool, sequence: Option<u64>) -> bool {
        let is_server = spec.policy().usage != Usage::Client;
        let is_canary = || spec.host.as_ref().is_some_and(|host| self.is_canary(host.as_str()));
        match self.phase {
            Phase::Prepare => false,
            // Certificates issued by the new CA exist in this phase only if an abort went back to it: the new CA will be retired.
            Phase::TrustBoth => issued_by_new,
            Phase::Canary => !issued_by_new && is_canary(),
            Phase::Servers => !issued_by_new && (is_server || is_canary()),
            Phase::Clients => {
                !issued_by_new || (is_server && sequence.is_some_and(|sequence| sequence <= self.after_sequence))
            }
            Phase::DropOld => !issued_by_new,
        }
    }

    /// Returns true if this phase of the front proxy's rotation replaces the serving certificate of an API server, which the cluster's
    /// CA issues, only as a marker of what is installed.
    ///
    /// The API server gets the new serving certificate together with the front proxy's client certificate, which cannot be observed
    /// from outside. A newer serving certificate shows that both are installed. `sequence` is the sequence number in the ledger of
    /// the serving certificate that the host has now.
    #[must_use]
    pub fn replaces_marker(&self, sequence: Option<u64>) -> bool {
        self.phase == Phase::Clients && sequence.is_some_and(|sequence| sequence <= self.after_sequence)
    }

    /// Returns true if this host gets certificates issued by the new CA first.
    #[must_use]
    pub fn is_canary(&self, host: &str) -> bool {
        self.canaries.iter().any(|canary| canary == host)
    }

    /// Returns true if the proof of this phase includes that no serving certificate chains to the new root.
    ///
    /// That is so in [`Phase::TrustBoth`], also when an abort has gone back to it. In [`Phase::Prepare`] no host can have such a
    /// certificate yet, so its proof does not include this check.
    #[must_use]
    pub fn serves_old(&self) -> bool {
        self.phase == Phase::TrustBoth
    }

    /// Returns true if a host's serving certificate must be issued by the new CA.
    #[must_use]
    pub fn serves_new(&self, host: &str) -> bool {
        self.phase >= Phase::Servers || (self.phase == Phase::Canary && self.is_canary(host))
    }
}
