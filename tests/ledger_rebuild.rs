//! `ledger rebuild`: a new ledger from the directory, if the ledger is lost or damaged.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rusqlite::Connection;
use serde_json::Value;

use crate::support::outside::needs;
use crate::support::{Lab, forms};

const LEDGER: &str = "pki/ledger.sqlite3";

/// A directory with revoked certificates that are in no file any more.
fn with_revocations() -> Lab {
    let mut lab = Lab::issued();
    lab.good(&["issue-admin", "alice"]);
    lab.now += time::Duration::days(1);
    lab.good(&["revoke", "on", "--reason", "keyCompromise", "--yes"]);
    lab.good(&["issue-node", "on"]);
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
    lab
}

fn rebuilt(lab: &Lab) -> Value {
    let ran = lab.good(&["ledger", "rebuild", "--output", "json"]);
    forms::conforms("ledger-rebuild", &ran.out);
    serde_json::from_str(&ran.out).expect("JSON")
}

/// Returns host, profile and SHA-256 of the certificates that are not revoked.
fn valid(lab: &Lab) -> BTreeSet<(Option<String>, String, String)> {
    let ledger = Connection::open(lab.path(LEDGER)).expect("a ledger");
    let query = "SELECT host, profile, sha256 FROM certificates WHERE sha256 NOT IN (SELECT sha256 FROM revocations)";
    let mut select = ledger.prepare(query).expect("a query");
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

fn number(lab: &Lab, query: &str) -> i64 {
    Connection::open(lab.path(LEDGER))
        .and_then(|ledger| ledger.query_row(query, [], |row| row.get(0)))
        .expect("a number")
}

/// Damages or removes the ledger in one of several ways.
fn spoil(lab: &Lab, how: &str) {
    let path = lab.path(LEDGER);
    match how {
        "lost" => fs::remove_file(path).expect("removed"),
        "empty" => fs::write(path, "").expect("written"),
        "foreign" => fs::write(path, "not a database").expect("written"),
        "damaged" => {
            let mut bytes = fs::read(&path).expect("a ledger");
            let half = bytes.len() / 2;
            bytes[half..].fill(0x5a);
            fs::write(path, bytes).expect("written");
        }
        other => panic!("{other}"),
    }
}

fn kept(lab: &Lab) -> Vec<PathBuf> {
    let entries = fs::read_dir(lab.path("pki")).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.display().to_string().contains(".replaced-")).collect()
}

#[test]
fn a_lost_or_damaged_ledger_is_rebuilt_and_the_old_file_is_kept() {
    for how in ["lost", "empty", "foreign", "damaged"] {
        let lab = with_revocations();
        let (before, sequence) = (valid(&lab), number(&lab, "SELECT number FROM sequence"));
        let generation = number(&lab, "SELECT number FROM generation");
        spoil(&lab, how);
        let old = fs::read(lab.path(LEDGER)).ok();
        assert_eq!(lab.run(&["ledger", "check"]).status, 1, "{how}");
        let report = rebuilt(&lab);
        assert_eq!(valid(&lab), before, "{how}");
        assert_eq!(report["certificates"].as_u64(), Some(before.len() as u64), "{how}");
        assert!(report["revokedUnknown"].as_u64() > Some(0), "{how}: {report}");
        assert!(number(&lab, "SELECT number FROM sequence") >= sequence, "{how}");
        assert_eq!(number(&lab, "SELECT number FROM generation"), generation, "{how}");
        assert_eq!(
            report["kept"]
                .as_str()
                .map(|kept| fs::read(kept.replacen("DIR", &lab.dir().display().to_string(), 1)).expect("kept")),
            old,
            "{how}"
        );
        lab.good(&["ledger", "check"]);
        assert!(lab.good(&["issue-node", "--all", "--dry-run"]).out.is_empty(), "{how}: nothing is to be issued");
        let rules = lab.read("policy/masters/authorization.yaml");
        lab.good(&["policy"]);
        let denied = |text: &str| text.matches("X509SHA256=").count();
        assert!(denied(&lab.read("policy/masters/authorization.yaml")) >= denied(&rules), "{how}");
        // A revoked serving certificate is also denied, because its profile is not known any more.
        lab.good(&["bundle", "--all"]);
        lab.good(&["verify", "--offline"]);
    }
}

