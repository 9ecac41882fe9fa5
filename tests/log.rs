//! `log`, and `show` for certificates in the ledger.

use serde_json::Value;

use crate::support::{Lab, forms, good_tool};

/// A directory in which credentials were issued and packed, one was revoked, and one reissued.
fn with_events() -> Lab {
    let mut lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    lab.now += time::Duration::days(1);
    lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    lab.now += time::Duration::days(1);
    lab.good(&["issue-node", "on"]);
    lab
}

fn json(lab: &Lab, args: &[&str]) -> Value {
    let mut all = args.to_vec();
    all.extend(["--output", "json"]);
    serde_json::from_str(&lab.good(&all).out).expect("JSON")
}

fn kinds(report: &Value) -> Vec<&str> {
    report["entries"].as_array().expect("entries").iter().filter_map(|entry| entry["kind"].as_str()).collect()
}

/// Runs a query in the ledger by the sqlite3 program.
fn ask(lab: &Lab, query: &str) -> String {
    good_tool("sqlite3", &[&lab.path("pki/ledger.sqlite3").display().to_string(), query]).trim().to_owned()
}

#[test]
fn log_has_every_row_of_the_ledger_in_the_order_of_recording() {
    crate::support::outside::needs!("sqlite3");
    let lab = with_events();
    let report = json(&lab, &["log"]);
    forms::conforms("log", &report.to_string());
    let count = |kind: &str| kinds(&report).iter().filter(|one| **one == kind).count().to_string();
    assert_eq!(count("issue"), ask(&lab, "SELECT count(*) FROM certificates"));
    assert_eq!(
        count("revoke"),
        ask(&lab, "SELECT (SELECT count(*) FROM revocations) + (SELECT count(*) FROM events WHERE kind = 'revoke')")
    );
    assert_eq!(count("bundle"), ask(&lab, "SELECT count(*) FROM events WHERE kind = 'bundle'"));
    assert_eq!(kinds(&report).first(), Some(&"issue"));
    let times: Vec<&str> =
        report["entries"].as_array().expect("entries").iter().filter_map(|entry| entry["at"].as_str()).collect();
    assert!(times.is_sorted());
}

#[test]
fn a_wrong_clock_does_not_hide_later_entries() {
    let mut lab = with_events();
    let right = lab.now;
    // One command runs while the clock is 300 days ahead, the next after it was corrected, and the last with it a day behind.
    lab.now = right + time::Duration::days(300);
    lab.good(&["issue-admin", "ahead"]);
    lab.now = right;
    lab.good(&["issue-admin", "right"]);
    lab.now = right - time::Duration::days(1);
    lab.good(&["revoke", "worker-b1", "--yes"]);
    let report = json(&lab, &["log"]);
    let entries = report["entries"].as_array().expect("entries");
    let places = |name: &str| -> Vec<usize> {
        let is_of =
            |entry: &&Value| [&entry["account"], &entry["host"], &entry["subject"]].contains(&&Value::from(name));
        entries.iter().enumerate().filter(|(_, entry)| is_of(entry)).map(|(place, _)| place).collect()
    };
    let (ahead, right, revoked) = (places("ahead"), places("right"), places("worker-b1"));
    assert!(ahead.iter().max() < right.iter().min(), "{report:#}");
    assert!(right.iter().max() < revoked.iter().max(), "{report:#}");
    let last = json(&lab, &["log", "--last", "1"]);
    assert_eq!((&last["entries"][0]["kind"], &last["entries"][0]["subject"]), (&"revoke".into(), &"worker-b1".into()));
}

#[test]
fn log_of_a_host_has_its_certificates_its_bundle_and_its_revocation_only() {
    let lab = with_events();
    let report = json(&lab, &["log", "on"]);
    let entries = report["entries"].as_array().expect("entries");
    assert!(entries.iter().all(|entry| entry["host"] == "on" || entry["subject"] == "on"), "{report}");
    assert_eq!(
        kinds(&report),
        ["issue", "issue", "bundle", "distrust-key", "revoke", "revoke", "revoke", "issue", "issue"],
        "client and serving certificate, each twice, and the revocation of the host"
    );
    assert_eq!(report["entries"][4]["reason"], "keyCompromise");
    let serial = entries[0]["serial"].as_str().expect("a serial number");
    let of_serial = json(&lab, &["log", serial]);
    assert_eq!(kinds(&of_serial), ["issue", "revoke"]);
    let digest = format!("X509SHA256={}", entries[0]["sha256"].as_str().expect("a SHA-256"));
    assert_eq!(json(&lab, &["log", &digest]), of_serial);
    assert_eq!(json(&lab, &["log", "kubelet:on"])["entries"].as_array().map(Vec::len), Some(3));
}

