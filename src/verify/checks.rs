//! The judgement: pure functions from observations, the target and `now` to findings. No network, no clock.
//! An answer counts only when it came over a connection whose peer proved that it belongs to the root.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::finding::{Aspect, CheckId, Finding, Severity, Status};
use super::observation::{
    Answer, Caller, Connect, Dial, Exchange, Handshake, Listed, LocationSeen, Observations, OldHello, Outcome,
    PeerSeen, Request, Resolution, Signature, Tls,
};
use super::revocation::{Lists, Revocation};
use super::settings::{self, Judgement};
use super::target::{Peer, Place, Target};
use crate::cluster::address::Address;
use crate::pki::certificate::{Certificate, PublicKeyKind};
use crate::pki::chain::verify_chain;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::inspect::{in_words, root_flaws, stamp};

/// How strictly dates are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The time to judge by.
    pub now: OffsetDateTime,
    /// `--expires-within`: what has less time left than this is warned of.
    pub expires_within: Duration,
}

/// Judges everything that was seen. The order is the target's, and within a host the catalogue's.
#[must_use]
pub fn judge(target: &Target, seen: &Observations, clock: Clock) -> Vec<Finding> {
    let mut findings = trust_anchor(target, clock.now);
    let nodes = target.nodes.iter().map(|node| (node.name.as_str(), node)).collect();
    let (parsed, trusted, lists) = (HashMap::new(), HashMap::new(), Lists::of(target));
    let mut bench = Bench { target, clock, seen, parsed, trusted, nodes, lists };
    bench.whole(&mut findings);
    let mut listed = bench.listed(&mut findings);
    for (i, (place, peer)) in target.peers().enumerate() {
        let nothing = PeerSeen { place, host: peer.name.clone(), locations: Vec::new() };
        let seen = seen.peers.get(i).filter(|seen| seen.place == place && seen.host == peer.name).unwrap_or(&nothing);
        let before = findings.len();
        // What one host showed, others show seldom: kept for all, it would be the most of what a large fleet takes.
        bench.parsed.clear();
        bench.trusted.clear();
        if place == Place::Node {
            findings.extend(listed.next().flatten());
        }
        bench.peer(peer, seen, &mut findings);
        let missing = bench.missing(peer, place, &findings[before..]);
        findings.extend(missing);
    }
    findings
}

/// `trust.anchor`: whether every certificate in the trust file is a usable root. rustls and webpki look at none of this.
#[must_use]
pub fn trust_anchor(target: &Target, now: OffsetDateTime) -> Vec<Finding> {
    let finding = |status| Finding::new(CheckId::TRUST_ANCHOR, Place::Cluster, &target.cluster, status);
    let expected = "a root that is a CA, may sign certificates, is in date and strong";
    let mut findings = Vec::new();
    for fault in &target.trust_faults {
        let hint = "the trust file must hold root certificates and nothing else";
        findings.push(finding(Status::Fail).saw(fault.clone(), expected).hint(hint));
    }
    for root in &target.roots {
        let flaws = root_flaws(root, now);
        let who = format!("{} ({})", root.subject.text, root.spki_fingerprint().as_pin());
        if flaws.is_empty() {
            let observed = format!("{who} is valid until {}", stamp(root.not_after));
            findings.push(finding(Status::Pass).saw(observed, expected));
            continue;
        }
        let said: Vec<String> = flaws.iter().map(ToString::to_string).collect();
        let hint = if now > root.not_after {
            "a root cannot be renewed in place: make a new one with `clusterctl init-ca` in a new directory, then issue and \
             distribute every certificate again"
        } else {
            "check that the trust file is this cluster's ca.crt"
        };
        findings.push(finding(Status::Fail).saw(format!("{who}: {}", said.join("; ")), expected).hint(hint));
    }
    if findings.is_empty() {
        findings.push(finding(Status::Fail).saw("the trust file holds no certificate", expected));
    }
    findings
}

/// What is worked out once and used by many checks.
struct Bench<'a> {
    target: &'a Target,
    clock: Clock,
    seen: &'a Observations,
    parsed: HashMap<Fingerprint, Option<Rc<Result<Certificate, String>>>>,
    trusted: HashMap<Vec<Fingerprint>, Result<(), String>>,
    nodes: HashMap<&'a str, &'a Peer>,
    lists: Lists<'a>,
}

/// Of a check that nothing was seen for.
const UNSEEN: &str = "nothing was seen of it";

/// Where a finding belongs.
struct Spot<'a> {
    place: Place,
    host: &'a str,
    address: String,
    server_name: &'a str,
    elapsed_ms: u64,
}

impl Spot<'_> {
    fn finding(&self, aspect: Aspect, status: Status) -> Finding {
        let mut finding = Finding::new(CheckId::at(self.place, aspect), self.place, self.host, status);
        finding.address = Some(self.address.clone());
        finding.server_name = Some(self.server_name.to_owned());
        finding.elapsed_ms = self.elapsed_ms;
        finding
    }

    /// The command that makes a new certificate for it.
    fn reissue(&self) -> String {
        match self.place {
            Place::Node => format!("clusterctl issue-node --reissue {}", self.host),
            Place::Master => format!("clusterctl issue-master --reissue {}", self.host),
            Place::Endpoint | Place::Cluster => "clusterctl issue-master --reissue --all".to_owned(),
        }
    }

    /// Not proven, because `cause` did not hold.
    fn follows(&self, aspect: Aspect, cause: Aspect, observed: &str) -> Finding {
        let mut finding = self.finding(aspect, Status::NotProven);
        finding.follows = Some(CheckId::at(self.place, cause));
        finding.saw(observed, expectation(self.place, aspect))
    }
}

fn expectation(place: Place, aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Resolve => "the name resolves",
        Aspect::Connect => "a TCP connection opens",
        Aspect::Tls => "TLS is spoken, in time",
        Aspect::Protocol => "TLS 1.2 or 1.3 with ECDHE and AEAD",
        Aspect::Chain => "a chain to this cluster's root",
        Aspect::Possession => "the handshake is signed by the certificate's key",
        Aspect::Dates => "leaf, intermediates and root are in date",
        Aspect::Expiry => "time enough is left",
        Aspect::Name => "the certificate names every address that may be dialled",
        Aspect::Usage => "a server's certificate (serverAuth, not a CA)",
        Aspect::Revoked => "not revoked, by a list that this root signed and that is fresh",
        Aspect::Listed => "the API server knows this node, by the cluster file's addresses",
        Aspect::Config => {
            "anonymous off, webhook on, a client CA, authorization Webhook, read-only port 0, as in the bundle"
        }
        Aspect::Flags => {
            "kubelets are verified, a client CA, no anonymous callers, an authorizer that is not AlwaysAllow"
        }
        Aspect::Scope => "the account may do its own node's work and no other's",
        Aspect::Identity => "the certificate that was issued last for this host",
        Aspect::Caller if place == Place::Node => "the master's certificate is accepted: 2xx with a PodList",
        Aspect::Caller => "the node's certificate is accepted: 201",
        Aspect::Whoami => "exactly the node's account, groups and certificate",
        Aspect::Anonymous => "a caller without a certificate is refused: 401, 403 or a TLS alert",
        Aspect::Stranger => "a certificate that the root did not sign is refused: 401, 403 or a TLS alert",
        Aspect::Neighbour => "another node's certificate is refused: 401 or 403",
        Aspect::Readonly => "the read-only port is closed",
        _ => "",
    }
}

/// The checks of a peer's certificate, in the catalogue's order.
const TARGET_CHECKS: [Aspect; 7] =
    [Aspect::Protocol, Aspect::Chain, Aspect::Possession, Aspect::Dates, Aspect::Expiry, Aspect::Name, Aspect::Usage];

