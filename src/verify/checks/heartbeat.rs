//! `node.heartbeat`: whether each node itself has reached an API server, which only its Lease proves. The other checks of
//! the properties 2.i and 2.iii are made from this machine, with the directory's keys.

use std::collections::{BTreeMap, HashMap};

use super::super::finding::{Aspect, CheckId, Finding, Scope, Severity, Status};
use super::super::leases::{LEASE_DURATION, age, looks_stale, since};
use super::super::observation::{Lease, LeaseListOutcome, NodeListOutcome, Outcome, Readiness};
use super::super::remedy::{HealthRemedy, VerifierRemedy, VerifierRight};
use super::super::target::{Peer, Place};
use super::answer::describe_outcome;
use super::context::{CheckContext, NOT_OBSERVED};
use super::location::expectation;
use crate::cluster::duration::in_words;

const ID: CheckId = CheckId(Scope::Node, Aspect::Heartbeat);

impl CheckContext<'_> {
    /// Returns the finding `node.heartbeat` for each node, in the target's order. A problem of all nodes is reported
    /// for the cluster.
    pub(super) fn heartbeats(&mut self, findings: &mut Vec<Finding>) -> std::vec::IntoIter<Option<Finding>> {
        let nothing = Vec::new().into_iter();
        if !self.target.has_verifier() || !self.target.nodes.iter().any(|node| node.dialled) {
            return nothing;
        }
        let expected = expectation(Place::Node, Aspect::Heartbeat);
        let whole = |status, observed: String| {
            Finding::new(ID, Place::Cluster, &self.target.cluster, status).saw(observed, expected)
        };
        // A recording of an earlier version has none.
        let Some(listing) = &self.seen.leases else {
            findings.push(as_warning(whole(Status::Skipped, NOT_OBSERVED.to_owned())));
            return nothing;
        };
        let proven = self.proven_by(&listing.server_chain);
        let whole = |status, observed| {
            let mut finding = whole(status, observed);
            finding.address = listing.to.map(|to| to.to_string());
            finding.elapsed_ms = listing.elapsed_ms;
            finding
        };
        let (served, leases, again) = match (&listing.outcome, proven) {
            (LeaseListOutcome::Complete { served, leases, again }, Ok(())) => (served.as_deref(), leases, again),
            (LeaseListOutcome::Complete { .. }, Err(reason)) => {
                findings.push(whole(Status::NotProven, reason));
                return nothing;
            }
            (LeaseListOutcome::Failed(outcome), _) => {
                let observed = format!("GET leases in kube-node-lease: {}", describe_outcome(outcome));
                findings.push(match outcome {
                    Outcome::Answer(answer) if answer.status == 403 => {
                        // A warning, because the cluster's RBAC rules may be older than this check.
                        let remedy = VerifierRemedy::GrantVerifier { right: VerifierRight::Leases };
                        as_warning(whole(Status::Skipped, observed)).remedy(remedy)
                    }
                    _ => whole(Status::NotProven, observed),
                });
                return nothing;
            }
        };
        let leases: HashMap<&str, &Lease> = leases.iter().map(|lease| (lease.name.as_str(), lease)).collect();
        let ready: HashMap<&str, &Readiness> = match self.seen.listing.as_ref().map(|listing| &listing.outcome) {
            Some(NodeListOutcome::Nodes(nodes)) => {
                nodes.iter().filter_map(|node| Some((node.name.as_str(), node.ready.as_ref()?))).collect()
            }
            _ => HashMap::new(),
        };
        let make = |node: &Peer| {
            let name = node.name.as_str();
            let finding = |status| Finding::new(ID, Place::Node, name, status);
            let lease = leases.get(name).copied();
            let made = judged(finding, name, lease, served, again, ready.get(name).copied());
            node.dialled.then_some(made)
        };
        self.target.nodes.iter().map(make).collect::<Vec<_>>().into_iter()
    }
}

