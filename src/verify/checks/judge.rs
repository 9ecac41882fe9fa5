//! Everything that was seen, host by host: what belongs to the whole, what to each host, and what should have been seen and
//! was not.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use time::{Duration, OffsetDateTime};

use super::super::finding::{Aspect, CheckId, Finding, Severity, Status};
use super::super::observation::{Listed, Observations, Outcome, PeerSeen, Request};
use super::super::revocation::Lists;
use super::super::settings::{self, Judgement};
use super::super::target::{Peer, Place, Target};
use super::anchor::{UsedRoots, anchors};
use super::answer::said;
use super::cause;
use super::location::{Location, expectation};
use super::trust::Trust;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;

/// How strictly dates are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The time to judge by.
    pub now: OffsetDateTime,
    /// `--expires-within`: what has less time left than this is warned of.
    pub expires_within: Duration,
}

/// How much is kept of what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// All of it: for those who read every line.
    Everything,
    /// That it passed, and where: of a large fleet, the words for it would be most of what a run takes.
    WhatIsWrong,
}

/// Judges everything that was seen. The order is the target's, and within a host the catalogue's.
#[must_use]
pub fn judge(target: &Target, seen: &Observations, clock: Clock) -> Vec<Finding> {
    judge_each(Detail::Everything, target, seen, seen.peers.iter(), clock)
}

/// Judges as [`judge`], and keeps no more than `detail` says. What was seen of a host is dropped once it is judged.
#[must_use]
pub fn judge_in(detail: Detail, target: &Target, mut seen: Observations, clock: Clock) -> Vec<Finding> {
    let peers = std::mem::take(&mut seen.peers);
    judge_each(detail, target, &seen, peers.into_iter(), clock)
}

/// Judges `peers` host by host; of `seen` only what is not about one host is looked at.
fn judge_each<S: Borrow<PeerSeen>>(
    detail: Detail,
    target: &Target,
    seen: &Observations,
    mut peers: impl Iterator<Item = S>,
    clock: Clock,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let nodes = target.nodes.iter().map(|node| (node.name.as_str(), node)).collect();
    let (parsed, trusted, lists) = (HashMap::new(), HashMap::new(), Lists::of(target));
    let mut bench = CheckContext {
        target,
        clock,
        seen,
        parsed,
        trusted,
        used: UsedRoots::default(),
        ending: HashSet::new(),
        nodes,
        lists,
    };
    bench.whole(&mut findings);
    let mut listed = bench.listed(&mut findings);
    let mut heartbeats = bench.heartbeats(&mut findings);
    let mut nodes_left = target.nodes.len();
    for (place, peer) in target.peers() {
        let nothing = PeerSeen { place, host: peer.name.clone(), locations: Vec::new() };
        let seen = peers.next();
        let seen = seen.as_ref().map(Borrow::borrow);
        let seen = seen.filter(|seen| seen.place == place && seen.host == peer.name).unwrap_or(&nothing);
        let before = findings.len();
        // What one host showed, others show seldom: kept for all, it would be the most of what a large fleet takes.
        bench.parsed.clear();
        bench.trusted.clear();
        if place == Place::Node {
            findings.extend(listed.next().flatten());
            findings.extend(heartbeats.next().flatten());
        }
        bench.peer(peer, seen, &mut findings);
        let missing = bench.missing(peer, place, &findings[before..]);
        findings.extend(missing);
        cause::silent_host(&mut findings[before..]);
        if detail == Detail::WhatIsWrong {
            findings[before..].iter_mut().filter(|f| f.status == Status::Pass).for_each(Finding::forget_the_words);
        }
        if place == Place::Node {
            nodes_left -= 1;
            make_room(&mut findings, before, nodes_left);
        }
    }
    cause::lists(&mut findings);
    // Which roots count is known only now; they are told first.
    findings.splice(0..0, anchors(target, &bench.used, clock.now));
    findings
}

/// Makes room for the findings of the other nodes as soon as there is little left. A list that doubles stands in memory
/// twice while it is moved, and room that is not used takes no memory.
fn make_room(findings: &mut Vec<Finding>, before: usize, nodes_left: usize) {
    /// A node has seldom more; one that does must not ask for as much for each of the others.
    const OF_A_NODE: usize = 48;
    /// The findings about the whole cluster, which come first.
    const OF_THE_WHOLE: usize = 256;
    let last = (findings.len() - before).min(OF_A_NODE);
    if findings.capacity() - findings.len() < OF_A_NODE + OF_THE_WHOLE {
        findings.reserve_exact(last * nodes_left + OF_THE_WHOLE + OF_A_NODE);
    }
}

/// What is worked out once and used by many checks.
pub(super) struct CheckContext<'a> {
    pub(super) target: &'a Target,
    pub(super) clock: Clock,
    pub(super) seen: &'a Observations,
    pub(super) parsed: HashMap<Fingerprint, Option<Rc<Result<Certificate, String>>>>,
    pub(super) trusted: HashMap<Vec<Fingerprint>, Rc<Trust>>,
    /// The roots to which the paths of what was seen lead.
    pub(super) used: UsedRoots,
    /// The client certificates of which it was told that they end.
    pub(super) ending: HashSet<Fingerprint>,
    pub(super) nodes: HashMap<&'a str, &'a Peer>,
    pub(super) lists: Lists<'a>,
}

