//! The JUnit report: one fault is one failure, checks that depend on it are skipped, and the report agrees with the exit status.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use clusterctl::cli::finding_remedies::words;
use clusterctl::fake_cluster::injected_fault::InjectedFault;
use clusterctl::verify::finding::{Finding, Status};
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use clusterctl::verify::recording::Recording;
use clusterctl::verify::report::Report;
use clusterctl::verify::target::{Place, Target};
use clusterctl::verify::verdict::{Strictness, Verdict};

use super::lab::{Lab, lab, slow_lab};
use crate::support::forms::{self, Cases};
use crate::support::outside::needs;

const STRICTNESS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

/// Validates a report by its schema, and compares it with its own verdict.
fn agrees(mut report: Report) -> Cases {
    let mut first = None;
    for (allow_skipped, fail_on_warn) in STRICTNESS {
        report.strictness = Strictness { allow_skipped, fail_on_warn };
        let text = report.to_junit(&words);
        let cases = forms::junit(&text);
        let bad = cases.failures + cases.errors > 0;
        assert_eq!(bad, report.verdict() != Verdict::Proven, "{:?}: {text}", report.strictness);
        first.get_or_insert(cases);
    }
    first.expect("one")
}

fn reported(lab: &Lab, findings: Vec<Finding>) -> Report {
    Report::new(&lab.target, findings, Strictness::default(), lab.now, lab.now)
}

/// Returns the counts of a run with these options.
fn cases(lab: &Lab, options: &Options) -> (Cases, Vec<Finding>) {
    let seen = run(&lab.target, options, lab.now, &|_, _| {}).expect("a network");
    let findings = lab.judge(&seen);
    (agrees(reported(lab, findings.clone())), findings)
}

/// Returns the cases that are errors because they are not proven.
fn open(lab: &Lab, findings: Vec<Finding>) -> Vec<String> {
    let text = reported(lab, findings).to_junit(&words);
    text.lines().filter(|line| line.contains("<error type=\"not-proven\"")).map(str::to_owned).collect()
}

fn quick() -> Options {
    let (timeout, lease_pause) = (StdDuration::from_secs(2), StdDuration::from_millis(50));
    Options { timeout, lease_pause, ..Options::default() }
}

#[test]
fn every_fault_fails_a_junit_case() {
    needs!("python3", "xmllint");
    for fault in InjectedFault::ALL {
        let lab = lab(1, 2, Some(fault));
        let (cases, findings) = cases(&lab, &quick());
        let failed = findings.iter().any(|finding| finding.status == Status::Fail);
        assert_eq!(cases.failures > 0, failed, "{fault}");
        // A failing authorizer is the fault itself.
        let open = open(&lab, findings);
        assert!(fault == InjectedFault::FailingAuthorizer || open.is_empty(), "{fault}: {open:?}");
    }
    assert_eq!(cases(&lab(1, 2, None), &quick()).0.skipped, 0);
}

#[test]
fn a_recording_of_a_real_cluster_has_the_verdict_of_its_junit_form() {
    needs!("python3", "xmllint");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut judged = 0;
    for folder in ["kubernetes-1.20.2", "kubernetes-1.36.2"] {
        for entry in std::fs::read_dir(data.join(folder)).expect("the folder") {
            let path = entry.expect("an entry").path();
            let bytes = std::fs::read(&path).expect("readable");
            let Ok(recording) = Recording::from_bytes(&bytes) else { continue };
            agrees(recording.report());
            judged += 1;
        }
    }
    assert!(judged > 20, "{judged}");
}

/// Reserves each address of a host, so that nothing listens there.
fn unplugged(target: &Target, place: Place, host: usize) -> Arc<Target> {
    let mut target = target.clone();
    let peers = if place == Place::Node { &mut target.nodes } else { &mut target.masters };
    peers[host].port = 1;
    Arc::new(target)
}

