//! Aborts of a rotation: what the new root signed is issued again by the old one, before the new one is given up.

use clusterctl::app::rotate::{self, NextOptions, RotateError};
use clusterctl::app::{Error, Silent};
use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::rotation::Phase;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::rotating::Fleet;
use crate::support::packages::{cluster, env};
use crate::support::phases::Rotated;
use crate::support::{self, Lab};

const CLUSTER: Rotated = Rotated::Ca(CaRole::Cluster);
const ETCD: Rotated = Rotated::Ca(CaRole::Etcd);

/// Writes a proof of the phase.
fn write_proof(lab: &mut Lab, rotated: Rotated) {
    lab.now = OffsetDateTime::now_utc();
    lab.write("proof.json", &rotated.proof(lab));
}

/// A directory with a rotation in a phase whose bundles are packed.
fn in_phase(rotated: Rotated, phase: &str) -> Lab {
    let mut lab = Lab::issued();
    lab.now = OffsetDateTime::now_utc();
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    lab.good(&["apply"]);
    lab.good(&rotated.args("start", &[]));
    lab.good(&["backup", "1.age", "--passphrase-file", "passphrase"]);
    while rotated.phase(&lab) != Some(phase) {
        write_proof(&mut lab, rotated);
        lab.good(&rotated.next());
        lab.now = OffsetDateTime::now_utc();
        lab.good(&["apply"]);
    }
    lab
}

#[test]
fn a_host_that_was_added_meanwhile_is_not_cut_off() {
    let of_node = (CLUSTER, "worker-c1", "", "- {name: worker-c1, addresses: [10.20.2.12]}\n");
    let of_master = (ETCD, "master-3", "nodes:\n", "- {name: master-3, addresses: [10.20.0.13]}\n");
    for (rotated, added, before, line) in [of_node, of_master] {
        let mut lab = in_phase(rotated, "servers");
        let file = lab.read("cluster.yaml");
        let at = if before.is_empty() { file.len() } else { file.find(before).expect("a list") };
        lab.write("cluster.yaml", &[&file[..at], line, &file[at..]].concat());
        lab.good(&["apply"]);
        lab.good(&rotated.args("abort", &[]));
        assert_eq!(rotated.phase(&lab), Some("trust-both"));
        write_proof(&mut lab, rotated);
        let abort = rotated.args("abort", &["--report", "proof.json"]);
        let ran = lab.run(&abort);
        assert_eq!((ran.status, rotated.phase(&lab)), (3, Some("trust-both")), "{ran}");
        assert!(ran.err.contains(added), "{ran}");
        // The old root signs what the new one had signed.
        lab.good(&["apply"]);
        lab.good(&abort);
        assert_eq!(rotated.phase(&lab), None);
        assert_eq!(
            serde_json::from_str::<Value>(&lab.good(&["plan", "--output", "json"]).out).expect("JSON")["certificates"],
            json!([])
        );
        lab.good(&["apply"]);
        lab.good(&["verify", "--offline"]);
    }
}

#[test]
fn an_abort_without_the_saved_certificates_is_proven_like_another() {
    let mut lab = in_phase(CLUSTER, "servers");
    std::fs::remove_dir_all(CLUSTER.folder(&lab).join("before")).expect("lost");
    lab.good(&CLUSTER.args("abort", &[]));
    write_proof(&mut lab, CLUSTER);
    let red = lab.read("proof.json").replacen("\"pass\"", "\"fail\"", 1);
    lab.write("red.json", &red);
    for (report, status) in [("red.json", 1), ("proof.json", 3)] {
        let ran = lab.run(&CLUSTER.args("abort", &["--report", report]));
        assert_eq!((ran.status, CLUSTER.phase(&lab)), (status, Some("trust-both")), "{report}: {ran}");
    }
    lab.good(&["apply"]);
    lab.good(&CLUSTER.args("abort", &["--report", "proof.json"]));
    assert_eq!(CLUSTER.phase(&lab), None);
    lab.good(&["apply"]);
    lab.good(&["verify", "--offline"]);
}