impl Bench<'_> {
    /// A certificate that was seen, read when it is first asked for.
    fn certificate_of(&mut self, fingerprint: &Fingerprint) -> Option<Rc<Result<Certificate, String>>> {
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
        let checks = [(Place::Node, Aspect::Listed), (Place::Node, Aspect::Config), (Place::Master, Aspect::Flags)];
        for (place, aspect) in checks {
            let finding =
                Finding::new(CheckId::at(place, aspect), Place::Cluster, &self.target.cluster, Status::Skipped);
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
        if let Some(Judgement { status, observed, hint, .. }) = more {
            findings.push(whole(status, observed).hint(hint.unwrap_or_default()));
        }
        let make = |(node, judged): (&Peer, Judgement)| {
            let mut finding = Finding::new(id, Place::Node, &node.name, judged.status);
            finding.hint = judged.hint.map(str::to_owned);
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
            let spot = Spot { place: seen.place, host: &peer.name, address, server_name: "", elapsed_ms: 0 };
            let finding = spot.finding(Aspect::Connect, Status::NotProven);
            findings.push(finding.saw(UNSEEN, expectation(seen.place, Aspect::Connect)));
        }
        if peer.addresses.is_empty() {
            let id = CheckId::at(seen.place, Aspect::Connect);
            let finding = Finding::new(id, seen.place, &seen.host, Status::Fail);
            findings.push(finding.saw("it has no address", "at least one address to dial"));
        }
    }

    /// What should have been judged and was not, because nothing was seen of it: a gap in a recording, or in the run. It
    /// must never look like a pass.
    fn missing(&self, peer: &Peer, place: Place, findings: &[Finding]) -> Vec<Finding> {
        if !peer.dialled {
            return Vec::new();
        }
        let mut wanted: Vec<(Aspect, Option<&str>)> = [Aspect::Connect, Aspect::Tls, Aspect::Chain, Aspect::Possession]
            .into_iter()
            .chain([Aspect::Dates, Aspect::Name, Aspect::Usage, Aspect::Anonymous, Aspect::Stranger])
            .map(|aspect| (aspect, None))
            .collect();
        let neighbours = self.target.nodes.len() > 1;
        if place == Place::Node {
            wanted.push((Aspect::Caller, None));
            wanted.extend(self.target.masters.iter().map(|master| (Aspect::Caller, Some(master.name.as_str()))));
            wanted.extend(neighbours.then_some((Aspect::Neighbour, None)));
            wanted.extend(self.target.has_verifier().then_some((Aspect::Config, None)));
        } else {
            let accounts = self.target.accounts().map(|(_, node)| Some(node.name.as_str()));
            let of_each = [Aspect::Caller, Aspect::Whoami, Aspect::Scope];
            wanted.extend(accounts.flat_map(|name| of_each.map(|aspect| (aspect, name))));
            wanted.extend(self.target.has_verifier().then_some((Aspect::Flags, None)));
        }
        wanted.extend(self.target.knows_revocation().then_some((Aspect::Revoked, None)));
        let judged: HashSet<(Aspect, Option<&str>)> =
            findings.iter().flat_map(|f| [(f.id.1, None), (f.id.1, f.caller.as_deref())]).collect();
        let mut causes: HashMap<Aspect, &Finding> = HashMap::new();
        for finding in findings.iter().filter(|finding| finding.follows.is_some()) {
            causes.entry(finding.id.1).or_insert(finding);
        }
        let absent = wanted.into_iter().filter(|wanted| !judged.contains(wanted));
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
                finding.follows = cause.follows;
            }
            finding
        };
        absent.map(make).collect()
    }

    fn location(
        &mut self,
        peer: &Peer,
        place: Place,
        address: &Address,
        seen: &LocationSeen,
        findings: &mut Vec<Finding>,
    ) {
        let spot = |to: String, elapsed_ms| Spot {
            place,
            host: &peer.name,
            address: to,
            server_name: &seen.address,
            elapsed_ms,
        };
        let whole = spot(format!("{}:{}", address.for_url(), seen.port), 0);
        let listed = |ips: &[std::net::IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let expected = expectation(place, Aspect::Resolve);
        match &seen.resolution {
            Resolution::Literal => {}
            Resolution::Pinned(ips) => {
                let observed = format!("pinned to {}", listed(ips));
                findings.push(whole.finding(Aspect::Resolve, Status::Pass).saw(observed, expected));
            }
            Resolution::Resolved(ips) if !ips.is_empty() => {
                findings.push(whole.finding(Aspect::Resolve, Status::Pass).saw(listed(ips), expected));
            }
            Resolution::Resolved(_) => findings.push(unresolved(&whole, "it has no address", expected)),
            Resolution::Failed(reason) => findings.push(unresolved(&whole, reason, expected)),
        }
        if seen.dials.is_empty() {
            self.unreached(&whole, peer, Aspect::Connect, Aspect::Resolve, "the name does not resolve", findings);
        }
        for dial in &seen.dials {
            self.dial(peer, address, &spot(dial.to.to_string(), dial.elapsed_ms), dial, findings);
        }
    }

    /// All that is not proven when a location was not reached. `from` is the first check of the row that is missing.
    fn unreached(
        &self,
        spot: &Spot<'_>,
        peer: &Peer,
        from: Aspect,
        cause: Aspect,
        observed: &str,
        findings: &mut Vec<Finding>,
    ) {
        let mut row = vec![Aspect::Connect, Aspect::Tls];
        row.extend(TARGET_CHECKS);
        row.extend((spot.place == Place::Node && peer.issued.is_some()).then_some(Aspect::Identity));
        row.extend(self.target.knows_revocation().then_some(Aspect::Revoked));
        let verifier = self.target.has_verifier();
        let nodes = self.target.nodes.len();
        match spot.place {
            Place::Node => {
                row.extend([Aspect::Caller, Aspect::Anonymous, Aspect::Stranger]);
                row.extend((nodes > 1).then_some(Aspect::Neighbour));
                row.extend(verifier.then_some(Aspect::Config));
            }
            _ => {
                if self.target.accounts().next().is_some() {
                    row.extend([Aspect::Caller, Aspect::Whoami, Aspect::Scope]);
                }
                row.extend([Aspect::Anonymous, Aspect::Stranger]);
                row.extend(verifier.then_some(Aspect::Flags));
            }
        }
        let start = row.iter().position(|aspect| *aspect == from).unwrap_or(0);
        findings.extend(row[start..].iter().map(|aspect| spot.follows(*aspect, cause, observed)));
    }

    fn dial(&mut self, peer: &Peer, address: &Address, spot: &Spot<'_>, dial: &Dial, findings: &mut Vec<Finding>) {
        findings.push(connect(spot, &dial.connect));
        let Some(tls) = &dial.tls else {
            return self.unreached(spot, peer, Aspect::Tls, Aspect::Connect, "no connection opened", findings);
        };
        findings.push(handshake(spot, tls));
        if tls.shown.is_empty() {
            let observed = "no certificate came";
            return self.unreached(spot, peer, Aspect::Protocol, Aspect::Tls, observed, findings);
        }
        findings.push(protocol(spot, tls, dial.old.as_ref()));
        self.certificate(peer, address, spot, tls, findings);
        match spot.place {
            Place::Node => self.kubelet(spot, dial, findings),
            _ => self.api_server(spot, dial, findings),
        }
        if let Some(readonly) = &dial.readonly {
            findings.push(read_only(spot, readonly));
        }
    }

    fn certificate(&mut self, peer: &Peer, address: &Address, spot: &Spot<'_>, tls: &Tls, findings: &mut Vec<Finding>) {
        let chained = self.trust(&tls.shown);
        let finding = |aspect, status| spot.finding(aspect, status);
        let read = self.certificate_of(&tls.shown[0]);
        let leaf = match read.as_deref() {
            Some(Ok(leaf)) => leaf,
            other => {
                let reason = match other {
                    Some(Err(reason)) => reason.clone(),
                    _ => "the recording does not hold it".to_owned(),
                };
                let observed = format!("the certificate cannot be read: {reason}");
                let expected = expectation(spot.place, Aspect::Chain);
                findings.push(finding(Aspect::Chain, Status::Fail).saw(observed.clone(), expected));
                findings.push(possession(spot, tls));
                for aspect in [Aspect::Dates, Aspect::Expiry, Aspect::Name, Aspect::Usage] {
                    findings.push(spot.follows(aspect, Aspect::Chain, &observed));
                }
                let revoked = self.target.knows_revocation();
                findings.extend(revoked.then(|| spot.follows(Aspect::Revoked, Aspect::Chain, &observed)));
                return;
            }
        };
        let between: Vec<_> = tls.shown[1..].iter().filter_map(|f| self.certificate_of(f)).collect();
        let between: Vec<&Certificate> =
            between.iter().filter_map(|cert| cert.as_ref().as_ref().ok()).filter(|c| !c.is_self_issued()).collect();
        let good = chained.is_ok();
        findings.push(self.chain(spot, leaf, tls, chained));
        findings.push(possession(spot, tls));
        findings.extend(self.dates(spot, leaf, &between));
        findings.push(name(spot, leaf, peer, address));
        findings.push(usage(spot, leaf));
        findings.extend(self.revoked(spot, leaf, &between, good));
        if let (Place::Node, Some(issued)) = (spot.place, peer.issued) {
            findings.push(identity(spot, leaf, issued));
        }
    }

    /// Whether a chain as sent leads to one of the roots; worked out once for each chain.
    fn trust(&mut self, shown: &[Fingerprint]) -> Result<(), String> {
        if let Some(known) = self.trusted.get(shown) {
            return known.clone();
        }
        let parsed: Vec<_> = shown.iter().filter_map(|f| self.certificate_of(f)).collect();
        let parsed: Vec<Certificate> = parsed.iter().filter_map(|cert| cert.as_ref().as_ref().ok()).cloned().collect();
        let result = match parsed.split_first() {
            Some((leaf, between)) if shown.first() == Some(&leaf.fingerprint()) => {
                let weak = std::iter::once(leaf).chain(between).find_map(weakness);
                match weak {
                    Some(weak) => Err(weak),
                    None => verify_chain(leaf, between, &self.target.roots).map_err(|error| error.to_string()),
                }
            }
            _ => Err("its certificate cannot be read".to_owned()),
        };
        self.trusted.insert(shown.to_vec(), result.clone());
        result
    }

    fn chain(&self, spot: &Spot<'_>, leaf: &Certificate, tls: &Tls, chained: Result<(), String>) -> Finding {
        let expected = match self.target.roots.first() {
            Some(root) => format!("a chain to {}", root.subject.text),
            None => expectation(spot.place, Aspect::Chain).to_owned(),
        };
        let issuer = &leaf.issuer.text;
        match chained {
            Ok(()) => {
                spot.finding(Aspect::Chain, Status::Pass).saw(format!("{} by {issuer}", leaf.subject.text), expected)
            }
            Err(reason) => {
                let observed = format!("{} by {issuer}: {reason}", leaf.subject.text);
                let twin = self.target.roots.iter().any(|root| root.subject.der == leaf.issuer.der);
                let hint = if tls.sent > 1 || twin {
                    "another CA of the same name signed it, or not all intermediates are sent: install this host's bundle \
                     again and restart what serves here"
                } else {
                    "this host serves a certificate of another CA (a kubelet that signs its own, a proxy?): install its \
                     bundle and restart what serves here"
                };
                spot.finding(Aspect::Chain, Status::Fail).saw(observed, expected).hint(hint)
            }
        }
    }

    /// `node.revoked`; nothing where there is nothing to judge it by.
    fn revoked(&self, spot: &Spot<'_>, leaf: &Certificate, between: &[&Certificate], good: bool) -> Option<Finding> {
        if !self.target.knows_revocation() {
            return None;
        }
        if !good {
            return Some(spot.follows(
                Aspect::Revoked,
                Aspect::Chain,
                "only of what this root signed is anything known",
            ));
        }
        let path: Vec<&Certificate> = std::iter::once(leaf).chain(between.iter().copied()).collect();
        let expected = expectation(spot.place, Aspect::Revoked);
        let finding = |status, observed: String| spot.finding(Aspect::Revoked, status).saw(observed, expected);
        Some(match self.lists.judge(&path, self.clock.now) {
            Revocation::Clear(observed) => finding(Status::Pass, observed),
            Revocation::Revoked(observed) => finding(Status::Fail, observed)
                .hint(format!("issue it again: {}, then install the bundle", spot.reissue())),
            Revocation::Unusable(observed) => {
                let hint =
                    "give a list that this cluster's root signed and that is not past its next update: --crl FILE";
                finding(Status::Fail, observed).hint(hint)
            }
        })
    }

    fn dates(&self, spot: &Spot<'_>, leaf: &Certificate, intermediates: &[&Certificate]) -> [Finding; 2] {
        let Clock { now, expires_within } = self.clock;
        // With several roots in the file, those that this leaf leads to are the ones that count.
        let owned: Vec<Certificate> = intermediates.iter().map(|c| (*c).clone()).collect();
        let leads = |root: &&Certificate| verify_chain(leaf, &owned, std::slice::from_ref(*root)).is_ok();
        let single = self.target.roots.len() == 1;
        let roots: Vec<&Certificate> = self.target.roots.iter().filter(|root| single || leads(root)).collect();
        let path = || {
            let kinds = [("the certificate", vec![leaf]), ("an intermediate", intermediates.to_vec())];
            kinds.into_iter().flat_map(|(kind, certs)| certs.into_iter().map(move |c| (kind, c)))
        };
        let mut wrong: Vec<String> = path().filter_map(|(kind, cert)| out_of_date(kind, cert, now)).collect();
        // Any root in date will do, as for every verifier.
        let stale: Vec<String> = roots.iter().filter_map(|root| out_of_date("the root", root, now)).collect();
        let root_is_stale = stale.len() == roots.len() && !stale.is_empty();
        if root_is_stale {
            wrong.extend(stale);
        }
        let expected = expectation(spot.place, Aspect::Dates);
        let least = path().map(|(_, cert)| cert.not_after).chain(roots.iter().map(|root| root.not_after).max()).min();
        let least = least.unwrap_or(leaf.not_after);
        let left = least - now;
        if !wrong.is_empty() {
            let hint = if wrong.iter().any(|text| text.contains("clock skew?")) {
                "compare the clocks of this machine and of the one that issued the certificate".to_owned()
            } else if root_is_stale {
                "no certificate outlives its root: see trust.anchor".to_owned()
            } else {
                format!("issue it again: {}, then install the bundle", spot.reissue())
            };
            let dates = spot.finding(Aspect::Dates, Status::Fail).saw(wrong.join("; "), expected).hint(hint);
            let expiry = spot.follows(Aspect::Expiry, Aspect::Dates, "it is out of date already");
            return [dates, expiry];
        }
        let observed = format!("valid from {} until {}", stamp(leaf.not_before), stamp(leaf.not_after));
        let dates = spot.finding(Aspect::Dates, Status::Pass).saw(observed, expected);
        let observed = format!("{} left, until {}", in_words(left), stamp(least));
        let expected = format!("more than {} left", in_words(expires_within));
        let expiry = if left > expires_within {
            spot.finding(Aspect::Expiry, Status::Pass).saw(observed, expected)
        } else {
            let hint = format!("renew it in time: {}", spot.reissue());
            spot.finding(Aspect::Expiry, Status::Warn).saw(observed, expected).hint(hint)
        };
        [dates, expiry]
    }

    /// Whether what came over this connection was said by somebody who belongs to the root.
    fn proven(&mut self, exchange: &Exchange) -> Result<(), String> {
        self.proven_by(&exchange.shown)
    }

    fn proven_by(&mut self, shown: &[Fingerprint]) -> Result<(), String> {
        if shown.is_empty() {
            return Err("the peer showed no certificate on this connection".to_owned());
        }
        self.trust(shown).map_err(|reason| format!("whoever answered does not belong to the root: {reason}"))
    }

    fn kubelet(&mut self, spot: &Spot<'_>, dial: &Dial, findings: &mut Vec<Finding>) {
        let mut positive = Positive::Untried;
        for exchange in of(dial, |caller| matches!(caller, Caller::Master(_))) {
            let proven = self.proven(exchange);
            let (mut finding, this) = kubelet_caller(spot, exchange, proven);
            finding.caller = who(&exchange.caller);
            positive = positive.max(this);
            findings.push(finding);
        }
        for exchange in of(dial, |caller| !matches!(caller, Caller::Master(_) | Caller::Verifier)) {
            findings.push(self.refusal(spot, exchange, positive));
        }
        for exchange in of(dial, |caller| *caller == Caller::Verifier) {
            findings.push(self.told(spot, Aspect::Config, exchange));
        }
    }

    fn api_server(&mut self, spot: &Spot<'_>, dial: &Dial, findings: &mut Vec<Finding>) {
        let mut positive = Positive::Untried;
        let restricted = of(dial, |caller| *caller == Caller::Verifier).any(|exchange| match &exchange.outcome {
            Outcome::Answer(answer) if answer.status == 200 => {
                settings::restricts_nodes(answer) && self.proven(exchange).is_ok()
            }
            _ => false,
        });
        for exchange in of(dial, |caller| matches!(caller, Caller::Node(_))) {
            let proven = self.proven(exchange);
            let node = match &exchange.caller {
                Caller::Node(name) => self.nodes.get(name.as_str()).copied(),
                _ => None,
            };
            let (made, this) = api_caller(spot, exchange, node, proven);
            let known = made.first().is_some_and(|caller| caller.status == Status::Pass);
            positive = positive.max(this);
            findings.extend(made);
            findings.push(scope(spot, exchange, node, known, restricted));
        }
        for exchange in of(dial, |caller| !matches!(caller, Caller::Node(_) | Caller::Verifier)) {
            findings.push(self.refusal(spot, exchange, positive));
        }
        for exchange in of(dial, |caller| *caller == Caller::Verifier) {
            findings.push(self.told(spot, Aspect::Flags, exchange));
        }
    }

    /// What a server tells the verifier of itself.
    fn told(&mut self, spot: &Spot<'_>, aspect: Aspect, exchange: &Exchange) -> Finding {
        let observed = asked_and_said(exchange);
        let mut finding = spot.finding(aspect, Status::NotProven).saw(observed, expectation(spot.place, aspect));
        finding.caller = who(&exchange.caller);
        finding.elapsed_ms = exchange.elapsed_ms;
        let Outcome::Answer(answer) = &exchange.outcome else { return finding };
        if let Err(reason) = self.proven(exchange) {
            finding.observed = format!("{}: {}, but {reason}", exchange.request.as_str(), answer.status);
            finding.follows = Some(CheckId::at(spot.place, Aspect::Chain));
            return finding;
        }
        match answer.status {
            200 => {
                let judged = if aspect == Aspect::Flags { settings::flags(answer) } else { settings::kubelet(answer) };
                match judged {
                    Some(Judgement { status, observed, hint, .. }) => {
                        (finding.status, finding.observed) = (status, observed);
                        finding.hint = hint.map(str::to_owned);
                    }
                    None => {
                        let asked = exchange.request.as_str();
                        finding.observed = format!("{asked}: 200, but that is not what Kubernetes answers");
                    }
                }
            }
            // It may not see it, or there is nothing to see.
            403 | 404 => {
                finding.status = Status::Skipped;
                let hint = match (aspect, answer.status) {
                    (Aspect::Flags, 404) => {
                        "/flagz is there from Kubernetes 1.32, behind the feature gate ComponentFlagz"
                    }
                    (_, 404) => "the kubelet serves /configz where enableDebuggingHandlers is true",
                    _ => "give the verifier's group the rights that its bundle lists",
                };
                return finding.hint(hint);
            }
            _ => {}
        }
        finding
    }

    /// A caller who has to be refused. That proves something only where another is let in.
    fn refusal(&mut self, spot: &Spot<'_>, exchange: &Exchange, positive: Positive) -> Finding {
        let aspect = match exchange.caller {
            Caller::Stranger => Aspect::Stranger,
            Caller::Neighbour(_) => Aspect::Neighbour,
            _ => Aspect::Anonymous,
        };
        let expected = expectation(spot.place, aspect);
        let observed = asked_and_said(exchange);
        let mut finding = spot.finding(aspect, Status::NotProven).saw(observed, expected);
        finding.caller = who(&exchange.caller);
        finding.elapsed_ms = exchange.elapsed_ms;
        if let Outcome::NoCredential(_) = exchange.outcome {
            finding.status = Status::Skipped;
            return finding;
        }
        // A refusal in the handshake may come before any certificate; what does show one has to show the right one.
        let answered = matches!(exchange.outcome, Outcome::Answer(_));
        if (answered || !exchange.shown.is_empty())
            && let Err(reason) = self.proven(exchange)
        {
            finding.observed = format!("{}, but {reason}", finding.observed);
            finding.follows = Some(CheckId::at(spot.place, Aspect::Chain));
            return finding;
        }
        let refused = match &exchange.outcome {
            Outcome::Answer(answer) if (200..300).contains(&answer.status) => {
                finding.status = Status::Fail;
                return finding.hint(open_door(spot.place, aspect));
            }
            Outcome::Answer(answer) if answer.status == 401 => true,
            // Where the master's own certificate gets no more than 403, another's 403 says nothing.
            Outcome::Answer(answer) if answer.status == 403 => positive == Positive::Accepted,
            Outcome::Alert(alert) => refuses(alert),
            Outcome::Closed | Outcome::Reset => true,
            // nginx's and others' way of refusing a certificate. It may hold for one path alone.
            Outcome::Answer(answer) if answer.status == 400 => {
                let who = if spot.place == Place::Node { "the kubelet" } else { "the API server" };
                return finding.hint(format!(
                    "something answers in {who}'s place (nginx, a load balancer?): dial {who} itself, or let whatever stands \
                     in front pass TLS through"
                ));
            }
            _ => false,
        };
        if !refused {
            return finding;
        }
        match positive {
            Positive::Accepted | Positive::Forbidden | Positive::Answered => finding.status = Status::Pass,
            Positive::Untried => {
                finding.status = Status::Skipped;
                finding.observed.push_str(", but there is no key here for a call that should be accepted");
            }
            Positive::Failed => {
                finding.observed.push_str(", but the rightful caller is not accepted either");
                finding.follows = Some(CheckId::at(spot.place, Aspect::Caller));
            }
        }
        finding
    }
}

