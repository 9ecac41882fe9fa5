//! Denial of revoked certificates by the API servers of the simulated cluster.

use std::sync::Arc;

use clusterctl::fake_cluster::injected_fault::InjectedFault;
use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::verify::checks::{Clock, judge};
use clusterctl::verify::denials::{ExpectedDenials, MAX_DENIALS, RevokedCertificate};
use clusterctl::verify::finding::{Finding, Property, Status};
use clusterctl::verify::observation::{Exchange, Observations, Outcome, Request};
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use clusterctl::verify::remedy::{AuthorizationRemedy, Remedy};
use clusterctl::verify::target::Target;
use clusterctl::verify::verdict::{Strictness, Verdict, verdict};
use time::Duration;

use super::lab::{Lab, lab, not_passed, revoked_fingerprint};

const HOSTS: [&str; 2] = ["endpoint", "master-1"];

fn at_each(status: &'static str) -> std::collections::BTreeMap<&'static str, std::collections::BTreeSet<String>> {
    [(status, HOSTS.iter().map(|host| format!("master.denials at {host}")).collect())].into()
}

/// Returns the findings of a run on another target.
fn found(lab: &Lab, target: Target) -> Vec<Finding> {
    let target = Arc::new(target);
    let seen = run(&target, &Options::default(), lab.now, &|_, _| {}).expect("a network");
    judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) })
}

fn of_denials(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.id.to_string() == "master.denials").collect()
}

fn statuses(findings: &[Finding]) -> Vec<Status> {
    of_denials(findings).iter().map(|finding| finding.status).collect()
}

fn reviews(seen: &mut Observations) -> impl Iterator<Item = &mut Exchange> {
    let dials = seen.peers.iter_mut().flat_map(|peer| &mut peer.locations).flat_map(|at| &mut at.dials);
    dials.flat_map(|dial| &mut dial.exchanges).filter(|exchange| exchange.request == Request::DenialReview)
}

fn certificate(name: &str) -> RevokedCertificate {
    RevokedCertificate { sha256: Fingerprint::of(name.as_bytes()), whose: Some(name.to_owned()), revoked: None }
}

#[test]
fn api_servers_that_have_not_read_their_rules_are_warned_of() {
    let lab = lab(1, 2, Some(InjectedFault::NotReloaded));
    let findings = lab.judge(&lab.observe());
    assert_eq!(not_passed(&findings), at_each("warn"), "{}", lab.text(&findings));
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Proven);
    let strict = Strictness { fail_on_warn: true, ..Strictness::default() };
    assert_eq!(verdict(&findings, strict), Verdict::Unproven);
    for finding in of_denials(&findings) {
        assert_eq!(finding.properties(), [Property::P2iii]);
        assert!(finding.observed.contains(&revoked_fingerprint().to_string()), "{}", finding.observed);
        assert!(matches!(finding.remedy, Some(Remedy::Authorization(AuthorizationRemedy::UpdateDenials { .. }))));
    }
}

#[test]
fn a_revocation_is_reported_until_the_api_servers_deny_it() {
    let lab = lab(1, 2, None);
    let mut target = (*lab.target).clone();
    let newer =
        RevokedCertificate { revoked: Some("2026-11-28T12:00:00Z".into()), ..certificate("node-7 kubelet-client") };
    let older = RevokedCertificate { sha256: revoked_fingerprint(), whose: None, revoked: None };
    target.denials = Some(ExpectedDenials::new(vec![newer.clone(), older], true));
    let findings = found(&lab, target.clone());
    assert_eq!(statuses(&findings), [Status::Warn; 2]);
    let observed = &of_denials(&findings)[0].observed;
    assert!(observed.contains("node-7 kubelet-client") && observed.contains("2026-11-28T12:00:00Z"), "{observed}");
    assert!(!observed.contains(&revoked_fingerprint().to_string()), "{observed}");
    lab.running.deny([revoked_fingerprint(), newer.sha256]);
    assert_eq!(statuses(&found(&lab, target)), [Status::Pass; 2]);
}

#[test]
fn nothing_is_said_where_nothing_has_to_be_denied() {
    let lab = lab(1, 2, None);
    for denials in [None, Some(ExpectedDenials::default())] {
        let target = Target { denials, ..(*lab.target).clone() };
        let findings = found(&lab, target);
        assert_eq!(statuses(&findings), []);
        assert_eq!(verdict(&findings, Strictness::default()), Verdict::Proven);
    }
    // The node rules exist from the beginning.
    let denials = Some(ExpectedDenials::new(Vec::new(), true));
    assert_eq!(statuses(&found(&lab, Target { denials, ..(*lab.target).clone() })), [Status::Pass; 2]);
}

#[test]
fn of_many_revoked_certificates_the_newest_are_asked_about_and_the_others_counted() {
    let lab = lab(1, 2, None);
    let all: Vec<_> = (0..MAX_DENIALS + 5).map(|i| certificate(&format!("node-{i} kubelet-client"))).collect();
    let mut target = (*lab.target).clone();
    target.denials = Some(ExpectedDenials::new(all.clone(), false));
    let findings = found(&lab, target.clone());
    assert_eq!(statuses(&findings), [Status::Warn; 2]);
    // A file of rules is loaded as a whole, so the oldest revocations are not checked.
    lab.running.deny(all.iter().take(MAX_DENIALS).map(|one| one.sha256));
    let findings = found(&lab, target);
    assert_eq!(statuses(&findings), [Status::Pass; 2]);
    assert!(of_denials(&findings)[0].observed.contains("5 more"), "{}", of_denials(&findings)[0].observed);
}