/// Returns the hosts with the results of a check in a run with the expectations of the phase.
fn results(fleet: &mut Fleet, aspect: &str) -> Vec<(String, String)> {
    let ran = fleet.run(&["verify", "--phase", "--output", "json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran}"));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let all = report["results"].as_array().expect("results").iter();
    let of_aspect = all.filter(|one| text(&one["id"]).split_once('.').is_some_and(|(_, name)| name == aspect));
    of_aspect.map(|one| (text(&one["host"]), text(&one["status"]))).collect()
}

#[test]
fn a_server_that_presents_the_new_root_keeps_an_abort_from_being_proven() {
    let mut fleet = Fleet::start(1, 1);
    fleet.good(&["rotate-ca", "start"]);
    fleet.backup();
    while fleet.phase() != Some(Phase::Servers) {
        let ran = fleet.next();
        assert_eq!(ran.status, 0, "{ran}");
        fleet.good(&["apply"]);
        fleet.install(|_| true);
    }
    std::fs::remove_dir_all(CLUSTER.folder(&fleet.lab).join("before")).expect("lost");
    fleet.good(&["rotate-ca", "abort"]);
    let status_of = |seen: &[(String, String)], host: &str| -> Vec<String> {
        seen.iter().filter(|(name, _)| name == host).map(|(_, status)| status.clone()).collect()
    };
    let seen = results(&mut fleet, "served-root");
    for host in ["master-1", "node-1"] {
        assert_eq!(status_of(&seen, host), ["fail"], "{host}: {seen:?}");
    }
    assert_eq!((fleet.run(&["rotate-ca", "abort"]).status, fleet.phase()), (1, Some(Phase::TrustBoth)));
    fleet.good(&["apply"]);
    fleet.install(|_| true);
    let seen = results(&mut fleet, "served-root");
    for host in ["master-1", "node-1"] {
        assert_eq!(status_of(&seen, host), ["pass"], "{host}: {seen:?}");
    }
    fleet.good(&["rotate-ca", "abort"]);
    assert_eq!(fleet.phase(), None);
    fleet.good(&["apply"]);
    fleet.install(|_| true);
    fleet.good(&["verify"]);
}

#[test]
fn an_abort_that_another_command_began_meanwhile_is_no_failed_proof() {
    let lab = in_phase(CLUSTER, "canary");
    lab.good(&CLUSTER.args("abort", &[]));
    // The other command had not begun yet when it was asked whether a proof is needed.
    let refused = rotate::abort(CaRole::Cluster, None, &cluster(&lab), &env(&lab), &mut Silent);
    assert!(matches!(refused, Err(Error::Rotate(RotateError::Report { .. }))), "{refused:?}");
    let status = lab.good(&["rotate-ca", "status", "--output", "json"]).out;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["rotations"][0]["failed"], Value::Null, "{status:#}");
    assert_eq!(CLUSTER.phase(&lab), Some("trust-both"));
}

#[test]
fn the_role_that_is_rotated_is_named() {
    for (rotated, flag) in [(ETCD, "--role etcd"), (Rotated::TokenKey, "--role service-account")] {
        let mut lab = Lab::issued();
        lab.now = OffsetDateTime::now_utc();
        lab.good(&rotated.args("start", &[]));
        for command in [&["rotate-ca", "next"][..], &["rotate-ca", "next", "--dry-run"], &["rotate-ca", "abort"]] {
            let ran = lab.run(command);
            assert!(ran.status == 3 && ran.err.contains(flag), "{command:?}: {ran}");
        }
    }
}

#[test]
fn a_report_of_before_the_wait_is_asked_for_anew() {
    let mut lab = in_phase(CLUSTER, "trust-both");
    write_proof(&mut lab, CLUSTER);
    let next = ["rotate-ca", "next", "--report", "proof.json"];
    let another = "clusterctl verify --phase";
    let ran = lab.run(&next);
    assert!(ran.status == 3 && !ran.err.contains(another), "{ran}");
    lab.now += Duration::minutes(6);
    let ran = lab.run(&next);
    assert!(ran.status == 3 && ran.err.contains(another), "{ran}");
}

