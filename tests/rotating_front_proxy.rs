//! The rotation of the front proxy's CA: in every phase each API server believes the headers of every API server's client
//! certificate, and of no others.

use std::collections::BTreeMap;

use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::rotation::Phase;
use serde_json::Value;

use super::rotating::{Fleet, names};
use crate::support::forms;
use crate::support::rotation::{Files, bundle_files, is_believed, roots_in};

const CA: &str = "etc/kubernetes/pki/front-proxy-ca.crt";
const PROXY: &str = "etc/kubernetes/pki/front-proxy-client";
const NEXT: [&str; 6] = ["rotate-ca", "next", "--role", "front-proxy", "--no-wait", "--yes"];

/// The files of each master that its API server read last.
type Installed = BTreeMap<String, Files>;

fn phase(fleet: &Fleet) -> Option<Phase> {
    fleet.trust_of(CaRole::FrontProxy).rotation().map(|rotation| rotation.phase)
}

/// Installs the present bundles of masters, and lets their API servers read the files again.
fn install(fleet: &Fleet, installed: &mut Installed, is_chosen: impl Fn(&str) -> bool) {
    fleet.install(&is_chosen);
    for name in fleet.names.iter().filter(|name| name.starts_with("master") && is_chosen(name)) {
        let files = bundle_files(&fleet.lab, name);
        fleet.running.trust_proxies(name, &roots_in(&files, CA));
        installed.insert(name.clone(), files);
    }
}

/// Asserts that every API server believes every other, and no one else.
fn assert_believed(fleet: &Fleet, installed: &Installed, what: &str) {
    for (master, files) in installed {
        for to in &fleet.running.addresses.masters {
            assert!(is_believed(files, PROXY, *to), "{what}: {master} -> {to}");
            let another = "etc/kubernetes/pki/apiserver-kubelet-client";
            assert!(!is_believed(files, another, *to), "{what}: {master} as another client -> {to}");
        }
    }
}

#[test]
fn api_servers_believe_each_other_in_every_phase() {
    let mut fleet = Fleet::start(3, 1);
    let mut installed = Installed::new();
    install(&fleet, &mut installed, |_| true);
    let before = installed.clone();
    assert_believed(&fleet, &installed, "before");
    let started = fleet.good(&["rotate-ca", "start", "--role", "front-proxy", "--output", "json"]);
    forms::conforms("rotation", &started.out);
    fleet.backup();
    for present in [Phase::TrustBoth, Phase::Clients, Phase::DropOld] {
        let ran = fleet.run(&NEXT);
        assert_eq!((ran.status, phase(&fleet)), (0, Some(present)), "{ran}");
        fleet.good(&["apply"]);
        install(&fleet, &mut installed, |name| name != "master-2");
        assert_believed(&fleet, &installed, present.as_str());
        let ran = fleet.run(&NEXT);
        assert_eq!((ran.status, phase(&fleet)), (1, Some(present)), "{ran}");
        assert_eq!(names(&ran, &fleet.names), ["master-2"], "{ran}");
        install(&fleet, &mut installed, |name| name == "master-2");
        assert_believed(&fleet, &installed, present.as_str());
        let report = fleet.run(&["verify", "--phase", "--masters-only", "--output", "json"]);
        forms::conforms("verify-report", &report.out);
    }
    for to in &fleet.running.addresses.masters {
        assert!(!is_believed(&before["master-1"], PROXY, *to), "the old client certificate at {to}");
    }
    let ran = fleet.run(&NEXT);
    assert_eq!((ran.status, phase(&fleet)), (0, None), "{ran}");
    fleet.good(&["apply"]);
    install(&fleet, &mut installed, |_| true);
    assert_believed(&fleet, &installed, "after");
    fleet.good(&["verify"]);
}

