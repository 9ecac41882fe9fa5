//! Evaluates all observations, host by host.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};

use super::super::finding::{Aspect, CheckId, Finding, Status};
use super::super::observation::{Observations, PeerObservation};
use super::super::place::Place;
use super::super::revocation::Crls;
use super::super::target::{Peer, Target};
use super::anchor::{UsedRoots, anchors};
use super::cause;
use super::context::{CheckContext, Clock, NOT_OBSERVED};
use super::location::{Location, expectation};

/// The amount of data that is kept of a passed check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The whole finding.
    Everything,
    /// Only the check and its location, because the texts would take most of a large run's memory.
    ProblemsOnly,
}

/// Evaluates all observations, in the target's order and, within a host, in the catalogue's order.
#[must_use]
pub fn judge(target: &Target, seen: &Observations, clock: Clock) -> Vec<Finding> {
    judge_each(Detail::Everything, target, seen, seen.peers.iter(), clock)
}

/// Like [`judge`], but only keeps the data that `detail` requires, and drops each host's observations after evaluating
/// them.
#[must_use]
pub fn judge_in(detail: Detail, target: &Target, mut seen: Observations, clock: Clock) -> Vec<Finding> {
    let peers = std::mem::take(&mut seen.peers);
    judge_each(detail, target, &seen, peers.into_iter(), clock)
}

/// Evaluates `peers` host by host; `seen` is used for checks that do not concern a single host.
fn judge_each<S: Borrow<PeerObservation>>(
    detail: Detail,
    target: &Target,
    seen: &Observations,
    mut peers: impl Iterator<Item = S>,
    clock: Clock,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let nodes = target.nodes.iter().map(|node| (node.name.as_str(), node)).collect();
    let (parsed, trusted, crls) = (HashMap::new(), HashMap::new(), Crls::of(target));
    let mut context = CheckContext {
        target,
        clock,
        seen,
        parsed,
        trusted,
        used: UsedRoots::default(),
        reported_expiry: HashSet::new(),
        nodes,
        crls,
    };
    context.missing_verifier(&mut findings);
    let mut listed = context.listed(&mut findings);
    let mut heartbeats = context.heartbeats(&mut findings);
    let mut nodes_left = target.nodes.len();
    for (place, peer) in target.peers() {
        let nothing = PeerObservation { place, host: peer.name.clone(), locations: Vec::new() };
        let seen = peers.next();
        let seen = seen.as_ref().map(Borrow::borrow);
        let seen = seen.filter(|seen| seen.place == place && seen.host == peer.name).unwrap_or(&nothing);
        let before = findings.len();
        // Few hosts share certificates, so a cache for all hosts would only take memory.
        context.parsed.clear();
        context.trusted.clear();
        if place == Place::Node {
            findings.extend(listed.next().flatten());
            findings.extend(heartbeats.next().flatten());
        }
        context.peer(peer, seen, &mut findings);
        let missing = context.missing(peer, place, &findings[before..]);
        findings.extend(missing);
        cause::unreachable_host(&mut findings[before..]);
        if detail == Detail::ProblemsOnly {
            findings[before..].iter_mut().filter(|f| f.status == Status::Pass).for_each(Finding::drop_text);
        }
        if place == Place::Node {
            nodes_left -= 1;
            make_room(&mut findings, before, nodes_left);
        }
    }
    let before = findings.len();
    context.etcd_members(&mut findings);
    if detail == Detail::ProblemsOnly {
        findings[before..].iter_mut().filter(|f| f.status == Status::Pass).for_each(Finding::drop_text);
    }
    cause::lists(&mut findings);
    // The used roots are known only now; they are reported first.
    findings.splice(0..0, anchors(target, &context.used, clock.now));
    findings
}

/// Reserves memory for the other nodes' findings. A growing list is in memory twice while it is reallocated, and
/// untouched memory costs nothing.
fn make_room(findings: &mut Vec<Finding>, before: usize, nodes_left: usize) {
    /// The maximum number of reserved findings per node. Few nodes have more, and one of them must not cause the same
    /// reservation for all others.
    const OF_A_NODE: usize = 48;
    /// The findings about the whole cluster, which come first.
    const OF_THE_WHOLE: usize = 256;
    let last = (findings.len() - before).min(OF_A_NODE);
    if findings.capacity() - findings.len() < OF_A_NODE + OF_THE_WHOLE {
        findings.reserve_exact(last * nodes_left + OF_THE_WHOLE + OF_A_NODE);
    }
}

impl CheckContext<'_> {
    fn peer(&mut self, peer: &Peer, seen: &PeerObservation, findings: &mut Vec<Finding>) {
        for (address, location) in peer.addresses.iter().zip(&seen.locations) {
            self.location(peer, seen.place, address, location, findings);
        }
        if !peer.dialled {
            return;
        }
        for address in peer.addresses.iter().skip(seen.locations.len()) {
            let address = format!("{}:{}", address.for_url(), peer.port);
            let location = Location { place: seen.place, host: &peer.name, address, server_name: "", elapsed_ms: 0 };
            let finding = location.finding(Aspect::Connect, Status::NotProven);
            findings.push(finding.saw(NOT_OBSERVED, expectation(seen.place, Aspect::Connect)));
        }
        if peer.addresses.is_empty() {
            let id = CheckId::at(seen.place, Aspect::Connect);
            let finding = Finding::new(id, seen.place, &seen.host, Status::Fail);
            findings.push(finding.saw("it has no address", "at least one address to dial"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{NOW, PODS, answer, fixture, master, statuses};
    use time::Duration;

    use super::*;
    use crate::verify::target::Place;

    #[test]
    fn missing_observations_never_pass() {
        let fixture = fixture();
        let clock = Clock { now: NOW, expires_within: Duration::days(30) };
        let findings = judge(&fixture.target, &Observations::default(), clock);
        // A recording of an earlier version has no Leases, which is not a failure.
        let of_an_older_run = |f: &Finding| f.id.1 == Aspect::Heartbeat && f.status == Status::Skipped;
        assert!(
            findings
                .iter()
                .all(|f| { f.status == Status::NotProven || f.id == CheckId::TRUST_ANCHOR || of_an_older_run(f) })
        );
        let accounts: Vec<_> =
            findings.iter().filter(|f| f.id.1 == Aspect::Whoami).map(|f| f.client.as_deref()).collect();
        assert_eq!(accounts, [Some("n1"), Some("n2")]);
        // A node at which only the control-plane node connected.
        let found = fixture.judged(Place::Node, &fixture.node_cert(), &[(master(), answer(200, PODS))], NOW);
        let rest = statuses(&found, &["caller", "anonymous", "untrusted", "other-node"]);
        assert_eq!(rest, ["pass", "not-proven", "not-proven", "not-proven"]);
    }
}
