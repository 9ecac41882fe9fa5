//! `node.listed`: whether the API server lists the nodes, with the addresses at which they are dialled.

use super::super::finding::{Aspect, CheckId, Finding, Severity, Status};
use super::super::observation::{NodeListOutcome, Outcome, Request};
use super::super::place::Place;
use super::super::settings::{self, Judgement};
use super::super::target::Peer;
use super::answer::describe_outcome;
use super::context::{CheckContext, NOT_OBSERVED};
use super::location::expectation;

impl CheckContext<'_> {
    /// Reports once, for the cluster, that the verifier's certificate is missing.
    pub(super) fn missing_verifier(&self, findings: &mut Vec<Finding>) {
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

    /// Returns the finding `node.listed` for each node, in the target's order. Other nodes are reported for the
    /// cluster.
    pub(super) fn listed(&mut self, findings: &mut Vec<Finding>) -> std::vec::IntoIter<Option<Finding>> {
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
            findings.push(whole(Status::NotProven, NOT_OBSERVED.to_owned()));
            return nothing;
        };
        let proven = self.proven_by(&listing.server_chain);
        let whole = |status, observed: String| {
            let finding = Finding::new(id, Place::Cluster, &self.target.cluster, status);
            let mut finding = finding.saw(observed, expected).address(listing.to.to_string());
            finding.elapsed_ms = listing.elapsed_ms;
            finding
        };
        let nodes = match (&listing.outcome, proven) {
            (NodeListOutcome::Nodes(nodes), Ok(())) => nodes,
            (NodeListOutcome::Nodes(_), Err(reason)) => {
                findings.push(whole(Status::NotProven, reason));
                return nothing;
            }
            (NodeListOutcome::Failed(outcome), _) => {
                let observed = format!("{}: {}", Request::Nodes.as_str(), describe_outcome(outcome));
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
}