/// What became of the calls that should be accepted; the best of them counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Positive {
    /// There was no key to call with.
    Untried,
    /// None was accepted.
    Failed,
    /// The caller got some answer that is neither a yes nor a refusal: a 404, an answer that is not Kubernetes's. It was
    /// let in as far as that.
    Answered,
    /// The caller was recognised, and forbidden.
    Forbidden,
    /// One was accepted.
    Accepted,
}

fn of(dial: &Dial, wanted: impl Fn(&Caller) -> bool) -> impl Iterator<Item = &Exchange> {
    dial.exchanges.iter().filter(move |exchange| wanted(&exchange.caller))
}

fn who(caller: &Caller) -> Option<String> {
    match caller {
        Caller::Master(name) | Caller::Node(name) | Caller::Neighbour(name) => Some(name.clone()),
        // The verifier is no host: what it is told is told of whoever told it.
        Caller::Anonymous | Caller::Stranger | Caller::Verifier => None,
    }
}

fn unresolved(spot: &Spot<'_>, reason: &str, expected: &str) -> Finding {
    let hint = format!("add the name to DNS or /etc/hosts, or pin it: --resolve {}:ADDRESS", spot.server_name);
    spot.finding(Aspect::Resolve, Status::Fail).saw(reason, expected).hint(hint)
}

