//! `renew`: renews what is due, and nothing else.

use std::collections::BTreeSet;

use clusterctl::app::Silent;
use clusterctl::app::renew::{self, RenewOptions};
use clusterctl::store::ca;
use serde_json::Value;
use time::Duration;

use crate::support::packages::{cluster, env};
use crate::support::{CLUSTER, Lab, NOW, forms};

/// Runs `renew` with JSON output.
fn renew(lab: &Lab, args: &[&str]) -> Value {
    let args = [&["renew"], args, &["--output", "json"]].concat();
    let report = lab.good(&args).out;
    forms::conforms("renew", &report);
    serde_json::from_str(&report).expect("JSON")
}

fn count(report: &Value, key: &str) -> usize {
    report[key].as_array().map_or(0, Vec::len)
}

fn hosts(report: &Value) -> Vec<&str> {
    report["hostsToDeliver"].as_array().expect("hosts").iter().filter_map(Value::as_str).collect()
}

#[test]
fn renew_all_renews_certificates_that_are_due() {
    let mut lab = Lab::issued();
    for (days, due) in [(0, 0), (242, 0), (245, 25), (364, 25)] {
        lab.now = NOW + Duration::days(days);
        let report = renew(&lab, &["--all", "--dry-run"]);
        assert_eq!((count(&report, "certificates"), &report["dryRun"]), (due, &Value::Bool(true)), "after {days} days");
    }
    let report = renew(&lab, &["--all"]);
    assert_eq!((count(&report, "certificates"), hosts(&report).len()), (25, 5));
    assert_eq!(renew(&lab, &["--all"])["dryRun"], Value::Bool(false), "also when nothing is due");
    assert_eq!(count(&renew(&lab, &["--all"]), "certificates"), 0);
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
}

#[test]
fn renew_of_hosts_leaves_the_files_of_all_others_alone() {
    let mut lab = Lab::issued();
    lab.now += Duration::days(300);
    let before = lab.snapshot();
    let report = renew(&lab, &["worker-*,on"]);
    assert_eq!(hosts(&report), ["on", "worker-a1.fra1.example.net", "worker-b1"]);
    let after = lab.snapshot();
    let changed: BTreeSet<String> = after
        .iter()
        .filter(|(path, bytes)| before.get(*path) != Some(bytes))
        .map(|(path, _)| path.strip_prefix(lab.dir()).expect("a path").display().to_string())
        .filter(|path| !path.contains("ledger.sqlite3"))
        .collect();
    assert!(!changed.is_empty() && changed.iter().all(|path| path.starts_with("pki/nodes/")), "{changed:?}");
    assert_eq!(lab.run(&["renew", "work"]).status, 2);
    assert_eq!(lab.run(&["renew"]).status, 2);
}

#[test]
fn renew_issues_nothing_to_a_host_that_never_had_a_certificate() {
    let lab = Lab::issued();
    lab.write("cluster.yaml", &format!("{CLUSTER}- {{name: new, addresses: [10.20.9.9]}}\n"));
    assert_eq!(count(&renew(&lab, &["--all"]), "certificates"), 0);
    assert!(!lab.path("pki/nodes/new").exists());
}

#[test]
fn renew_within_a_time_renews_more() {
    let lab = Lab::issued();
    assert_eq!(count(&renew(&lab, &["on", "--within", "2y", "--dry-run"]), "certificates"), 2);
    assert_eq!(count(&renew(&lab, &["on", "--within", "30d", "--dry-run"]), "certificates"), 0);
}

#[test]
fn administrators_are_renewed_on_request_for_as_long_as_before() {
    let mut lab = Lab::issued();
    lab.good(&["issue-admin", "alice", "--validity", "60d"]);
    lab.good(&["issue-admin", "bob", "--validity", "60d"]);
    lab.good(&["issue-admin", "--break-glass", "--yes", "--validity", "7d"]);
    lab.good(&["revoke", "bob", "--yes"]);
    lab.now += Duration::days(50);
    assert_eq!(count(&renew(&lab, &["--all", "--dry-run"]), "admins"), 0);
    let before = lab.read("pki/admins/alice.conf");
    let report = renew(&lab, &["--admins"]);
    assert_eq!((count(&report, "admins"), count(&report, "certificates")), (1, 0), "{report}");
    assert_eq!(report["admins"][0]["name"], "alice");
    assert_eq!(report["admins"][0]["expires"], "2027-03-13T12:00:00Z", "60 days from now");
    assert_ne!(lab.read("pki/admins/alice.conf"), before);
    assert_eq!(count(&renew(&lab, &["--admins"]), "admins"), 0);
}

