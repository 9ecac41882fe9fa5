//! `master.denials` of a cluster directory and of a verifier bundle: the ledger and the authorization configuration have the
//! certificates that API servers have to deny.

use std::collections::BTreeSet;

use clusterctl::pki::fingerprint::Fingerprint;
use serde_json::Value;

use super::support::live::Live;
use super::support::{Lab, Ran, good_tool};
use crate::support::outside::needs;

/// Returns the statuses of the findings `master.denials`, and their observations.
fn denials(ran: &Ran) -> (BTreeSet<String>, String) {
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran}"));
    let results = report["results"].as_array().expect("results").iter().filter(|r| r["id"] == "master.denials");
    let text = |result: &Value, key: &str| result[key].as_str().unwrap_or_default().to_owned();
    let (statuses, observed): (BTreeSet<String>, Vec<String>) =
        results.map(|result| (text(result, "status"), text(result, "observed"))).unzip();
    (statuses, observed.join("\n"))
}

fn verified(lab: &Lab, args: &[&str]) -> (BTreeSet<String>, String) {
    denials(&lab.run(&[&["verify", "--output", "json"], args].concat()))
}

fn all(status: &str) -> BTreeSet<String> {
    [status.to_owned()].into()
}

/// Returns the certificate that the authorization configuration denies.
fn denied(lab: &Lab) -> Fingerprint {
    let rules = lab.read("policy/masters/authorization.yaml");
    let (_, id) = rules.split_once("X509SHA256=").expect("one is denied");
    Fingerprint::parse(&id[..64]).expect("a digest")
}

#[test]
fn verify_warns_of_api_servers_that_do_not_deny_a_revoked_certificate_yet() {
    let live = Live::start(None);
    let lab = &live.lab;
    assert_eq!(verified(lab, &[]).0, BTreeSet::new(), "nothing has to be denied");
    lab.good(&["policy"]);
    assert_eq!(verified(lab, &[]).0, all("pass"), "the rules about nodes are there");
    lab.good(&["issue-admin"]);
    lab.good(&["revoke", "kubernetes-admin", "--yes"]);
    let (statuses, observed) = verified(lab, &[]);
    assert_eq!(statuses, all("warn"));
    assert!(observed.contains("kubernetes-admin "), "{observed}");
    assert_eq!(lab.good(&["verify"]).status, 0, "it warns");
    assert_eq!(lab.run(&["verify", "--fail-on", "warn"]).status, 1);
    live.running.deny([denied(lab)]);
    assert_eq!(verified(lab, &[]).0, all("pass"));
    lab.good(&["verify", "--fail-on", "warn"]);
}

#[test]
fn a_ledger_from_a_backup_hides_no_certificate_to_deny() {
    let live = Live::start(None);
    let lab = &live.lab;
    lab.good(&["issue-admin"]);
    let (from, to) = (lab.path("pki/ledger.sqlite3"), lab.path("ledger.backup"));
    std::fs::copy(&from, &to).expect("copied");
    lab.good(&["revoke", "kubernetes-admin", "--yes"]);
    std::fs::copy(&to, &from).expect("put back");
    let (statuses, observed) = verified(lab, &[]);
    assert_eq!(statuses, all("warn"));
    assert!(observed.contains("kubernetes-admin "), "{observed}");
    live.running.deny([denied(lab)]);
    assert_eq!(verified(lab, &[]).0, all("pass"));
}

#[test]
fn an_expired_certificate_need_not_be_denied() {
    let mut live = Live::start(None);
    live.lab.good(&["issue-admin", "--validity", "1h"]);
    live.lab.good(&["revoke", "kubernetes-admin", "--yes"]);
    assert_eq!(verified(&live.lab, &[]).0, all("warn"));
    live.lab.now += time::Duration::hours(2);
    let (statuses, observed) = verified(&live.lab, &[]);
    assert_eq!(statuses, all("pass"), "{observed}");
}

#[test]
fn a_verifier_bundle_has_the_certificates_to_deny() {
    needs!("tar");
    let live = Live::start(None);
    let lab = &live.lab;
    lab.good(&["issue-admin"]);
    lab.good(&["revoke", "kubernetes-admin", "--yes"]);
    let admin = denied(lab);
    lab.good(&["bundle", "--verifier"]);
    let mut ci = Lab::empty();
    ci.now = lab.now;
    std::fs::copy(lab.path("verifier.tar.gz"), ci.path("verifier.tar.gz")).expect("copied");
    let (statuses, observed) = verified(&ci, &["--from", "verifier.tar.gz"]);
    assert_eq!(statuses, all("warn"));
    assert!(observed.contains("kubernetes-admin "), "{observed}");
    live.running.deny([admin]);
    assert_eq!(verified(&ci, &["--from", "verifier.tar.gz"]).0, all("pass"));
    // The unpacked bundle is a cluster directory.
    let folder = ci.dir().display().to_string();
    good_tool("tar", &["-xzf", &ci.path("verifier.tar.gz").display().to_string(), "-C", &folder]);
    assert_eq!(verified(&ci, &["--dir", &ci.path("verifier").display().to_string()]).0, all("pass"));
    // A node's bundle has no revocations.
    lab.good(&["bundle", "--all"]);
    assert_eq!(verified(lab, &["--from", "bundles/node-1.tar.gz"]).0, BTreeSet::new());
}