/// A check, and whose call it is about where it is about one.
type Wanted<'a> = (Aspect, Option<&'a str>);

/// Of a check that nothing was seen for.
pub(super) const UNSEEN: &str = "nothing was seen of it";

impl CheckContext<'_> {
    /// A certificate that was seen, read when it is first asked for.
    pub(super) fn certificate_of(&mut self, fingerprint: &Fingerprint) -> Option<Rc<Result<Certificate, String>>> {
        let seen = self.seen;
        let read = || {
            let der = seen.certificates.get(fingerprint)?;
            Some(Rc::new(Certificate::from_der(der.0.clone()).map_err(|error| error.to_string())))
        };
        self.parsed.entry(*fingerprint).or_insert_with(read).clone()
    }

    /// What is said once, of the whole: that there is no verifier's certificate to ask with.
    fn whole(&self, findings: &mut Vec<Finding>) {
        if self.target.has_verifier() || !self.target.peers().any(|(_, peer)| peer.dialled) {
            return;
        }
        let why = self.target.verifier_missing.as_deref().unwrap_or("there is none here");
        let checks = [
            (Place::Node, Aspect::Listed),
            (Place::Node, Aspect::Heartbeat),
            (Place::Node, Aspect::Config),
            (Place::Master, Aspect::Flags),
        ];
        for (place, aspect) in checks {
            let mut finding =
                Finding::new(CheckId::at(place, aspect), Place::Cluster, &self.target.cluster, Status::Skipped);
            finding.severity = Severity::Warning;
            let observed = format!("the verifier's certificate is needed: {why}");
            findings.push(finding.saw(observed, expectation(place, aspect)));
        }
    }

    /// `node.listed`, for each node in the target's order; who else is listed is told of the whole.
    fn listed(&mut self, findings: &mut Vec<Finding>) -> std::vec::IntoIter<Option<Finding>> {
        let nothing = Vec::new().into_iter();
        if !self.target.has_verifier() || !self.target.peers().any(|(_, peer)| peer.dialled) {
            return nothing;
        }
        let id = CheckId::at(Place::Node, Aspect::Listed);
        let expected = expectation(Place::Node, Aspect::Listed);
        let whole = |status, observed: String| {
            let finding = Finding::new(id, Place::Cluster, &self.target.cluster, status);
            finding.saw(observed, expected)
        };
        let Some(listing) = &self.seen.listing else {
            findings.push(whole(Status::NotProven, UNSEEN.to_owned()));
            return nothing;
        };
        let proven = self.proven_by(&listing.shown);
        let whole = |status, observed: String| {
            let finding = Finding::new(id, Place::Cluster, &self.target.cluster, status);
            let mut finding = finding.saw(observed, expected).address(listing.to.to_string());
            finding.elapsed_ms = listing.elapsed_ms;
            finding
        };
        let nodes = match (&listing.outcome, proven) {
            (Listed::Nodes(nodes), Ok(())) => nodes,
            (Listed::Nodes(_), Err(reason)) => {
                findings.push(whole(Status::NotProven, reason));
                return nothing;
            }
            (Listed::Failed(outcome), _) => {
                let observed = format!("{}: {}", Request::Nodes.as_str(), said(outcome));
                let forbidden = matches!(outcome, Outcome::Answer(answer) if answer.status == 403);
                let status = if forbidden { Status::Skipped } else { Status::NotProven };
                findings.push(whole(status, observed));
                return nothing;
            }
        };
        let (judged, more) = settings::listed(&self.target.nodes, nodes);
        if let Some(Judgement { status, observed, remedy, .. }) = more.filter(|_| !self.target.nodes.is_empty()) {
            findings.push(Finding { remedy, ..whole(status, observed) });
        }
        let make = |(node, judged): (&Peer, Judgement)| {
            let mut finding = Finding::new(id, Place::Node, &node.name, judged.status);
            finding.remedy = judged.remedy;
            node.dialled.then(|| finding.saw(judged.observed, expected))
        };
        self.target.nodes.iter().zip(judged).map(make).collect::<Vec<_>>().into_iter()
    }

    fn peer(&mut self, peer: &Peer, seen: &PeerSeen, findings: &mut Vec<Finding>) {
        for (address, location) in peer.addresses.iter().zip(&seen.locations) {
            self.location(peer, seen.place, address, location, findings);
        }
        if !peer.dialled {
            return;
        }
        for address in peer.addresses.iter().skip(seen.locations.len()) {
            let address = format!("{}:{}", address.for_url(), peer.port);
            let spot = Location { place: seen.place, host: &peer.name, address, server_name: "", elapsed_ms: 0 };
            let finding = spot.finding(Aspect::Connect, Status::NotProven);
            findings.push(finding.saw(UNSEEN, expectation(seen.place, Aspect::Connect)));
        }
        if peer.addresses.is_empty() {
            let id = CheckId::at(seen.place, Aspect::Connect);
            let finding = Finding::new(id, seen.place, &seen.host, Status::Fail);
            findings.push(finding.saw("it has no address", "at least one address to dial"));
        }
    }

    /// What has to be judged wherever a peer is dialled.
    pub(super) fn wanted_everywhere(&self, place: Place) -> Vec<Wanted<'_>> {
        let aspects = [Aspect::Connect, Aspect::Tls, Aspect::Chain, Aspect::Possession, Aspect::Dates, Aspect::Name];
        let mut wanted: Vec<Wanted<'_>> = aspects.into_iter().map(|aspect| (aspect, None)).collect();
        wanted.extend([(Aspect::Usage, None), (Aspect::Anonymous, None)]);
        let untrusted = self.seen.probes.untrusted(place).iter();
        wanted.extend(untrusted.map(|kind| (Aspect::Untrusted, Some(kind.as_str()))));
        let verifier = self.target.has_verifier();
        if place == Place::Node {
            let others = self.target.nodes.len() > 1;
            wanted.extend(self.target.masters.iter().map(|master| (Aspect::Caller, Some(master.name.as_str()))));
            wanted.extend(others.then_some((Aspect::OtherNode, None)));
            wanted.extend(verifier.then_some((Aspect::Config, None)));
        } else {
            wanted.extend(verifier.then_some((Aspect::Flags, None)));
        }
        wanted.extend(self.target.knows_revocation().then_some((Aspect::Revoked, None)));
        wanted
    }

    /// What of `wanted` is not among the findings.
    pub(super) fn absent<'w>(&self, wanted: Vec<Wanted<'w>>, findings: &[Finding]) -> Vec<Wanted<'w>> {
        let judged: HashSet<Wanted<'_>> =
            findings.iter().flat_map(|f| [(f.id.1, None), (f.id.1, f.caller.as_deref())]).collect();
        wanted.into_iter().filter(|wanted| !judged.contains(wanted)).collect()
    }

    /// What should have been judged and was not, because nothing was seen of it: a gap in a recording, or in the run. It
    /// must never look like a pass.
    fn missing(&self, peer: &Peer, place: Place, findings: &[Finding]) -> Vec<Finding> {
        if !peer.dialled {
            return Vec::new();
        }
        let mut wanted = self.wanted_everywhere(place);
        if place == Place::Node {
            wanted.push((Aspect::Caller, None));
        } else {
            let accounts = self.target.accounts().map(|(_, node)| Some(node.name.as_str()));
            let of_each = [Aspect::Caller, Aspect::Whoami, Aspect::Scope];
            wanted.extend(accounts.flat_map(|name| of_each.map(|aspect| (aspect, name))));
        }
        let mut causes: HashMap<Aspect, &Finding> = HashMap::new();
        for finding in findings.iter().filter(|finding| finding.because_of.is_some()) {
            causes.entry(finding.id.1).or_insert(finding);
        }
        let make = |(aspect, caller): (Aspect, Option<&str>)| {
            // Without any master in the target there is nobody who could call a kubelet by right.
            let nobody = place == Place::Node && aspect == Aspect::Caller && self.target.masters.is_empty();
            let (status, observed) = if nobody {
                (Status::Skipped, "there is no master's certificate here")
            } else {
                (Status::NotProven, UNSEEN)
            };
            let finding = Finding::new(CheckId::at(place, aspect), place, &peer.name, status);
            let mut finding = finding.saw(observed, expectation(place, aspect));
            finding.caller = caller.map(str::to_owned);
            // Where the host was not reached at all, that is the reason.
            if let Some(cause) = causes.get(&aspect) {
                finding.observed.clone_from(&cause.observed);
                finding.address.clone_from(&cause.address);
                finding.because_of.clone_from(&cause.because_of);
            }
            finding
        };
        self.absent(wanted, findings).into_iter().map(make).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{NOW, PODS, answer, bed, master, statuses};
    use super::*;
    use crate::verify::target::Place;

    #[test]
    fn what_was_not_seen_is_never_a_pass() {
        let bed = bed();
        let clock = Clock { now: NOW, expires_within: Duration::days(30) };
        let findings = judge(&bed.target, &Observations::default(), clock);
        // A recording of an older run has no leases, and says so without failing.
        let of_an_older_run = |f: &Finding| f.id.1 == Aspect::Heartbeat && f.status == Status::Skipped;
        assert!(
            findings
                .iter()
                .all(|f| { f.status == Status::NotProven || f.id == CheckId::TRUST_ANCHOR || of_an_older_run(f) })
        );
        let accounts: Vec<_> =
            findings.iter().filter(|f| f.id.1 == Aspect::Whoami).map(|f| f.caller.as_deref()).collect();
        assert_eq!(accounts, [Some("n1"), Some("n2")]);
        // A node that answered the master and nobody else was asked.
        let found = bed.judged(Place::Node, &bed.node_cert(), &[(master(), answer(200, PODS))], NOW);
        let rest = statuses(&found, &["caller", "anonymous", "untrusted", "other-node"]);
        assert_eq!(rest, ["pass", "not-proven", "not-proven", "not-proven"]);
    }
}
