//! What a phase changes, and what has to be done for it.

use super::gate::REQUIRED;
use super::rereads::{Component, Input, READS, Reread, reread};
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::pki::rotation::{Phase, Rotation};

/// The phase that a plan describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One of the phases of a rotation.
    Phase(Phase),
    /// Phase 6: the old CA's key is deleted, or kept under another name, and the rotation is over.
    Retire,
}

impl Target {
    /// Returns what follows a phase of a role's rotation.
    #[must_use]
    pub fn after(phase: Phase, role: CaRole) -> Self {
        phase.next(role).map_or(Self::Retire, Self::Phase)
    }

    /// Returns the number of the phase.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Phase(phase) => phase.number(),
            Self::Retire => 6,
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

/// A group of hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// All control-plane nodes.
    Masters(usize),
    /// All nodes.
    Nodes(usize),
    /// The hosts that present certificates issued by the new CA first.
    Hosts(Vec<String>),
}

/// Files that change on hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The hosts.
    pub hosts: Group,
    /// The program that reads the file.
    pub component: Component,
    /// The file.
    pub input: Input,
    /// When the program reads it again.
    pub reread: Reread,
}

/// A program that has to be restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// The hosts.
    pub hosts: Group,
    /// The program.
    pub component: Component,
    /// Whether to restart it on one host after the other, each when the program is ready again on the host before.
    pub one_by_one: bool,
}

/// What a phase changes, and what has to be done for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhasePlan {
    /// The role.
    pub role: CaRole,
    /// The phase.
    pub phase: Target,
    /// The version of Kubernetes in the cluster file. If it is unknown, the plan has every restart that any version needs.
    pub version: Option<String>,
    /// The files that change, in the order in which programs are restarted.
    pub changes: Vec<Change>,
    /// The programs to be restarted, in this order.
    pub restarts: Vec<Restart>,
    /// The number of seconds for which the phase must be proven before the next one.
    pub wait: u32,
    /// The ids of the checks that prove the phase on each host.
    pub gate: Vec<&'static str>,
}

/// The time for which the canaries' phase must be proven, in seconds.
const CANARY_WAIT: u32 = 600;

/// Returns the plan of the last phase for an emergency, which changes what all phases change.
#[must_use]
pub(super) fn emergency_plan(role: CaRole, cluster: &Cluster) -> PhasePlan {
    let mut plan = plan_of(role, Target::Phase(Phase::DropOld), &[], cluster, &|_| true);
    // The attacker is locked out only when all of them are restarted.
    plan.restarts.iter_mut().for_each(|restart| restart.one_by_one = false);
    plan
}

/// Returns the plan of an abort that puts back certificates issued by the old CA, while hosts trust both.
#[must_use]
pub(super) fn abort_plan(role: CaRole, cluster: &Cluster) -> PhasePlan {
    plan_of(role, Target::Phase(Phase::TrustBoth), &[], cluster, &|input| !input.is_trust())
}

/// Returns the plan of a phase.
#[must_use]
pub fn plan(role: CaRole, phase: Target, canaries: &[String], cluster: &Cluster) -> PhasePlan {
    plan_of(role, phase, canaries, cluster, &|input| changes_in(phase, input))
}

fn plan_of(
    role: CaRole,
    phase: Target,
    canaries: &[String],
    cluster: &Cluster,
    is_changed: &dyn Fn(Input) -> bool,
) -> PhasePlan {
    let version = cluster.kubernetes.version.as_ref();
    let minor = version.map(|version| version.minor());
    let mut changes = Vec::new();
    for read in READS.iter().filter(|read| read.role == role && is_changed(read.input)) {
        let all = match read.component.is_on_masters() {
            true => Group::Masters(cluster.masters.len()),
            false => Group::Nodes(cluster.nodes.len()),
        };
        let hosts = match phase {
            Target::Phase(Phase::Canary) => {
                let of_kind = |name: &&String| {
                    let hosts = if read.component.is_on_masters() { &cluster.masters } else { &cluster.nodes };
                    hosts.iter().any(|host| host.name.as_str() == name.as_str())
                };
                Group::Hosts(canaries.iter().filter(of_kind).cloned().collect())
            }
            _ => all,
        };
        if hosts != Group::Hosts(Vec::new()) {
            changes.push(Change { hosts, component: read.component, input: read.input, reread: reread(read, minor) });
        }
    }
    let mut restarts: Vec<Restart> = Vec::new();
    for change in changes.iter().filter(|change| change.reread == Reread::Restart) {
        if restarts.iter().all(|restart| restart.component != change.component) {
            let (hosts, component) = (change.hosts.clone(), change.component);
            restarts.push(Restart { hosts, component, one_by_one: component.is_on_masters() });
        }
    }
    let longest = changes.iter().map(|change| match change.reread {
        Reread::Within(seconds) => seconds,
        Reread::EachConnection | Reread::Restart => 0,
    });
    let wait = match phase {
        Target::Phase(Phase::Canary) => CANARY_WAIT,
        _ => longest.max().unwrap_or(0),
    };
    let gate = match phase {
        Target::Phase(phase) => REQUIRED.iter().filter(|one| one.is_required(role, phase)).map(|one| one.id).collect(),
        Target::Retire => Vec::new(),
    };
    PhasePlan { role, phase, version: version.map(ToString::to_string), changes, restarts, wait, gate }
}

/// Returns true if files of this kind change in a phase.
fn changes_in(phase: Target, input: Input) -> bool {
    match phase {
        Target::Phase(Phase::TrustBoth | Phase::DropOld) => input.is_trust(),
        Target::Phase(Phase::Canary) => !input.is_trust(),
        Target::Phase(Phase::Servers) => input.is_server(),
        // Each host gets a newer serving certificate, too, by which others see that it is installed.
        Target::Phase(Phase::Clients) => !input.is_trust(),
        Target::Phase(Phase::Prepare) | Target::Retire => false,
    }
}

/// Returns the plans of all phases that follow.
#[must_use]
pub(super) fn remaining(role: CaRole, rotation: &Rotation, cluster: &Cluster) -> Vec<PhasePlan> {
    let mut plans = Vec::new();
    let mut phase = Some(rotation.phase);
    while let Some(present) = phase {
        plans.push(plan(role, Target::after(present, role), &rotation.canaries, cluster));
        phase = present.next(role);
    }
    plans
}