fn connect(spot: &Spot<'_>, connect: &Connect) -> Finding {
    let expected = expectation(spot.place, Aspect::Connect);
    let (what, service) =
        if spot.place == Place::Node { ("the kubelet", "kubelet") } else { ("the API server", "kube-apiserver") };
    let (observed, hint) = match connect {
        Connect::Open => {
            let observed = format!("open, {} ms with the handshake", spot.elapsed_ms);
            return spot.finding(Aspect::Connect, Status::Pass).saw(observed, expected);
        }
        Connect::NotTried(why) => return spot.finding(Aspect::Connect, Status::NotProven).saw(why.clone(), expected),
        Connect::Refused => (
            "connection refused: the host is up, and nobody listens there".to_owned(),
            format!("start {what} on {} (systemctl status {service}), or correct address and port", spot.host),
        ),
        Connect::TimedOut(ms) => (
            format!("no answer within {ms} ms"),
            format!("is {} up, is the address right, does a firewall drop packets to this port?", spot.host),
        ),
        Connect::Failed(reason) => {
            (reason.clone(), format!("is there a route from here to {}, and is the address right?", spot.host))
        }
    };
    spot.finding(Aspect::Connect, Status::Fail).saw(observed, expected).hint(hint)
}

fn handshake(spot: &Spot<'_>, tls: &Tls) -> Finding {
    let expected = expectation(spot.place, Aspect::Tls);
    // Once certificates came, TLS was spoken; what happened then is another check's.
    if !tls.shown.is_empty() {
        let observed = match (&tls.outcome, &tls.version) {
            (Handshake::Done, Some(version)) => format!("{version} spoken"),
            (Handshake::Alert(alert), _) => format!("certificates came, then the alert {alert}"),
            (other, _) => format!("certificates came, then {}", ended(other)),
        };
        let status = if matches!(tls.outcome, Handshake::TimedOut(_)) { Status::Fail } else { Status::Pass };
        return spot.finding(Aspect::Tls, status).saw(observed, expected);
    }
    let hint = match &tls.outcome {
        Handshake::PlainHttp => "whatever listens here speaks HTTP without TLS: give it its certificate and key, or \
                                 correct the port"
            .to_owned(),
        Handshake::Alert(_) => {
            "the server has no certificate for this name, or speaks only what TLS 1.2 left behind".to_owned()
        }
        _ => format!("is this really the right port of {}? Something else may listen there", spot.host),
    };
    spot.finding(Aspect::Tls, Status::Fail).saw(ended(&tls.outcome), expected).hint(hint)
}

fn ended(outcome: &Handshake) -> String {
    match outcome {
        Handshake::Done => "no certificate".to_owned(),
        Handshake::Alert(alert) => format!("the TLS alert {alert}"),
        Handshake::PlainHttp => "it answers plain HTTP".to_owned(),
        Handshake::Closed => "the connection was closed".to_owned(),
        Handshake::TimedOut(ms) => format!("no end within {ms} ms"),
        Handshake::Failed(reason) => reason.clone(),
    }
}