#[test]
fn nothing_is_retired_without_the_key_of_the_new_ca() {
    let mut lab = in_phase(CLUSTER, "prepare");
    let (key, away) = (CLUSTER.folder(&lab).join("ca.key"), lab.path("away.key"));
    let refused = |lab: &mut Lab, args: &[&str]| {
        let before = CLUSTER.phase(lab);
        write_proof(lab, CLUSTER);
        std::fs::rename(&key, &away).expect("kept elsewhere");
        let ran = lab.run(args);
        assert_eq!((ran.status, CLUSTER.phase(lab)), (3, before), "{args:?}: {ran}");
        let report = (lab.path("proof.json"), lab.read("proof.json").into_bytes());
        let options = NextOptions {
            role: CaRole::Cluster,
            report: Some(report),
            no_wait: true,
            keep_old_key: false,
            confirmed: true,
            resume: false,
        };
        let error = rotate::next(&options, None, &cluster(lab), &env(lab), &mut Silent);
        assert!(matches!(error, Err(Error::Rotate(RotateError::NoNewKey { .. }))), "{args:?}: {error:?}");
        std::fs::rename(&away, &key).expect("brought back");
    };
    let emergency = ["rotate-ca", "next", "--emergency", "--yes"];
    refused(&mut lab, &CLUSTER.next());
    refused(&mut lab, &emergency);
    let valid = ["crl", "show"];
    assert!(lab.run(&valid).out.is_empty(), "nothing was revoked");
    while CLUSTER.phase(&lab) != Some("drop-old") {
        write_proof(&mut lab, CLUSTER);
        lab.good(&CLUSTER.next());
        lab.now = OffsetDateTime::now_utc();
        lab.good(&["apply"]);
    }
    let old = lab.read("pki/ca.key");
    refused(&mut lab, &CLUSTER.next());
    assert_eq!(lab.read("pki/ca.key"), old);
    write_proof(&mut lab, CLUSTER);
    lab.good(&CLUSTER.next());
    assert_ne!(lab.read("pki/ca.key"), old);
    lab.good(&["issue-node", "on", "--reissue"]);
}

#[test]
fn a_ca_that_expires_soon_can_be_replaced() {
    let mut lab = Lab::with(
        &support::CLUSTER.replace("name: prod\n", "name: prod\nvalidity: {ca: 20d, master: 20d, node: 20d}\n"),
    );
    lab.now = OffsetDateTime::now_utc();
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    lab.good(&["apply"]);
    // From now on, CAs last long.
    lab.write("cluster.yaml", support::CLUSTER);
    lab.good(&CLUSTER.args("start", &[]));
    lab.good(&["backup", "1.age", "--passphrase-file", "passphrase"]);
    for phase in &CLUSTER.phases()[1..] {
        write_proof(&mut lab, CLUSTER);
        lab.good(&CLUSTER.next());
        assert_eq!(CLUSTER.phase(&lab), Some(*phase));
        lab.now = OffsetDateTime::now_utc();
        lab.good(&["apply"]);
    }
    write_proof(&mut lab, CLUSTER);
    lab.good(&CLUSTER.next());
    let status = lab.run(&["status", "--output", "json"]).out;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let rows = status["rows"].as_array().expect("rows").iter();
    let days: Vec<i64> = rows.filter(|row| row["host"] == "on").filter_map(|row| row["days"].as_i64()).collect();
    assert!(days.len() == 2 && days.iter().all(|days| *days > 30), "{status:#}");
}

#[test]
fn an_abort_is_one_for_a_ledger_that_was_made_anew_too() {
    let mut lab = in_phase(CLUSTER, "servers");
    std::fs::remove_file(lab.path("pki/ledger.sqlite3")).expect("lost");
    lab.good(&["ledger", "rebuild"]);
    lab.good(&CLUSTER.args("abort", &[]));
    let status = lab.good(&["rotate-ca", "status", "--output", "json"]).out;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["rotations"][0]["aborting"], true, "{status:#}");
    write_proof(&mut lab, CLUSTER);
    let ran = lab.run(&CLUSTER.next());
    assert_eq!((ran.status, CLUSTER.phase(&lab)), (3, Some("trust-both")), "{ran}");
}