#[test]
fn the_plan_of_the_front_proxy_has_no_phase_of_servers_and_no_restart() {
    let mut fleet = Fleet::start(2, 1);
    assert_eq!(fleet.run(&["rotate-ca", "start", "--role", "front-proxy", "--canary", "node-1"]).status, 2);
    let before = fleet.lab.read("pki/front-proxy/ca.crt");
    let started = fleet.good(&["rotate-ca", "start", "--role", "front-proxy", "--output", "json"]);
    let started: Value = serde_json::from_str(&started.out).expect("JSON");
    let plans = started["rotations"][0]["next"].as_array().expect("plans");
    let phases: Vec<&str> = plans.iter().map(|plan| plan["phase"].as_str().expect("a phase")).collect();
    assert_eq!(phases, ["trust-both", "clients", "drop-old", "retire"]);
    assert!(plans.iter().all(|plan| plan["restarts"] == Value::Array(Vec::new())), "{plans:#?}");
    let gates: Vec<Value> = plans.iter().map(|plan| plan["gate"].clone()).collect();
    let gate = serde_json::json!(["master.connect", "master.new-root", "master.old-root"]);
    assert_eq!(gates[0], gate);
    // Only one rotation runs at a time, and an abort restores the previous files.
    assert_eq!(fleet.run(&["rotate-ca", "start", "--role", "etcd"]).status, 3);
    fleet.backup();
    let bundles: Vec<Files> = fleet.names.iter().map(|name| bundle_files(&fleet.lab, name)).collect();
    fleet.good(&NEXT);
    fleet.good(&["apply"]);
    assert_eq!(fleet.lab.read("pki/front-proxy/ca.crt").matches("BEGIN").count(), 2);
    fleet.good(&["rotate-ca", "abort", "--role", "front-proxy"]);
    fleet.good(&["apply"]);
    assert_eq!(fleet.lab.read("pki/front-proxy/ca.crt"), before);
    let again: Vec<Files> = fleet.names.iter().map(|name| bundle_files(&fleet.lab, name)).collect();
    assert!(again == bundles);
}

#[test]
fn a_thief_of_the_front_proxys_key_is_not_believed_when_the_masters_are_installed() {
    let mut fleet = Fleet::start(3, 1);
    let mut installed = Installed::new();
    install(&fleet, &mut installed, |_| true);
    // What the thief signs is not in the ledger; API servers believe any certificate of this root with the right name.
    let thief = installed["master-1"].clone();
    let believing =
        |fleet: &Fleet| fleet.running.addresses.masters.iter().filter(|to| is_believed(&thief, PROXY, **to)).count();
    assert_eq!(believing(&fleet), 3);
    let start = ["rotate-ca", "start", "--role", "front-proxy", "--emergency"];
    assert_eq!(fleet.run(&start).status, 3, "it is not confirmed");
    let started = fleet.good(&[&start[..], &["--yes", "--output", "json"]].concat());
    forms::conforms("rotation", &started.out);
    let started: Value = serde_json::from_str(&started.out).expect("JSON");
    assert_eq!((phase(&fleet), &started["accounts"]), (Some(Phase::DropOld), &serde_json::json!([])));
    assert_eq!(started["revoked"].as_u64(), Some(3), "one of each master: {started:#}");
    fleet.good(&["apply"]);
    for (number, master) in ["master-1", "master-2", "master-3"].into_iter().enumerate() {
        assert_eq!(believing(&fleet), 3 - number);
        install(&fleet, &mut installed, |name| name == master);
    }
    assert_eq!(believing(&fleet), 0);
    assert_believed(&fleet, &installed, "after the emergency");
    let ran = fleet.run(&NEXT);
    assert_eq!((ran.status, phase(&fleet)), (0, None), "{ran}");
    fleet.good(&["crl", "show"]);
    fleet.good(&["verify"]);
    let tokens = ["rotate-ca", "start", "--role", "service-account", "--emergency", "--yes"];
    assert_eq!(fleet.run(&tokens).status, 2, "it is no CA");
}