fn protocol(spot: &Spot<'_>, tls: &Tls, old: Option<&OldHello>) -> Finding {
    let expected = expectation(spot.place, Aspect::Protocol);
    let (Some(version), Some(cipher)) = (&tls.version, &tls.cipher) else {
        return spot.follows(Aspect::Protocol, Aspect::Tls, "the handshake was not completed");
    };
    let new = format!("{version} with {cipher}");
    let observed = match old {
        Some(OldHello::Spoken(old)) => {
            let observed = format!("{new}; but {old} is spoken too, with whoever offers nothing better");
            let mut finding = spot.finding(Aspect::Protocol, Status::Warn).saw(observed, expected);
            finding.severity = Severity::Warning;
            let hint = if spot.place == Place::Node {
                "set tlsMinVersion: VersionTLS12 in the kubelet's configuration"
            } else {
                "start the API server with --tls-min-version=VersionTLS12, and look at what terminates TLS before it"
            };
            return finding.hint(hint);
        }
        Some(OldHello::Alert(_) | OldHello::Closed) => format!("{new}; older versions are refused"),
        Some(OldHello::TimedOut(_) | OldHello::Failed(_)) | None => {
            format!("{new}; whether older versions are refused was not seen")
        }
    };
    spot.finding(Aspect::Protocol, Status::Pass).saw(observed, expected)
}

fn possession(spot: &Spot<'_>, tls: &Tls) -> Finding {
    let expected = expectation(spot.place, Aspect::Possession);
    match &tls.signature {
        Signature::Valid => spot.finding(Aspect::Possession, Status::Pass).saw("it is", expected),
        Signature::None => spot.follows(Aspect::Possession, Aspect::Tls, "the handshake ended before"),
        Signature::Invalid(reason) => spot
            .finding(Aspect::Possession, Status::Fail)
            .saw(format!("it is not, or cannot be checked: {reason}"), expected)
            .hint(
                "certificate and key on this host do not belong together, or somebody shows a certificate of another",
            ),
    }
}

/// What makes a key or a signature worthless, if anything does.
fn weakness(certificate: &Certificate) -> Option<String> {
    match &certificate.key {
        PublicKeyKind::Rsa(bits) if *bits < 2048 => Some(format!("its key is RSA {bits}, which is too weak")),
        _ => None,
    }
}

fn out_of_date(kind: &str, certificate: &Certificate, now: OffsetDateTime) -> Option<String> {
    let (text, off) = if now < certificate.not_before {
        let off = certificate.not_before - now;
        (format!("{kind} becomes valid in {}, at {}", in_words(off), stamp(certificate.not_before)), off)
    } else if now > certificate.not_after {
        let off = now - certificate.not_after;
        (format!("{kind} expired {} ago, at {}", in_words(off), stamp(certificate.not_after)), off)
    } else {
        return None;
    };
    let skew = if off < Duration::DAY { " (clock skew?)" } else { "" };
    Some(format!("{text}; it is {} here{skew}", stamp(now)))
}

fn name(spot: &Spot<'_>, leaf: &Certificate, peer: &Peer, dialled: &Address) -> Finding {
    let mut wanted = vec![dialled];
    for address in peer.addresses.iter().chain(&peer.names) {
        if !wanted.contains(&address) {
            wanted.push(address);
        }
    }
    let text = |addresses: &[&Address]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let missing: Vec<&Address> = wanted.iter().filter(|address| !leaf.names_address(address)).copied().collect();
    let expected = format!("names {}", text(&wanted));
    let named: Vec<String> = leaf.names.iter().take(8).map(ToString::to_string).collect();
    let more = leaf.names.len().saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = if named.is_empty() { "no name at all".to_owned() } else { named.join(", ") };
    if missing.is_empty() {
        return spot.finding(Aspect::Name, Status::Pass).saw(format!("names {named}{more}"), expected);
    }
    let role = if spot.place == Place::Node { "issue-node" } else { "issue-master" };
    let hint = match spot.place {
        Place::Endpoint => {
            "issue the masters' certificates again (clusterctl issue-master --all) and install their bundles, \
                            or is this another server?"
                .to_owned()
        }
        _ => format!(
            "if the cluster file lists it among {}'s addresses, install its newest bundle; if not, add it and run clusterctl \
             {role} {} first; or is this another server?",
            spot.host, spot.host
        ),
    };
    let observed = format!("does not name {}; it names {named}{more}", text(&missing));
    spot.finding(Aspect::Name, Status::Fail).saw(observed, expected).hint(hint)
}

fn usage(spot: &Spot<'_>, leaf: &Certificate) -> Finding {
    let expected = expectation(spot.place, Aspect::Usage);
    let hint = "issue it again with clusterctl, whose serving certificates are serverAuth alone";
    if leaf.basic_constraints.is_some_and(|bc| bc.ca) {
        let finding = spot.finding(Aspect::Usage, Status::Fail).saw("it may sign certificates (CA:TRUE)", expected);
        return finding.hint(hint);
    }
    match &leaf.extended_key_usage {
        Some(usages) if leaf.has_extended_usage("serverAuth") => {
            spot.finding(Aspect::Usage, Status::Pass).saw(usages.join(" + "), expected)
        }
        // Go takes "any" for serverAuth; it is fit for far more than it is needed for.
        Some(_) if leaf.has_extended_usage("anyExtendedKeyUsage") => {
            let mut finding = spot.finding(Aspect::Usage, Status::Warn).saw("anyExtendedKeyUsage", expected);
            finding.severity = Severity::Warning;
            finding.hint(hint)
        }
        Some(usages) => {
            let observed = format!("its extended key usage is {}", usages.join(" + "));
            spot.finding(Aspect::Usage, Status::Fail).saw(observed, expected).hint(hint)
        }
        None => {
            let mut finding = spot.finding(Aspect::Usage, Status::Warn).saw("it has no extended key usage", expected);
            finding.severity = Severity::Warning;
            finding.hint(hint)
        }
    }
}

fn identity(spot: &Spot<'_>, leaf: &Certificate, issued: Fingerprint) -> Finding {
    let expected = format!("the certificate {issued}, issued last");
    let shown = leaf.fingerprint();
    if shown == issued {
        return spot.finding(Aspect::Identity, Status::Pass).saw(shown.to_string(), expected);
    }
    let observed = format!("another: {shown}, {}, serial {}", leaf.subject.text, leaf.serial);
    let hint = format!("install {}'s newest bundle; it still serves an older certificate, or not its own", spot.host);
    spot.finding(Aspect::Identity, Status::Warn).saw(observed, expected).hint(hint)
}

fn read_only(spot: &Spot<'_>, readonly: &Connect) -> Finding {
    let expected = expectation(spot.place, Aspect::Readonly);
    match readonly {
        Connect::Open => spot
            .finding(Aspect::Readonly, Status::Warn)
            .saw("a connection to it opens; a kubelet would answer everybody there", expected)
            .hint("set readOnlyPort: 0 in the kubelet's configuration"),
        Connect::NotTried(why) => spot.finding(Aspect::Readonly, Status::NotProven).saw(why.clone(), expected),
        _ => spot.finding(Aspect::Readonly, Status::Pass).saw("closed", expected),
    }
}

/// An alert that speaks of the client's certificate.
fn refuses(alert: &str) -> bool {
    !["ProtocolVersion", "InternalError", "UserCanceled", "CloseNotify", "RecordOverflow", "UnexpectedMessage"]
        .iter()
        .any(|other| alert.eq_ignore_ascii_case(other))
}

fn open_door(place: Place, aspect: Aspect) -> &'static str {
    match (place, aspect) {
        (Place::Node, Aspect::Neighbour) => {
            "any node may command this one: set authorization.mode: Webhook in the kubelet's configuration, and grant \
             nodes/proxy to nobody but the masters"
        }
        (Place::Node, _) => {
            "anybody may command this node: set authentication.anonymous.enabled: false, authentication.x509.clientCAFile \
             and authorization.mode: Webhook in the kubelet's configuration"
        }
        _ => {
            "anybody may read this cluster: start the API server with --anonymous-auth=false, --client-ca-file and an \
             authorizer that is not AlwaysAllow, and look for roles bound to system:anonymous"
        }
    }
}

/// What was asked for and what came back; where nobody could ask, why.
fn asked_and_said(exchange: &Exchange) -> String {
    match &exchange.outcome {
        Outcome::NoCredential(why) => why.clone(),
        outcome => format!("{}: {}", exchange.request.as_str(), said(outcome)),
    }
}

/// What came back, in words.
fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answer(answer) => {
            let words = words(answer);
            if words.is_empty() { answer.status.to_string() } else { format!("{} {words}", answer.status) }
        }
        Outcome::Alert(alert) => format!("refused with the TLS alert {alert}"),
        Outcome::Closed => "the connection was closed before an answer".to_owned(),
        Outcome::Reset => "the connection was reset before an answer".to_owned(),
        Outcome::TimedOut(ms) if *ms > 0 => format!("no answer within {ms} ms"),
        Outcome::TimedOut(_) => "no answer in time".to_owned(),
        Outcome::Failed(reason) => format!("no answer: {reason}"),
        Outcome::NoCredential(why) => why.clone(),
        Outcome::NotTried(why) => format!("not tried: {why}"),
    }
}

