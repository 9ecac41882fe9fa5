//! Finds checks that could not be made because nothing was observed: a missing observation is never a pass.

use std::collections::{HashMap, HashSet};

use super::super::finding::{Aspect, CheckId, Finding, Status};
use super::super::place::Place;
use super::super::target::Peer;
use super::context::{CheckContext, NOT_OBSERVED};
use super::location::expectation;

/// A check and, if it is about a client, that client.
type Wanted<'a> = (Aspect, Option<&'a str>);

impl CheckContext<'_> {
    /// Returns the checks that are expected at every socket of a peer.
    pub(super) fn expected_everywhere(&self, place: Place, host: &str) -> Vec<Wanted<'_>> {
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
            wanted.extend(self.target.token_keys.is_some().then_some((Aspect::TokenKeys, None)));
        }
        wanted.extend(self.target.knows_revocation().then_some((Aspect::Revoked, None)));
        wanted.extend(self.phase_checks(place, host).into_iter().map(|aspect| (aspect, None)));
        wanted
    }

    /// Returns the checks of `wanted` that are not among the findings.
    pub(super) fn absent<'w>(&self, wanted: Vec<Wanted<'w>>, findings: &[Finding]) -> Vec<Wanted<'w>> {
        let judged: HashSet<Wanted<'_>> =
            findings.iter().flat_map(|f| [(f.id.1, None), (f.id.1, f.client.as_deref())]).collect();
        wanted.into_iter().filter(|wanted| !judged.contains(wanted)).collect()
    }

    /// Returns findings for checks that could not be made because nothing was observed: a missing observation must
    /// never look like a pass.
    pub(super) fn missing(&self, peer: &Peer, place: Place, findings: &[Finding]) -> Vec<Finding> {
        if !peer.dialled {
            return Vec::new();
        }
        let mut wanted = self.expected_everywhere(place, &peer.name);
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
        let make = |(aspect, client): (Aspect, Option<&str>)| {
            // Without a control-plane node in the target no client is permitted at a kubelet.
            let no_client = place == Place::Node && aspect == Aspect::Caller && self.target.masters.is_empty();
            let (status, observed) = if no_client {
                (Status::Skipped, "there is no control-plane node's certificate here")
            } else {
                (Status::NotProven, NOT_OBSERVED)
            };
            let finding = Finding::new(CheckId::at(place, aspect), place, &peer.name, status);
            let mut finding = finding.saw(observed, expectation(place, aspect));
            finding.client = client.map(str::to_owned);
            // If the host was not reached at all, that is the reason.
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