/// Makes a finding a warning, which does not fail the run.
fn as_warning(mut finding: Finding) -> Finding {
    finding.severity = Severity::Warning;
    finding
}

/// Returns true if a finding reports that a node has not renewed its Lease.
pub(super) fn is_stale(finding: &Finding) -> bool {
    finding.id == ID && finding.status == Status::Fail && finding.remedy == Some(HealthRemedy::ReachApiServer.into())
}

/// Returns the finding about one node. `again` has the Leases that looked stale and were renewed during the run.
fn judged(
    finding: impl Fn(Status) -> Finding,
    name: &str,
    lease: Option<&Lease>,
    served: Option<&str>,
    again: &BTreeMap<String, String>,
    ready: Option<&Readiness>,
) -> Finding {
    let expected = expectation(Place::Node, Aspect::Heartbeat);
    let Some(lease) = lease else {
        // A kubelet registers first, and creates its Lease some seconds later.
        let heartbeat = ready.and_then(|ready| ready.heartbeat.as_deref());
        if let Some(at) = heartbeat.filter(|at| since(at, served).is_some_and(|age| age.abs() <= LEASE_DURATION)) {
            let observed = format!("it reported its status at {at}, and has no Lease yet");
            let finding = finding(Status::Warn).saw(observed, expected);
            return as_warning(finding.remedy(HealthRemedy::VerifyAgain));
        }
        let observed = format!("{name} has no Lease in kube-node-lease: it has never reached an API server");
        return finding(Status::Fail).saw(observed, expected).remedy(HealthRemedy::ReachApiServer);
    };
    let unready = ready.filter(|ready| ready.status != "True");
    let note = unready.map(|ready| {
        let heartbeat = ready.heartbeat.as_deref().map(|at| format!(", last heartbeat {at}")).unwrap_or_default();
        format!("Ready is {}: {} {}{heartbeat}", ready.status, ready.reason, ready.message)
    });
    let with_note = |text: String| match &note {
        Some(note) => format!("{text}; {note}"),
        None => text,
    };
    if let Some(holder) = lease.holder.as_deref().filter(|holder| *holder != name) {
        let observed = format!("the Lease of {name} is held by {holder}");
        let finding = finding(Status::Fail).saw(with_note(observed), expected);
        return finding.remedy(HealthRemedy::SeparateNodes);
    }
    let renewed = lease.renewed.as_deref().unwrap_or("it was made");
    let Some(age) = age(lease, served) else {
        return match again.get(name) {
            Some(at) => finding(Status::Pass).saw(format!("its Lease was renewed at {at}, during this run"), expected),
            None if lease.renewed.is_none() => {
                let observed = format!("{name} has never renewed its Lease");
                finding(Status::Fail).saw(with_note(observed), expected).remedy(HealthRemedy::ReachApiServer)
            }
            None => {
                let observed = format!("renewed at {renewed}; the API server does not report its time");
                finding(Status::NotProven).saw(with_note(observed), expected)
            }
        };
    };
    if looks_stale(lease, served) {
        let off = in_words(age.abs());
        return match again.get(name) {
            Some(_) => {
                let side = if age.is_negative() { "ahead of" } else { "behind" };
                let observed = format!("it renews its Lease, with a clock that is {off} {side} the API server's");
                let finding = finding(Status::Warn).saw(with_note(observed), expected);
                as_warning(finding.remedy(HealthRemedy::SetNodeClock))
            }
            None => {
                let when = if age.is_negative() { format!("{off} ahead") } else { format!("{off} ago") };
                let observed = format!("{name} has not reached an API server since {renewed} ({when})");
                finding(Status::Fail).saw(with_note(observed), expected).remedy(HealthRemedy::ReachApiServer)
            }
        };
    }
    let observed =
        format!("its Lease was renewed at {renewed}, {} before the answer", in_words(age.max(time::Duration::ZERO)));
    match &note {
        // The kubelet reaches an API server; the reason why it is not ready is unrelated to trust.
        Some(_) => {
            as_warning(finding(Status::Warn).saw(with_note(observed), expected)).remedy(HealthRemedy::ReadNodeStatus)
        }
        None => finding(Status::Pass).saw(observed, expected),
    }
}