/// The peer's own words: a Kubernetes Status's message, a page's title, else the body's first line.
fn words(answer: &Answer) -> String {
    let message = serde_json::from_str::<Value>(&answer.body).ok().and_then(|body| {
        let message = body.get("message")?.as_str()?;
        Some(message.to_owned())
    });
    let title = || Some(answer.body.split_once("<title>")?.1.split_once("</title>")?.0.to_owned());
    let text = message.or_else(title).unwrap_or_else(|| answer.body.lines().next().unwrap_or_default().to_owned());
    // A web server's pages begin with the status, which is told already.
    let text = text.trim();
    let text = text.strip_prefix(&answer.status.to_string()).unwrap_or(text);
    text.trim().chars().take(160).collect()
}

/// True when a body is, or begins as, the list of pods that a kubelet answers with.
fn is_pod_list(answer: &Answer) -> bool {
    if !answer.truncated {
        return serde_json::from_str::<Value>(&answer.body)
            .is_ok_and(|body| body.get("kind").and_then(Value::as_str) == Some("PodList"));
    }
    let head: String = answer.body.chars().filter(|c| !c.is_whitespace()).take(200).collect();
    head.starts_with("{\"kind\":\"PodList\"") || head.starts_with("{\"apiVersion\":\"v1\",\"kind\":\"PodList\"")
}

fn kubelet_caller(spot: &Spot<'_>, exchange: &Exchange, proven: Result<(), String>) -> (Finding, Positive) {
    let expected = expectation(spot.place, Aspect::Caller);
    let observed = asked_and_said(exchange);
    let mut finding = spot.finding(Aspect::Caller, Status::NotProven).saw(observed, expected);
    finding.elapsed_ms = exchange.elapsed_ms;
    match (&exchange.outcome, proven) {
        (Outcome::NoCredential(_), _) => {
            finding.status = Status::Skipped;
            (finding, Positive::Untried)
        }
        (Outcome::Answer(answer), Err(reason)) => {
            finding.observed = format!("{}: {}, but {reason}", exchange.request.as_str(), answer.status);
            finding.follows = Some(CheckId::at(spot.place, Aspect::Chain));
            (finding, Positive::Failed)
        }
        (Outcome::Answer(answer), Ok(())) => match answer.status {
            200..300 if is_pod_list(answer) => {
                finding.status = Status::Pass;
                finding.observed = format!("{}: {} PodList", exchange.request.as_str(), answer.status);
                (finding, Positive::Accepted)
            }
            200..300 => {
                finding.observed = format!("{}, but that is no PodList: is it a kubelet?", finding.observed);
                (finding, Positive::Answered)
            }
            401 => {
                finding.status = Status::Fail;
                let hint = "the kubelet does not know the master's CA: set authentication.x509.clientCAFile to this \
                            cluster's ca.crt, and check the dates of the master's client certificate";
                (finding.hint(hint), Positive::Failed)
            }
            403 => {
                finding.status = Status::Warn;
                finding.severity = Severity::Warning;
                let hint = "the master is recognised but not allowed: bind ClusterRole system:kubelet-api-admin to user \
                            kube-apiserver-kubelet-client";
                (finding.hint(hint), Positive::Forbidden)
            }
            _ => (finding.hint("nothing follows from this answer: is it a kubelet?"), Positive::Answered),
        },
        (Outcome::Alert(alert), _) if refuses(alert) => {
            finding.status = Status::Fail;
            let hint = "the server refuses the master's certificate in the handshake: it trusts another client CA";
            (finding.hint(hint), Positive::Failed)
        }
        _ => (finding, Positive::Failed),
    }
}

fn api_caller(
    spot: &Spot<'_>,
    exchange: &Exchange,
    node: Option<&Peer>,
    proven: Result<(), String>,
) -> (Vec<Finding>, Positive) {
    let asked = Request::WhoAmI.as_str();
    let observed = asked_and_said(exchange);
    let make = |aspect| {
        let mut finding = spot.finding(aspect, Status::NotProven);
        finding = finding.saw(observed.clone(), expectation(spot.place, aspect));
        finding.caller = who(&exchange.caller);
        finding.elapsed_ms = exchange.elapsed_ms;
        finding
    };
    let (mut caller, mut whoami) = (make(Aspect::Caller), make(Aspect::Whoami));
    whoami.follows = Some(caller.id);
    match (&exchange.outcome, proven) {
        (Outcome::NoCredential(_), _) => {
            (caller.status, whoami.status, whoami.follows) = (Status::Skipped, Status::Skipped, None);
            (vec![caller, whoami], Positive::Untried)
        }
        (Outcome::Answer(answer), Err(reason)) => {
            caller.observed = format!("{asked}: {}, but {reason}", answer.status);
            whoami.observed.clone_from(&caller.observed);
            caller.follows = Some(CheckId::at(spot.place, Aspect::Chain));
            whoami.follows = caller.follows;
            (vec![caller, whoami], Positive::Failed)
        }
        (Outcome::Answer(answer), Ok(())) => match answer.status {
            200 | 201 => match read_review(&answer.body) {
                Some(review) => {
                    caller.status = Status::Pass;
                    caller.observed = format!("{asked}: {} as {}", answer.status, review.user);
                    let whoami = judge_review(whoami, &review, exchange, node);
                    (vec![caller, whoami], Positive::Accepted)
                }
                None => {
                    caller.observed = format!("{asked}: {}, but that is no SelfSubjectReview", answer.status);
                    (vec![caller, whoami], Positive::Answered)
                }
            },
            401 => {
                caller.status = Status::Fail;
                let hint = "the API server does not take this certificate for anybody: is --client-ca-file this cluster's \
                            ca.crt, and is the certificate in date?";
                (vec![caller.hint(hint), whoami], Positive::Failed)
            }
            403 => {
                caller.status = Status::Warn;
                caller.severity = Severity::Warning;
                let hint = "the account is recognised but may not ask who it is: bind ClusterRole system:basic-user to group \
                            system:authenticated";
                (vec![caller.hint(hint), whoami], Positive::Forbidden)
            }
            404 => {
                let hint = "SelfSubjectReview is there from Kubernetes 1.28; nothing follows from this answer";
                (vec![caller.hint(hint), whoami], Positive::Answered)
            }
            _ => (vec![caller, whoami], Positive::Answered),
        },
        (Outcome::Alert(alert), _) if refuses(alert) => {
            caller.status = Status::Fail;
            let hint = "the server refuses the node's certificate in the handshake: it trusts another client CA";
            (vec![caller.hint(hint), whoami], Positive::Failed)
        }
        _ => (vec![caller, whoami], Positive::Failed),
    }
}

/// What a node's account may do. `known` tells whether the API server knew it.
fn scope(spot: &Spot<'_>, exchange: &Exchange, node: Option<&Peer>, known: bool, restricted: bool) -> Finding {
    let mut finding = spot.finding(Aspect::Scope, Status::NotProven);
    finding.caller = who(&exchange.caller);
    let expected = expectation(spot.place, Aspect::Scope);
    if let Outcome::NoCredential(why) = &exchange.outcome {
        finding.status = Status::Skipped;
        return finding.saw(why.clone(), expected);
    }
    if !known {
        finding.follows = Some(CheckId::at(spot.place, Aspect::Caller));
        return finding.saw("the API server did not say who calls", expected);
    }
    let groups = node.and_then(|node| node.account.as_ref()).map(|account| account.groups.as_slice());
    let judged = settings::rights(&exchange.rulings, groups.unwrap_or_default(), restricted);
    finding.status = judged.status;
    if judged.mild {
        finding.severity = Severity::Warning;
    }
    finding.hint = judged.hint.map(str::to_owned);
    finding.saw(judged.observed, expected)
}

/// What the API server says a caller is.
struct Review {
    user: String,
    groups: Vec<String>,
    credential: Option<String>,
}