#[test]
fn a_silent_host_is_one_failure_and_its_other_checks_are_skipped() {
    needs!("python3", "xmllint");
    for (place, fault) in [(Place::Node, None), (Place::Node, Some(InjectedFault::SilentNode)), (Place::Master, None)] {
        let mut lab = lab(3, 3, fault);
        lab.target = unplugged(&lab.target, place, 1);
        let (cases, findings) = cases(&lab, &quick());
        assert_eq!((cases.failures, cases.errors), (1, 0), "{place:?} {fault:?}");
        let hanging = findings.iter().filter(|finding| finding.because_of.is_some());
        assert!(cases.skipped > 10 && cases.skipped == hanging.count());
        let text = reported(&lab, findings).to_junit(&words);
        let id = if place == Place::Node { "node.connect" } else { "master.connect" };
        let because = format!("<skipped message=\"because of {id}: connection refused");
        assert!(text.matches(&because).count() + 1 >= cases.skipped, "{text}");
    }
}

#[test]
fn a_host_that_is_silent_at_each_of_its_addresses_is_one_failure() {
    needs!("python3", "xmllint");
    let mut lab = lab(1, 3, None);
    let mut target = (*lab.target).clone();
    target.nodes[1].port = 1;
    let other = target.nodes[0].addresses[0].clone();
    target.nodes[1].addresses.push(other);
    lab.target = Arc::new(target);
    let (cases, findings) = cases(&lab, &quick());
    let failed = findings.iter().filter(|finding| finding.status == Status::Fail).count();
    assert_eq!((failed, cases.failures, cases.errors), (2, 1, 0));
}

#[test]
fn without_an_api_server_the_lists_are_skipped() {
    needs!("python3", "xmllint");
    let mut lab = lab(1, 2, None);
    let mut target = (*lab.target).clone();
    target.masters[0].port = 1;
    target.endpoint.as_mut().expect("an endpoint").port = 1;
    lab.target = Arc::new(target);
    let (cases, findings) = cases(&lab, &quick());
    assert_eq!((cases.failures, cases.errors), (2, 0));
    let lists = findings.iter().filter(|f| f.place == Place::Cluster && f.status == Status::NotProven);
    assert!(lists.clone().count() > 0 && lists.clone().all(|f| f.because_of.is_some()));
}

#[test]
fn a_server_that_answers_too_late_is_one_error() {
    needs!("openssl", "python3", "xmllint");
    let mut lab = slow_lab(1, 2, StdDuration::from_secs(20));
    let mut target = (*lab.target).clone();
    target.endpoint = None;
    lab.target = Arc::new(target);
    let options = Options { timeout: StdDuration::from_millis(500), ..quick() };
    let (cases, findings) = cases(&lab, &options);
    let open = findings.iter().filter(|f| f.status == Status::NotProven && f.because_of.is_none());
    let open: Vec<_> = open.map(|f| format!("{} {} {:?}: {}", f.id, f.host, f.client, f.observed)).collect();
    assert_eq!((cases.failures, cases.errors), (0, 1), "{open:?}");
}

#[test]
fn a_run_without_results_is_an_error() {
    needs!("python3", "xmllint");
    let lab = lab(1, 2, None);
    let (cases, _) = cases(&lab, &Options { deadline: Some(StdDuration::ZERO), ..quick() });
    assert!(cases.errors > 0);
    assert_eq!(agrees(reported(&lab, Vec::new())).errors, 1);
}

#[test]
fn a_suite_is_a_host_and_the_cluster_has_its_own() {
    let lab = lab(2, 2, None);
    let text = reported(&lab, lab.judge(&lab.observe())).to_junit(&words);
    let suites = text.split("<testsuite name=\"").skip(1).map(|rest| rest.split('"').next().expect("a name"));
    let endpoint = format!("endpoint {}", lab.running.addresses.endpoint);
    assert_eq!(suites.collect::<Vec<_>>(), ["cluster lab", &endpoint, "master-1", "master-2", "node-1", "node-2"]);
    let of = |class: &str, name: &str| text.contains(&format!("<testcase classname=\"{class}\" name=\"{name}"));
    assert!(of("1.ii", "node.chain") && of("2.iii", "master.whoami") && of("2.i 2.iii", "node.heartbeat"), "{text}");
}