// The text of `expectation` contains this number.
const _: () = assert!(LEASE_DURATION.whole_seconds() == 40);

#[cfg(test)]
mod tests {
    use super::*;

    const SERVED: &str = "2026-11-28T12:00:00Z";

    fn status(
        holder: &str,
        renewed: Option<&str>,
        served: Option<&str>,
        again: Option<&str>,
        ready: Option<&str>,
    ) -> Status {
        let lease = Lease { name: "n1".into(), holder: Some(holder.into()), renewed: renewed.map(str::to_owned) };
        let again = again.map(|at| ("n1".to_owned(), at.to_owned())).into_iter().collect();
        let ready = ready.map(|status| Readiness {
            status: status.into(),
            reason: "KubeletNotReady".into(),
            message: String::new(),
            heartbeat: None,
        });
        let finding = |status| Finding::new(ID, Place::Node, "n1", status);
        judged(finding, "n1", Some(&lease), served, &again, ready.as_ref()).status
    }

    #[test]
    fn a_lease_is_renewed_in_time_by_its_own_node() {
        let at = |renewed: &str| status("n1", Some(renewed), Some(SERVED), None, None);
        assert_eq!(at("2026-11-28T11:59:50.123456Z"), Status::Pass);
        assert_eq!(at("2026-11-28T12:00:03.000000Z"), Status::Pass);
        assert_eq!(at("2026-11-28T11:59:19.000000Z"), Status::Fail);
        assert_eq!(at("2026-11-28T12:01:00.000000Z"), Status::Fail);
        assert_eq!(at("soon"), Status::NotProven);
        assert_eq!(status("n2", Some(SERVED), Some(SERVED), None, None), Status::Fail);
        assert_eq!(status("n1", None, Some(SERVED), None, None), Status::Fail);
        assert_eq!(status("n1", Some(SERVED), None, None, None), Status::NotProven);
        let finding = |status| Finding::new(ID, Place::Node, "n1", status);
        assert_eq!(judged(finding, "n1", None, Some(SERVED), &BTreeMap::new(), None).status, Status::Fail);
    }

    #[test]
    fn a_node_that_has_just_registered_needs_no_lease_yet() {
        let without = |heartbeat: &str| {
            let (status, reason, heartbeat) = ("True".into(), "KubeletReady".into(), Some(heartbeat.to_owned()));
            let ready = Readiness { status, reason, message: String::new(), heartbeat };
            let finding = |status| Finding::new(ID, Place::Node, "n1", status);
            judged(finding, "n1", None, Some(SERVED), &BTreeMap::new(), Some(&ready)).status
        };
        assert_eq!(without("2026-11-28T11:59:55Z"), Status::Warn);
        assert_eq!(without("2026-11-28T11:58:55Z"), Status::Fail);
    }

    #[test]
    fn a_node_with_a_wrong_clock_is_alive_if_it_renews_its_lease() {
        let again = Some("2026-11-28T11:00:10Z");
        assert_eq!(status("n1", Some("2026-11-28T11:00:00Z"), Some(SERVED), again, None), Status::Warn);
        assert_eq!(status("n1", Some("2026-11-28T13:00:00Z"), Some(SERVED), again, None), Status::Warn);
        assert_eq!(status("n1", Some(SERVED), None, again, None), Status::Pass);
    }

    #[test]
    fn a_node_not_ready_for_another_reason_is_not_a_failure() {
        assert_eq!(status("n1", Some(SERVED), Some(SERVED), None, Some("True")), Status::Pass);
        assert_eq!(status("n1", Some(SERVED), Some(SERVED), None, Some("False")), Status::Warn);
        assert_eq!(status("n1", Some("2026-11-28T11:00:00Z"), Some(SERVED), None, Some("Unknown")), Status::Fail);
    }
}