/// Reads a SelfSubjectReview (Kubernetes `authentication.k8s.io/v1`).
fn read_review(body: &str) -> Option<Review> {
    let body: Value = serde_json::from_str(body).ok()?;
    if body.get("kind")?.as_str()? != "SelfSubjectReview" {
        return None;
    }
    let info = body.get("status")?.get("userInfo")?;
    let texts = |value: Option<&Value>| -> Vec<String> {
        let list = value.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let credential = info.get("extra").and_then(|extra| extra.get("authentication.kubernetes.io/credential-id"));
    Some(Review {
        user: info.get("username")?.as_str()?.to_owned(),
        groups: texts(info.get("groups")),
        credential: texts(credential).into_iter().next(),
    })
}

fn judge_review(mut whoami: Finding, review: &Review, exchange: &Exchange, node: Option<&Peer>) -> Finding {
    whoami.follows = None;
    let Some(account) = node.and_then(|node| node.account.as_ref()) else {
        whoami.observed = format!("{} in {}", review.user, review.groups.join(", "));
        whoami.expected = "a known account; the target names none".to_owned();
        return whoami;
    };
    let mut wanted: Vec<&str> = account.groups.iter().map(String::as_str).collect();
    wanted.push("system:authenticated");
    wanted.sort_unstable();
    let mut groups: Vec<&str> = review.groups.iter().map(String::as_str).collect();
    groups.sort_unstable();
    let credential = exchange.presented.map(|presented| format!("X509SHA256={presented}"));
    let shown = |user: &str, groups: &[&str]| format!("{user} in {}", groups.join(", "));
    whoami.expected = format!("{}, {}", shown(&account.user, &wanted), credential.clone().unwrap_or_default());
    whoami.observed =
        format!("{}, {}", shown(&review.user, &groups), review.credential.as_deref().unwrap_or("no credential-id"));
    whoami.status = if review.user != account.user || groups != wanted {
        let hint = "this API server takes the node's certificate for another account: is something between that \
                    authenticates for it (a proxy, a webhook, --requestheader flags), or is the account scheme another?";
        whoami = whoami.hint(hint);
        Status::Fail
    } else if review.credential.is_none() {
        whoami = whoami.hint("an API server older than 1.32 does not say which certificate it saw");
        Status::NotProven
    } else if review.credential != credential {
        whoami =
            whoami.hint("the API server saw another certificate than the one presented: what terminates TLS between?");
        Status::Fail
    } else {
        Status::Pass
    };
    whoami
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::key_kind::KeyKind;
    use crate::cluster::lifetime::Lifetime;
    use crate::cluster::profile::{Leaf, Profile, RootKind};
    use crate::cluster::spec::{Cluster, Draft, DraftHost};
    use crate::pki::authority::{Authority, Credential, create_root};
    use crate::pki::forge;
    use crate::verify::observation::Der;
    use crate::verify::target::{Held, Identity};
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
    const PODS: &str = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}"#;

    /// One master, two nodes, and what was seen of the first node or the master.
    struct Bed {
        cluster: Cluster,
        root: Credential,
        target: Target,
    }

    fn bed() -> Bed {
        let host = |name: &str, address: &str| DraftHost {
            name: Some(name.into()),
            addresses: vec![address.into()],
            ..DraftHost::default()
        };
        let draft = Draft {
            name: Some("prod".into()),
            masters: vec![host("m1", "10.0.0.1")],
            nodes: vec![host("n1", "10.0.1.1"), host("n2", "10.0.1.2")],
            ..Draft::default()
        };
        let cluster = draft.check().expect("a good draft");
        let root = create_root(RootKind::Cluster, &cluster.name, cluster.keys, Lifetime::TEN_YEARS, NOW);
        let root = root.expect("a root").into_inner();
        let target = Target::of(&cluster, vec![root.certificate.clone()], |leaf| {
            let made = issue(&root, leaf, NOW);
            Held { issued: None, identity: Some(Identity::of(&made).expect("an identity")), missing: None }
        });
        Bed { cluster, root, target }
    }

    fn issue(root: &Credential, leaf: &Leaf, now: OffsetDateTime) -> Credential {
        Authority::open(root, now).expect("fit").issue(leaf, KeyKind::EcdsaP256).expect("a leaf").into_inner()
    }

    impl Bed {
        fn node_leaf(&self) -> Leaf {
            self.cluster.node_leaves(&self.cluster.nodes[0]).remove(1)
        }

        fn node_cert(&self) -> Certificate {
            issue(&self.root, &self.node_leaf(), NOW).certificate
        }

        fn master_cert(&self) -> Certificate {
            let leaf = self.cluster.master_leaves(&self.cluster.masters[0]).remove(0);
            assert_eq!(leaf.profile, Profile::Apiserver);
            issue(&self.root, &leaf, NOW).certificate
        }

        /// The status and the observation of each check of the peer at `place` that shows `leaf` and answers so.
        fn judged(
            &self,
            place: Place,
            leaf: &Certificate,
            calls: &[(Caller, Outcome)],
            now: OffsetDateTime,
        ) -> HashMap<String, Finding> {
            let shown = vec![leaf.fingerprint()];
            let exchange = |(caller, outcome): &(Caller, Outcome)| Exchange {
                caller: caller.clone(),
                presented: self.presented(caller),
                request: match (place, caller) {
                    (Place::Node, _) => Request::Pods,
                    (_, Caller::Node(_)) => Request::WhoAmI,
                    _ => Request::Nodes,
                },
                shown: shown.clone(),
                outcome: outcome.clone(),
                rulings: Vec::new(),
                elapsed_ms: 1,
            };
            let dial = Dial {
                to: "10.0.1.1:10250".parse().expect("a socket"),
                connect: Connect::Open,
                tls: Some(Tls {
                    outcome: Handshake::Done,
                    version: Some("TLSv1.3".into()),
                    cipher: Some("TLS13_AES_128_GCM_SHA256".into()),
                    shown: shown.clone(),
                    sent: 1,
                    signature: Signature::Valid,
                }),
                old: None,
                exchanges: calls.iter().map(exchange).collect(),
                readonly: None,
                elapsed_ms: 2,
            };
            let peers = self.target.peers().map(|(at, peer)| {
                let dials =
                    if at == place && ["m1", "n1"].contains(&peer.name.as_str()) { vec![dial.clone()] } else { vec![] };
                let location = LocationSeen {
                    address: peer.addresses[0].to_string(),
                    port: peer.port,
                    resolution: Resolution::Literal,
                    dials,
                };
                PeerSeen { place: at, host: peer.name.clone(), locations: vec![location] }
            });
            let certificates = [(leaf.fingerprint(), Der(leaf.der().to_vec()))].into();
            let seen = Observations { certificates, peers: peers.collect(), listing: None };
            let clock = Clock { now, expires_within: Duration::days(30) };
            let host = if place == Place::Node { "n1" } else { "m1" };
            let findings = judge(&self.target, &seen, clock).into_iter().filter(|f| f.host == host && f.place == place);
            let mut first = HashMap::new();
            for finding in findings {
                let aspect = finding.id.to_string().split_once('.').expect("dotted").1.to_owned();
                first.entry(aspect).or_insert(finding);
            }
            first
        }

        fn presented(&self, caller: &Caller) -> Option<Fingerprint> {
            let Caller::Node(name) = caller else { return None };
            let node = self.target.nodes.iter().find(|node| node.name == *name)?;
            Some(node.client.as_ref()?.certificate.fingerprint())
        }

        fn review(&self, user: &str, groups: &[&str], credential: Option<&str>) -> Outcome {
            let mut info = serde_json::json!({"username": user, "groups": groups});
            if let Some(credential) = credential {
                info["extra"] = serde_json::json!({"authentication.kubernetes.io/credential-id": [credential]});
            }
            answer(201, &serde_json::json!({"kind": "SelfSubjectReview", "status": {"userInfo": info}}).to_string())
        }
    }

    fn answer(status: u16, body: &str) -> Outcome {
        let body = body.to_owned();
        Outcome::Answer(Answer { status, version: "HTTP/2.0".into(), content_type: None, body, truncated: false })
    }

    fn master() -> Caller {
        Caller::Master("m1".into())
    }

    fn statuses(found: &HashMap<String, Finding>, checks: &[&str]) -> Vec<&'static str> {
        checks.iter().map(|check| found[*check].status.as_str()).collect()
    }

    #[test]
    fn an_impostors_answers_mean_nothing() {
        let bed = bed();
        let twin = create_root(RootKind::Cluster, &bed.cluster.name, KeyKind::EcdsaP256, Lifetime::TEN_YEARS, NOW);
        let impostor = issue(twin.expect("a root").get(), &bed.node_leaf(), NOW).certificate;
        let calls = [
            (master(), answer(200, PODS)),
            (Caller::Anonymous, answer(401, "Unauthorized")),
            (Caller::Stranger, Outcome::Alert("UnknownCA".into())),
            (Caller::Neighbour("n2".into()), answer(200, PODS)),
        ];
        let found = bed.judged(Place::Node, &impostor, &calls, NOW);
        assert_eq!(statuses(&found, &["chain", "name", "dates"]), ["fail", "pass", "pass"]);
        assert_eq!(statuses(&found, &["caller", "anonymous", "stranger", "neighbour"]), ["not-proven"; 4]);
    }

    #[test]
    fn refusals_prove_nothing_where_everybody_is_refused() {
        let bed = bed();
        let refused = answer(401, "Unauthorized");
        let calls = [(master(), refused.clone()), (Caller::Anonymous, refused), (Caller::Stranger, Outcome::Reset)];
        let found = bed.judged(Place::Node, &bed.node_cert(), &calls, NOW);
        assert_eq!(statuses(&found, &["caller", "anonymous", "stranger"]), ["fail", "not-proven", "not-proven"]);
    }

    #[test]
    fn only_a_refusal_is_a_refusal() {
        let bed = bed();
        let cases = [
            (answer(401, ""), "pass"),
            (answer(403, ""), "pass"),
            (Outcome::Alert("CertificateRequired".into()), "pass"),
            (Outcome::Reset, "pass"),
            (Outcome::Closed, "pass"),
            (answer(200, ""), "fail"),
            (answer(204, ""), "fail"),
            (answer(404, ""), "not-proven"),
            (answer(302, ""), "not-proven"),
            (answer(500, ""), "not-proven"),
            (Outcome::Alert("InternalError".into()), "not-proven"),
            (Outcome::TimedOut(5000), "not-proven"),
            (Outcome::Failed("?".into()), "not-proven"),
        ];
        for (outcome, expected) in cases {
            let calls = [(master(), answer(200, PODS)), (Caller::Stranger, outcome.clone())];
            let found = bed.judged(Place::Node, &bed.node_cert(), &calls, NOW);
            assert_eq!(found["stranger"].status.as_str(), expected, "{outcome:?}");
        }
    }

    #[test]
    fn a_kubelets_answer_has_to_look_like_one() {
        let bed = bed();
        let cut = format!("{}{}", &PODS[..60], "x".repeat(100));
        let truncated = |body: &str| match answer(200, body) {
            Outcome::Answer(answer) => Outcome::Answer(Answer { truncated: true, ..answer }),
            other => other,
        };
        let cases = [
            (answer(200, PODS), "pass"),
            (truncated(&cut), "pass"),
            (answer(200, "<html>"), "not-proven"),
            (answer(200, "{}"), "not-proven"),
            (truncated("{\"a\":{\"kind\":\"PodList\""), "not-proven"),
            (answer(404, "404 page not found"), "not-proven"),
            (answer(401, "Unauthorized"), "fail"),
            (answer(403, "Forbidden (user=kube-apiserver-kubelet-client, verb=get)"), "warn"),
            (Outcome::Closed, "not-proven"),
        ];
        for (outcome, expected) in cases {
            let found = bed.judged(Place::Node, &bed.node_cert(), &[(master(), outcome.clone())], NOW);
            assert_eq!(found["caller"].status.as_str(), expected, "{outcome:?}");
        }
        let forbidden = answer(403, "Forbidden (user=x, verb=get)");
        let calls =
            [(master(), forbidden.clone()), (Caller::Anonymous, forbidden), (Caller::Stranger, answer(401, ""))];
        let found = bed.judged(Place::Node, &bed.node_cert(), &calls, NOW);
        assert!(found["caller"].observed.contains("Forbidden (user=x, verb=get)"));
        assert_eq!(statuses(&found, &["anonymous", "stranger"]), ["not-proven", "pass"]);
    }

    #[test]
    fn without_a_key_here_a_check_is_skipped_but_an_open_door_is_seen() {
        let bed = bed();
        let none = Outcome::NoCredential("no key".into());
        let calls = [(master(), none), (Caller::Anonymous, answer(200, PODS)), (Caller::Stranger, answer(401, ""))];
        let found = bed.judged(Place::Node, &bed.node_cert(), &calls, NOW);
        assert_eq!(statuses(&found, &["caller", "anonymous", "stranger"]), ["skipped", "fail", "skipped"]);
    }

    #[test]
    fn whoami_is_exact() {
        let bed = bed();
        let caller = Caller::Node("n1".into());
        let ours = format!("X509SHA256={}", bed.presented(&caller).expect("presented"));
        let other = format!("X509SHA256={}", "0".repeat(64));
        let good = ["kubelets", "system:authenticated"];
        let cases = [
            (bed.review("kubelet:n1", &["system:authenticated", "kubelets"], Some(&ours)), "pass"),
            (bed.review("kubelet:n2", &good, Some(&ours)), "fail"),
            (bed.review("kubelet:n1", &["kubelets", "system:authenticated", "system:masters"], Some(&ours)), "fail"),
            (bed.review("kubelet:n1", &["system:authenticated"], Some(&ours)), "fail"),
            (bed.review("kubelet:n1", &good, Some(&other)), "fail"),
            (bed.review("kubelet:n1", &good, None), "not-proven"),
            (answer(201, "{\"kind\":\"Status\"}"), "not-proven"),
            (answer(403, "{}"), "not-proven"),
            (answer(401, "{}"), "not-proven"),
        ];
        for (outcome, expected) in cases {
            let found = bed.judged(Place::Master, &bed.master_cert(), &[(caller.clone(), outcome.clone())], NOW);
            assert_eq!(found["whoami"].status.as_str(), expected, "{outcome:?}");
        }
    }

    #[test]
    fn what_was_not_seen_is_never_a_pass() {
        let bed = bed();
        let clock = Clock { now: NOW, expires_within: Duration::days(30) };
        let findings = judge(&bed.target, &Observations::default(), clock);
        assert!(findings.iter().all(|f| f.status == Status::NotProven || f.id == CheckId::TRUST_ANCHOR));
        let accounts: Vec<_> =
            findings.iter().filter(|f| f.id.1 == Aspect::Whoami).map(|f| f.caller.as_deref()).collect();
        assert_eq!(accounts, [Some("n1"), Some("n2")]);
        // A node that answered the master and nobody else was asked.
        let found = bed.judged(Place::Node, &bed.node_cert(), &[(master(), answer(200, PODS))], NOW);
        let rest = statuses(&found, &["caller", "anonymous", "stranger", "neighbour"]);
        assert_eq!(rest, ["pass", "not-proven", "not-proven", "not-proven"]);
    }

    #[test]
    fn dates_name_both_times_and_suspect_the_clock() {
        let bed = bed();
        let leaf = bed.node_cert();
        let at = |now| bed.judged(Place::Node, &leaf, &[], now);
        let early = &at(NOW - Duration::hours(2))["dates"];
        assert_eq!(early.status, Status::Fail);
        assert!(early.observed.contains("2026-11-23T11:55:00Z") && early.observed.contains("2026-11-23T10:00:00Z"));
        assert!(early.observed.contains("clock skew?"));
        let late = &at(NOW + Duration::days(400))["dates"];
        assert!(late.status == Status::Fail && !late.observed.contains("clock skew?"), "{}", late.observed);
        assert_eq!(at(NOW)["expiry"].status, Status::Pass);
        assert_eq!(at(NOW + Duration::days(340))["expiry"].status, Status::Warn);
        assert_eq!(at(leaf.not_after)["dates"].status, Status::Pass);
        assert_eq!(at(leaf.not_after + Duration::SECOND)["dates"].status, Status::Fail);
    }

    #[test]
    fn the_roots_own_end_counts() {
        let bed = bed();
        let after = NOW + Duration::days(3651);
        let leaf =
            forge::dated(&bed.root, &bed.node_leaf(), NOW, after + Duration::days(90)).expect("a leaf").certificate;
        let found = bed.judged(Place::Node, &leaf, &[], after);
        assert_eq!(statuses(&found, &["chain", "dates"]), ["pass", "fail"]);
        assert!(found["dates"].observed.contains("the root expired"), "{}", found["dates"].observed);
        assert_eq!(trust_anchor(&bed.target, after)[0].status, Status::Fail);
        assert_eq!(trust_anchor(&bed.target, NOW)[0].status, Status::Pass);
    }

    #[test]
    fn a_trust_file_with_a_leaf_garbage_or_nothing_in_it_is_no_trust() {
        let mut bed = bed();
        bed.target.roots.push(bed.node_cert());
        bed.target.trust_faults.push("section 3 is no certificate".into());
        let found = trust_anchor(&bed.target, NOW);
        let statuses: Vec<_> = found.iter().map(|f| f.status).collect();
        assert_eq!(statuses, [Status::Fail, Status::Pass, Status::Fail]);
        bed.target.roots.clear();
        bed.target.trust_faults.clear();
        assert_eq!(trust_anchor(&bed.target, NOW)[0].status, Status::Fail);
    }

    #[test]
    fn a_client_certificate_and_a_root_are_no_server() {
        let bed = bed();
        let client = issue(&bed.root, &bed.cluster.node_leaves(&bed.cluster.nodes[0])[0], NOW).certificate;
        let found = bed.judged(Place::Node, &client, &[], NOW);
        assert_eq!(statuses(&found, &["chain", "usage", "name"]), ["pass", "fail", "fail"]);
        let found = bed.judged(Place::Node, &bed.root.certificate.clone(), &[], NOW);
        assert_eq!(statuses(&found, &["chain", "usage"]), ["fail", "fail"]);
    }
}