#[test]
fn crls_are_renewed_in_the_last_third_of_their_validity() {
    let mut lab = Lab::issued();
    lab.good(&["revoke", "on", "--yes"]);
    lab.good(&["issue-node", "on"]);
    lab.now += Duration::days(30);
    assert_eq!(renew(&lab, &["--all"])["crls"], Value::Null);
    lab.now += Duration::days(32);
    let before = lab.read("pki/crl.pem");
    assert!(count(&renew(&lab, &["--all"]), "crls") > 0);
    assert_ne!(lab.read("pki/crl.pem"), before);
    assert_eq!(renew(&lab, &["--all"])["crls"], Value::Null);
    lab.good(&["crl", "show"]);
    std::fs::remove_file(lab.path("pki/crl.pem")).expect("the CRL");
    let planned = lab.good(&["renew", "--all", "--dry-run"]);
    assert!(planned.err.contains("the CRLs") && !planned.err.contains("0 certificates"), "{planned}");
    let renewed = lab.good(&["renew", "--all"]);
    assert!(renewed.out.contains("crl.pem"), "a missing CRL is signed again: {renewed}");
    assert!(renewed.err.contains("the CRLs") && !renewed.err.contains("0 certificates"), "{renewed}");
    lab.good(&["crl", "show"]);
}

#[test]
fn the_passphrase_is_asked_for_once_and_only_if_something_is_due() {
    let mut lab = Lab::with(CLUSTER);
    lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "correct horse battery".into());
    for args in [&["init-ca"][..], &["issue-master", "--all"], &["issue-node", "--all"], &["issue-admin", "alice"]] {
        lab.good(args);
    }
    lab.good(&["crl", "renew"]);
    lab.env.clear();
    lab.good(&["renew", "--all", "--admins"]);
    lab.now += Duration::days(300);
    assert_eq!(lab.run(&["renew", "--all", "--admins"]).status, 2, "there is no terminal");
    lab.typed = Some(["correct horse battery".to_owned()].into());
    let report = renew(&lab, &["--all", "--admins"]);
    assert_eq!((count(&report, "certificates"), count(&report, "admins")), (25, 1));
    assert_ne!(report["crls"], Value::Null);
}

#[test]
fn the_plan_and_the_result_are_lists_for_people() {
    let mut lab = Lab::issued();
    lab.now += Duration::days(300);
    let plan = lab.good(&["renew", "on", "--dry-run"]);
    insta::assert_snapshot!("renew_dry_run", plan);
    insta::assert_snapshot!("renew", lab.good(&["renew", "on"]));
    insta::assert_snapshot!("renew_nothing_due", lab.good(&["renew", "on"]));
}

#[test]
fn a_limit_beyond_the_lifetime_of_certificates_gives_a_warning() {
    let lab = Lab::issued();
    let warned = |within: &str| lab.good(&["renew", "on", "--within", within, "--dry-run"]).err.contains("--within");
    assert_eq!(["364d", "365d", "400d"].map(warned), [false, true, true]);
}

#[test]
fn a_renewal_reports_what_it_renewed_itself() {
    let mut lab = Lab::issued();
    lab.now += Duration::days(300);
    let (env, cluster) = (env(&lab), cluster(&lab));
    let options = || RenewOptions {
        masters: cluster.masters.iter().collect(),
        nodes: cluster.nodes.iter().collect(),
        ..RenewOptions::default()
    };
    let plan = renew::plan(options(), &cluster, &env, &mut Silent).expect("a plan");
    assert_eq!(plan.certificates().count(), 25);
    let issuers: Vec<_> = plan
        .signers()
        .into_iter()
        .map(|role| ca::open(&env.layout, role, None).expect("a CA").into_issuer(env.now).expect("it signs"))
        .collect();
    // Another run renews two hosts before this one has the lock.
    lab.good(&["renew", "on", "worker-b1"]);
    let report = plan.apply(&issuers, &mut Silent).expect("renewed");
    assert_eq!(report.certificates.len(), 21);
    let hosts: Vec<&str> = report.hosts().into_iter().map(|host| host.as_str()).collect();
    assert_eq!(hosts, ["master-1", "master-2", "worker-a1.fra1.example.net"]);
}