#[test]
fn a_node_asks_if_the_verifier_may_not_and_the_check_is_skipped_if_neither_may() {
    let lab = lab(1, 2, None);
    let mut target = (*lab.target).clone();
    // An account without the right, like the verifier's under an older policy.
    target.verifier = target.masters[0].client.clone();
    let findings = found(&lab, target.clone());
    assert_eq!(statuses(&findings), [Status::Pass; 2]);
    assert!(of_denials(&findings).iter().all(|finding| finding.client.as_deref() == Some("node-1")));
    for node in &mut target.nodes {
        node.client = None;
    }
    for (verifier, hinted) in [(target.verifier.clone(), true), (None, false)] {
        let findings = found(&lab, Target { verifier, ..target.clone() });
        assert_eq!(statuses(&findings), [Status::Skipped; 2]);
        assert!(of_denials(&findings).iter().all(|finding| finding.remedy.is_some() == hinted));
        let alone: Vec<Finding> = of_denials(&findings).into_iter().cloned().collect();
        let pass = Finding { status: Status::Pass, ..alone[0].clone() };
        let verdict = verdict(&[vec![pass], alone].concat(), Strictness::default());
        assert_eq!(verdict, Verdict::Proven, "it fails no run");
    }
}

#[test]
fn another_node_calls_if_the_first_one_made_its_own_keys() {
    let lab = lab(1, 3, None);
    let mut target = (*lab.target).clone();
    target.nodes[0].client = None;
    target.nodes[0].client_missing = Some("its key is not here".to_owned());
    let findings = found(&lab, target);
    let of = |id: &str| findings.iter().filter(move |finding| finding.id.to_string() == id).collect::<Vec<_>>();
    for finding in of("master.admission") {
        assert_eq!((finding.status, finding.client.as_deref()), (Status::Pass, Some("node-2")), "{finding:?}");
    }
    assert_eq!(of("master.admission").len(), 2);
    // Each node's account is asked for once.
    let callers = of("master.caller").into_iter().map(|finding| (finding.client.as_deref(), finding.status));
    let expected = [("node-1", Status::Skipped), ("node-2", Status::Pass), ("node-3", Status::Pass)];
    for (client, status) in expected {
        let of_client: Vec<_> = callers.clone().filter(|(who, _)| *who == Some(client)).collect();
        assert_eq!(of_client, [(Some(client), status); 2], "{client}");
    }
}

#[test]
fn no_denial_is_proven_by_a_server_that_denies_everything_or_gives_no_review() {
    let lab = lab(1, 2, None);
    let seen = lab.observe();
    let judged = |change: &dyn Fn(&mut Exchange)| {
        let mut seen = seen.clone();
        reviews(&mut seen).for_each(change);
        statuses(&lab.judge(&seen))
    };
    let body = |outcome: &mut Outcome, change: &dyn Fn(&str) -> String| {
        let Outcome::Answer(answer) = outcome else { panic!("an answer") };
        answer.body = change(&answer.body).into();
    };
    assert_eq!(judged(&|_| {}), [Status::Pass; 2]);
    let denied = |text: &str| text.replace("\"denied\":false", "\"denied\":true");
    assert_eq!(judged(&|e| body(&mut e.outcome, &denied)), [Status::NotProven; 2]);
    assert_eq!(judged(&|e| body(&mut e.outcome, &|_| "{}".into())), [Status::NotProven; 2]);
    assert_eq!(judged(&|e| e.outcome = Outcome::Closed), [Status::NotProven; 2]);
    assert_eq!(
        judged(&|e| e.more.iter_mut().for_each(|f| f.outcome = Outcome::TimedOut(5000))),
        [Status::NotProven; 2]
    );
    // The response to one review does not count for another.
    assert_eq!(judged(&|e| e.more.swap(0, 1)), [Status::Pass; 2]);
    assert_eq!(judged(&|e| e.more[1] = e.more[0].clone()), [Status::NotProven; 2]);
    let lets_in = |text: &str| text.replace("\"denied\":true", "\"denied\":false");
    assert_eq!(judged(&|e| body(&mut e.more[0].outcome, &lets_in)), [Status::Warn; 2]);
    // Responses of another server do not count.
    assert_eq!(judged(&|e| e.server_chain = [].into()), [Status::NotProven; 2]);
}

#[test]
fn a_recording_from_before_this_check_skips_it() {
    let lab = lab(1, 2, None);
    let mut seen = lab.observe();
    for peer in &mut seen.peers {
        let dials = peer.locations.iter_mut().flat_map(|at| &mut at.dials);
        dials.for_each(|dial| dial.exchanges.retain(|exchange| exchange.request != Request::DenialReview));
    }
    let findings = lab.judge(&seen);
    assert_eq!(not_passed(&findings), at_each("skipped"));
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Proven);
    // A target without a list of denials: skipped if certificates were revoked, and else not reported.
    let clock = Clock { now: lab.now, expires_within: Duration::days(30) };
    let of = |revoked| judge(&Target { denials: None, revoked, ..(*lab.target).clone() }, &seen, clock);
    assert_eq!(statuses(&of(Some([revoked_fingerprint()].into()))), [Status::Skipped; 2]);
    assert_eq!(statuses(&of(None)), []);
}