#[test]
fn lists_and_patterns_of_hosts_have_the_entries_of_all() {
    let lab = with_events();
    let hosts = |args: &[&str]| -> std::collections::BTreeSet<String> {
        let report = json(&lab, args);
        let entries = report["entries"].as_array().expect("entries").iter();
        entries.filter_map(|entry| entry["host"].as_str().map(str::to_owned)).collect()
    };
    let count = |args: &[&str]| kinds(&json(&lab, args)).len();
    assert_eq!(hosts(&["log", "on,worker-b1"]), ["on", "worker-b1"].map(str::to_owned).into());
    assert_eq!(hosts(&["log", "master-*"]), ["master-1", "master-2"].map(str::to_owned).into());
    assert_eq!(count(&["log", "on", "worker-b1"]), count(&["log", "on"]) + count(&["log", "worker-b1"]));
    assert_eq!(count(&["log", "on,on"]), count(&["log", "on"]), "each once");
    for unknown in ["on,onn", "rack-*", "on,"] {
        assert_eq!(lab.run(&["log", unknown]).status, 2, "{unknown}");
    }
    let shown = json(&lab, &["show", "master-*", "on,worker-b1"]);
    let names: Vec<&str> =
        shown["files"].as_array().expect("files").iter().filter_map(|file| file["file"].as_str()).collect();
    assert_eq!(names, ["master-1", "master-2", "on", "worker-b1"]);
    for unknown in ["on,onn", "rack-*", "on,"] {
        assert_eq!(lab.run(&["show", unknown]).status, 2, "{unknown}");
    }
}

#[test]
fn log_is_limited_by_time_and_by_number() {
    let lab = with_events();
    let since = json(&lab, &["log", "--since", "30h"]);
    assert!(!kinds(&since).contains(&"init-ca") && kinds(&since).contains(&"revoke"), "{since}");
    let whole = json(&lab, &["log"])["entries"].as_array().map_or(0, Vec::len);
    let last = json(&lab, &["log", "--last", "2"]);
    assert_eq!((kinds(&last), last["leftOut"].as_u64()), (vec!["issue", "issue"], Some(whole as u64 - 2)));
    let day = lab.now.date().to_string();
    assert_eq!(kinds(&json(&lab, &["log", "--since", &day])), ["issue", "issue"]);
    assert_eq!(lab.run(&["log", "--since", "yesterday"]).status, 2);
}

#[test]
fn log_groups_the_events_of_one_command() {
    let lab = with_events();
    let shown = lab.good(&["log"]).out;
    insta::assert_snapshot!(without_numbers(&shown));
    assert!(lab.good(&["log", "on"]).out.lines().count() == 9);
}

/// Replaces serial numbers and digests.
fn without_numbers(text: &str) -> String {
    fn part(part: &str) -> &str {
        let is_number = part.len() >= 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_number { "NUMBER" } else { part }
    }
    let word = |word: &str| word.split(':').map(part).collect::<Vec<_>>().join(":");
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn log_of_an_unknown_name_is_a_usage_error_with_the_nearest_name() {
    let lab = with_events();
    let ran = lab.run(&["log", "onn"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    insta::assert_snapshot!(ran.err);
}

#[test]
fn show_finds_certificates_in_the_ledger() {
    let lab = with_events();
    let of_host = json(&lab, &["show", "on"]);
    let items = of_host["files"][0]["items"].as_array().expect("items");
    assert_eq!(items.len(), 2, "the newest of each profile");
    for item in items {
        let facts = &item["facts"];
        let file = facts["files"][0].as_str().expect("a file");
        assert!(file.starts_with("DIR/pki/nodes/on/") && file.ends_with(".crt"), "{file}");
        assert_eq!((facts["host"].as_str(), facts["revoked"].as_bool()), (Some("on"), Some(false)));
        assert_eq!(facts["issuedBy"], "admin@laptop");
    }
    let first = json(&lab, &["log", "on"])["entries"][0].clone();
    let serial = first["serial"].as_str().expect("a serial number");
    let revoked = json(&lab, &["show", serial]);
    let facts = &revoked["files"][0]["items"][0]["facts"];
    assert_eq!(facts["serial"], *serial);
    assert_eq!((facts["revoked"].as_bool(), facts["revokedBy"].as_str()), (Some(true), Some("admin@laptop")));
    assert_eq!(facts["files"].as_array().map(Vec::len), Some(0), "it was replaced");
    let digest = first["sha256"].as_str().expect("a SHA-256");
    let by_digest = json(&lab, &["show", &format!("X509SHA256={digest}")]);
    assert_eq!(by_digest["files"][0]["items"], revoked["files"][0]["items"]);
    assert_eq!(json(&lab, &["show", "kubelet:on"])["files"][0]["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn show_of_an_unknown_name_is_a_usage_error() {
    let lab = Lab::issued();
    let ran = lab.run(&["show", "onn"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    insta::assert_snapshot!(ran.err);
    // A name with a slash is a path.
    assert_eq!(lab.run(&["show", "./on"]).status, 2);
}

#[test]
fn show_works_without_a_ledger() {
    let lab = Lab::empty();
    assert_eq!(lab.run(&["show", "on"]).status, 2);
}
