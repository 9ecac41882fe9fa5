//! Reports of `verify` that are given as proofs of a phase: what they lack, and how old they are.

use std::collections::BTreeSet;

use clusterctl::cluster::key_kind::KeyKind;
use clusterctl::cluster::lifetime::Lifetime;
use clusterctl::cluster::name::ClusterName;
use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::issuer::create_root;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::support::phases::Rotated;
use crate::support::{Lab, Ran};

/// Returns a directory whose rotation is in its first phase, and a report that proves it.
fn prepared(rotated: Rotated) -> (Lab, Value) {
    let mut lab = Lab::issued();
    lab.now = OffsetDateTime::now_utc();
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    lab.good(&rotated.args("start", &[]));
    lab.good(&["backup", "1.age", "--passphrase-file", "passphrase"]);
    let proof = serde_json::from_str(&rotated.proof(&lab)).expect("JSON");
    (lab, proof)
}

fn given(lab: &Lab, rotated: Rotated, report: &Value) -> Ran {
    lab.write("proof.json", &report.to_string());
    lab.run(&rotated.next())
}

fn rows(report: &mut Value) -> &mut Vec<Value> {
    report["results"].as_array_mut().expect("results")
}

#[test]
fn a_report_has_every_check_at_every_address_of_the_cluster_file() {
    for rotated in [Rotated::Ca(CaRole::Cluster), Rotated::Ca(CaRole::Etcd), Rotated::TokenKey] {
        let (lab, good) = prepared(rotated);
        let phase = rotated.phase(&lab);
        let is_behind = |report: &Value, what: &str| {
            let ran = given(&lab, rotated, report);
            assert_eq!((ran.status, rotated.phase(&lab)), (1, phase), "{rotated:?}, {what}: {ran}");
        };
        // One row for each check and address: without any of them, the phase is not proven.
        let needed = |row: &Value| {
            let id = row["id"].as_str().expect("an id");
            let is_ordinary = ["chain", "anonymous", "untrusted"].iter().any(|end| id == format!("master.{end}"));
            is_ordinary
                || id.ends_with(".connect") && (rotated == Rotated::Ca(CaRole::Cluster) || !id.starts_with("node"))
        };
        let all = good["results"].as_array().expect("results");
        // One address of each, and every address of one of them.
        let mut seen = BTreeSet::new();
        let mut is_chosen = |row: &Value| row["id"] == "master.chain" || seen.insert(row["id"].to_string());
        let needed: Vec<usize> = (0..all.len()).filter(|i| needed(&all[*i]) && is_chosen(&all[*i])).collect();
        assert!(needed.len() > 5);
        for at in needed {
            let mut lacking = good.clone();
            let row = rows(&mut lacking).remove(at);
            is_behind(&lacking, &row.to_string());
        }
        // What was seen at one host says nothing about another one.
        let mut copied = good.clone();
        rows(&mut copied).retain(|row| row["host"] != "master-1");
        let others = rows(&mut copied).iter().filter(|row| row["host"] == "master-2").cloned().collect::<Vec<_>>();
        rows(&mut copied).extend(others.into_iter().map(|mut row| {
            row["host"] = "master-1".into();
            row
        }));
        is_behind(&copied, "copies");
        let file = lab.read("cluster.yaml");
        lab.write("cluster.yaml", &file.replace("10.20.0.12", "10.20.0.13"));
        is_behind(&good, "another address");
        lab.write("cluster.yaml", &file);
        assert_eq!(given(&lab, rotated, &good).status, 0);
        assert_ne!(rotated.phase(&lab), phase);
    }
}

#[test]
fn a_report_proves_a_phase_for_a_day() {
    let (mut lab, good) = prepared(Rotated::TokenKey);
    let now = lab.now;
    for (age, expected) in [(Duration::days(11 * 365), 2), (Duration::hours(25), 2), (Duration::hours(23), 0)] {
        lab.now = now + age;
        let ran = given(&lab, Rotated::TokenKey, &good);
        assert_eq!(ran.status, expected, "{age}: {ran}");
    }
}

#[test]
fn only_hosts_are_counted_as_hosts_that_are_behind() {
    let rotated = Rotated::Ca(CaRole::Cluster);
    let (lab, mut report) = prepared(rotated);
    report["verdict"] = "unproven".into();
    let endpoint = "api.prod.example.net:6443";
    let behind = |lab: &Lab| -> Value {
        let status = lab.run(&["rotate-ca", "status", "--output", "json"]);
        let status: Value = serde_json::from_str(&status.out).expect("JSON");
        status["rotations"][0]["behind"]["hosts"].clone()
    };
    let fail = |report: &mut Value, host: &str| {
        rows(report).iter_mut().filter(|row| row["host"] == host).for_each(|row| row["status"] = "fail".into());
    };
    // Only the endpoint: it is named, as nothing else can be.
    fail(&mut report, endpoint);
    assert_eq!(given(&lab, rotated, &report).status, 1);
    assert_eq!(behind(&lab), serde_json::json!([endpoint]));
    fail(&mut report, "master-1");
    let ran = given(&lab, rotated, &report);
    assert_eq!((ran.status, behind(&lab)), (1, serde_json::json!(["master-1"])), "{ran}");
}

#[test]
fn a_new_ca_that_expires_before_what_it_signs_would_is_warned_of() {
    let mut lab = Lab::issued();
    lab.now = OffsetDateTime::now_utc();
    let name = ClusterName::parse("other").expect("a name");
    for (lifetime, is_warned) in [("20d", true), ("10y", false)] {
        let lifetime = Lifetime::parse(lifetime).expect("a lifetime");
        let root = create_root(CaRole::Cluster, &name, KeyKind::default(), lifetime, lab.now).expect("a root");
        lab.write("new.crt", &root.get().certificate_pem());
        lab.write("new.key", &root.get().key.to_pem());
        let ran = lab.good(&["rotate-ca", "start", "--cert", "new.crt", "--key", "new.key"]);
        assert_eq!(ran.err.lines().any(|line| line.starts_with("warning")), is_warned, "{ran}");
        lab.good(&["rotate-ca", "abort"]);
    }
}

#[test]
fn a_fault_of_another_demo_is_hinted_at_with_its_name() {
    let ran = Lab::empty().run(&["demo", "--fault", "left-out"]);
    assert!(ran.status == 2 && ran.err.contains("--rotate --fault left-out"), "{ran}");
}
