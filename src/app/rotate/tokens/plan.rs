//! What a phase of the rotation of the token key changes, and what has to be done for it.

use crate::app::rotate::plan::{Change, Group, Restart};
use crate::app::rotate::rereads::{Component, Input, Reread};
use crate::cluster::spec::Cluster;
use crate::pki::token_rotation::TokenPhase;

/// The phase that a plan describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenTarget {
    /// One of the phases of a rotation.
    Phase(TokenPhase),
    /// Phase 4: the old key is deleted, or kept under another name, and the rotation is over.
    Retire,
}

impl TokenTarget {
    /// Returns what follows a phase.
    #[must_use]
    pub fn after(phase: TokenPhase) -> Self {
        phase.next().map_or(Self::Retire, Self::Phase)
    }

    /// Returns the number of the phase.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Phase(phase) => phase.number(),
            Self::Retire => 4,
        }
    }

    /// Returns the name, as in JSON and in the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Phase(phase) => phase.as_str(),
            Self::Retire => "retire",
        }
    }
}

/// What a phase changes, and what has to be done for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPhasePlan {
    /// The phase.
    pub phase: TokenTarget,
    /// The files that change, in the order in which programs are restarted.
    pub changes: Vec<Change>,
    /// The programs to be restarted, in this order.
    pub restarts: Vec<Restart>,
    /// The number of seconds for which the phase must be proven before the next one.
    pub wait: u32,
    /// The ids of the checks that prove the phase on each master.
    pub gate: Vec<&'static str>,
}

/// The checks that prove every phase, on each master.
pub(super) const REQUIRED: [&str; 2] = ["master.connect", "master.token-keys"];

/// The time for which clients may cache the keys that an API server publishes (`Cache-Control: max-age` of
/// `/openid/v1/jwks`; Kubernetes `pkg/serviceaccount/openidmetadata.go`), in seconds.
const PUBLISHED_FOR: u32 = 3600;

/// The longest lifetime of a token that API servers issue to pods, in seconds: they extend it to a year, for clients that do
/// not read the token again (`--service-account-extend-token-expiration`; Kubernetes `pkg/serviceaccount/claims.go`,
/// `ExpirationExtensionSeconds`).
const LONGEST_TOKEN: u32 = 365 * 24 * 3600;

/// Returns the plan of a phase. No version of Kubernetes reads these keys again without a restart.
#[must_use]
pub fn plan(phase: TokenTarget, cluster: &Cluster) -> TokenPhasePlan {
    let (api_server, manager) = (Component::KubeApiserver, Component::KubeControllerManager);
    let read: &[(Component, Input)] = match phase {
        TokenTarget::Phase(TokenPhase::Add | TokenPhase::Drop) => &[(api_server, Input::ServiceAccountPublicKeys)],
        TokenTarget::Phase(TokenPhase::Sign) => &[
            (api_server, Input::ServiceAccountPublicKeys),
            (api_server, Input::ServiceAccountKey),
            (manager, Input::ServiceAccountKey),
        ],
        TokenTarget::Phase(TokenPhase::Prepare) | TokenTarget::Retire => &[],
    };
    let hosts = Group::Masters(cluster.masters.len());
    let change = |&(component, input): &(Component, Input)| Change {
        hosts: hosts.clone(),
        component,
        input,
        reread: Reread::Restart,
    };
    let mut restarts: Vec<Restart> = Vec::new();
    for (component, _) in read {
        if restarts.iter().all(|restart| restart.component != *component) {
            restarts.push(Restart { hosts: hosts.clone(), component: *component, one_by_one: true });
        }
    }
    let wait = match phase {
        TokenTarget::Phase(TokenPhase::Add) => PUBLISHED_FOR,
        TokenTarget::Phase(TokenPhase::Sign) => LONGEST_TOKEN,
        TokenTarget::Phase(TokenPhase::Prepare | TokenPhase::Drop) | TokenTarget::Retire => 0,
    };
    let gate = if phase == TokenTarget::Retire { Vec::new() } else { REQUIRED.to_vec() };
    TokenPhasePlan { phase, changes: read.iter().map(change).collect(), restarts, wait, gate }
}

/// Returns the plans of all phases that follow.
pub(super) fn remaining(phase: TokenPhase, cluster: &Cluster) -> Vec<TokenPhasePlan> {
    let mut plans = Vec::new();
    let mut phase = Some(phase);
    while let Some(present) = phase {
        plans.push(plan(TokenTarget::after(present), cluster));
        phase = present.next();
    }
    plans
}