#[test]
fn the_ledger_of_another_directory_is_found_and_replaced() {
    let (lab, other) = (with_revocations(), with_revocations());
    let before = valid(&lab);
    fs::copy(other.path(LEDGER), lab.path(LEDGER)).expect("a copy");
    let ran = lab.run(&["ledger", "check", "--output", "json"]);
    forms::conforms("ledger-check", &ran.out);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    let findings = report["findings"].as_array().expect("a list");
    let of_cas: Vec<&str> =
        findings.iter().filter(|one| one["id"] == "ledger.ca").map(|one| text(&one["place"])).collect();
    let wanted = ["DIR/pki/ca.crt", "DIR/pki/etcd/ca.crt", "DIR/pki/front-proxy/ca.crt"];
    assert_eq!((ran.status, of_cas.as_slice()), (1, &wanted[..]), "{report:#}");
    rebuilt(&lab);
    assert_eq!(valid(&lab), before);
    lab.good(&["ledger", "check"]);
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[test]
fn a_ledger_that_can_be_read_is_not_replaced() {
    let lab = with_revocations();
    let before = fs::read(lab.path(LEDGER)).expect("a ledger");
    let ran = lab.run(&["ledger", "rebuild"]);
    assert_eq!((ran.status, ran.out.as_str()), (3, ""));
    assert_eq!(fs::read(lab.path(LEDGER)).expect("a ledger"), before);
    assert!(kept(&lab).is_empty());
}

#[test]
fn the_errors_of_an_unusable_ledger_name_the_command() {
    let mut told = String::new();
    for how in ["lost", "empty", "foreign", "damaged"] {
        let lab = with_revocations();
        spoil(&lab, how);
        let ran = lab.run(&["issue-node", "--all"]);
        assert_eq!(ran.status, 4, "{how}: {}", ran.err);
        told.extend([how, ":\n", &ran.err]);
        if how == "lost" {
            let ran = lab.run(&["init-ca", "--plaintext-ca-key"]);
            assert_eq!(ran.status, 4, "the CAs are not in the way: {}", ran.err);
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn files_that_cannot_be_read_are_reported() {
    let lab = with_revocations();
    fs::write(lab.path("pki/admins/bob.conf"), "nothing").expect("written");
    spoil(&lab, "lost");
    let report = rebuilt(&lab);
    let unknown = report["unknown"].as_array().expect("a list");
    assert_eq!(unknown.len(), 1, "{report}");
    assert_eq!(unknown[0]["kind"], "file");
    assert!(unknown[0]["file"].as_str().is_some_and(|file| file.ends_with("bob.conf")), "{report}");
}

/// Bundles may have certificates that were replaced since.
#[test]
fn the_certificates_of_the_directory_are_the_current_ones() {
    let mut lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    lab.now += time::Duration::days(1);
    lab.good(&["issue-node", "--reissue", "on"]);
    lab.good(&["revoke", "worker-b1", "--yes"]);
    lab.good(&["issue-node", "worker-b1"]);
    let current = || -> BTreeSet<String> {
        let report = lab.run(&["status", "--all", "--output", "json"]);
        let report: Value = serde_json::from_str(&report.out).expect("JSON");
        let rows = report["rows"].as_array().expect("rows").iter().filter(|row| row["host"].is_string());
        rows.filter_map(|row| Some(format!("{} {}", row["state"].as_str()?, row["sha256"].as_str()?))).collect()
    };
    let before = current();
    assert!(before.len() > 4 && before.iter().all(|row| row.starts_with("valid")), "{before:?}");
    spoil(&lab, "lost");
    rebuilt(&lab);
    assert_eq!(current(), before);
}

#[test]
fn keys_that_a_node_generated_do_not_count_as_deleted() {
    let lab = Lab::issued();
    fs::create_dir(lab.path("host")).expect("made");
    lab.good(&["request", "on", "--root", "host"]);
    lab.good(&["sign", "on.request"]);
    spoil(&lab, "lost");
    assert_eq!(rebuilt(&lab)["keysElsewhere"], 2);
    lab.good(&["bundle", "on"]);
    lab.good(&["verify", "--offline"]);
    lab.good(&["sign", "on.request"]);
}

/// `status` and rotations count what has the profile of administrators.
#[test]
fn every_kind_of_kubeconfig_keeps_its_profile() {
    let lab = Lab::issued();
    lab.good(&["issue-admin", "alice"]);
    for (name, flag) in [("anna", "--approver"), ("sam", "--signer"), ("rita", "--announcer")] {
        lab.good(&["issue-admin", name, flag]);
    }
    spoil(&lab, "lost");
    rebuilt(&lab);
    assert_eq!(number(&lab, "SELECT count(*) FROM certificates WHERE profile = 'admin'"), 4);
}

/// The new ledger is not used while a file proves that revocations are missing in it.
#[test]
fn revocations_that_no_file_lists_are_reported() {
    let lab = Lab::issued();
    lab.good(&["revoke", "worker-b1", "--yes"]);
    lab.good(&["issue-node", "--all"]);
    lab.good(&["policy"]);
    lab.good(&["bundle", "--all"]);
    let rules = lab.path("policy/masters/authorization.yaml");
    fs::copy(&rules, lab.path("kept.yaml")).expect("copied");
    fs::remove_file(lab.path("pki/crl.pem")).expect("removed");
    fs::remove_dir_all(lab.path("policy")).expect("removed");
    fs::remove_dir_all(lab.path("bundles")).expect("removed");
    spoil(&lab, "lost");
    let report = rebuilt(&lab);
    let kinds: Vec<&str> =
        report["unknown"].as_array().expect("a list").iter().filter_map(|one| one["kind"].as_str()).collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == "revocations"), "{report}");
    assert_eq!(lab.run(&["policy"]).status, 3);
    lab.good(&["revoke", "--from", "kept.yaml", "--yes"]);
    lab.good(&["policy"]);
    let denied = |text: &str| text.matches("X509SHA256=").count();
    assert!(denied(&lab.read("policy/masters/authorization.yaml")) >= denied(&lab.read("kept.yaml")));

    // Without CRLs and rules, it is not known whether anything was revoked.
    let lab = Lab::issued();
    spoil(&lab, "lost");
    assert_eq!(rebuilt(&lab)["unknown"][0]["kind"], "revocations");
}

#[test]
fn encrypted_bundles_are_reported() {
    needs!("age-keygen");
    let lab = Lab::issued();
    let recipient = crate::support::encryption::age_key(&lab, "identity");
    lab.good(&["bundle", "--all", "--encrypt-to", &recipient]);
    lab.good(&["revoke", "worker-b1", "--yes"]);
    spoil(&lab, "lost");
    let report = rebuilt(&lab);
    let unknown = report["unknown"].as_array().expect("a list");
    assert!(unknown.len() > 2 && unknown.iter().all(|one| one["kind"] == "encrypted"), "{report}");
}

/// A ledger that another program changed is readable, and there may be no backup.
#[test]
fn a_ledger_with_a_changed_row_is_rebuilt() {
    let lab = with_revocations();
    let ledger = Connection::open(lab.path(LEDGER)).expect("a ledger");
    ledger.execute("UPDATE certificates SET not_after = 'garbage' WHERE host = 'on'", []).expect("changed");
    drop(ledger);
    assert_eq!(lab.run(&["ledger", "check"]).status, 1);
    rebuilt(&lab);
    lab.good(&["ledger", "check"]);
}

/// Runs a rebuild that is killed at the `nth` system call of a kind; returns false if it made fewer of them.
fn killed(lab: &Lab, call: &str, nth: usize) -> bool {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
    let dir = lab.dir().display().to_string();
    let strace =
        ["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject, env!("CARGO_BIN_EXE_clusterctl"), "--dir", &dir];
    let ran = Command::new("strace").args(strace).args(["ledger", "rebuild"]).output().expect("strace runs");
    !ran.status.success()
}

#[test]
fn a_rebuild_that_is_killed_loses_nothing_and_continues() {
    needs!("strace");
    let lab = with_revocations();
    let before = valid(&lab);
    spoil(&lab, "damaged");
    let damaged = fs::read(lab.path(LEDGER)).expect("a ledger");
    for call in ["linkat,link", "unlink,unlinkat", "rename,renameat,renameat2", "fsync,fdatasync,syncfs", "pwrite64"] {
        let mut nth = 1;
        while killed(&lab, call, nth) {
            let there = fs::read(lab.path(LEDGER)).expect("there is always a ledger");
            let is_old = there == damaged;
            let is_kept = kept(&lab).iter().any(|path| fs::read(path).is_ok_and(|bytes| bytes == damaged));
            assert!(is_old || is_kept, "{call} {nth}: the old file is gone");
            let again = lab.run(&["ledger", "rebuild"]);
            assert_eq!(again.status, if is_old { 0 } else { 3 }, "{call} {nth}: {}", again.err);
            assert_eq!(valid(&lab), before, "{call} {nth}");
            lab.good(&["ledger", "check"]);
            kept(&lab).into_iter().for_each(|path| fs::remove_file(path).expect("removed"));
            fs::write(lab.path(LEDGER), &damaged).expect("damaged again");
            nth = if call == "pwrite64" { nth * 2 } else { nth + 1 };
        }
        assert!(nth > 1, "{call}: otherwise this proves nothing");
        kept(&lab).into_iter().for_each(|path| fs::remove_file(path).expect("removed"));
        fs::write(lab.path(LEDGER), &damaged).expect("damaged again");
    }
}
