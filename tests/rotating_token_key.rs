//! The rotation of the key that signs service account tokens: in every phase each API server accepts the tokens that any
//! other signs.

use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::pki::pem::{self, Item};
use clusterctl::pki::service_account_key::ServiceAccountKey;
use clusterctl::pki::token_rotation::TokenPhase;
use clusterctl::store::layout::Layout;
use clusterctl::store::token_rotation;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

use super::rotating::{Fleet, names};
use super::rotating_accounts::phase_of;
use crate::support::forms;
use crate::support::rotation::{Files, bundle_files};

const ROLE: [&str; 2] = ["--role", "service-account"];
const PRIVATE: &str = "etc/kubernetes/pki/sa.key";
const PUBLIC: &str = "etc/kubernetes/pki/sa.pub";

/// The keys of an API server since its last start: the one that signs, and those whose tokens it accepts.
pub(super) type Started = BTreeMap<String, (Fingerprint, Vec<Fingerprint>)>;

fn keys_of(files: &Files) -> (Fingerprint, Vec<Fingerprint>) {
    let signs = ServiceAccountKey::from_pem(&files[PRIVATE]).expect("a key").fingerprint();
    let items = pem::read_all(&files[PUBLIC]).expect("public keys");
    let accepted = items.iter().map(|item| match item {
        Item::PublicKey(spki) => Fingerprint::of(spki),
        other => panic!("{other:?}"),
    });
    (signs, accepted.collect())
}

/// Installs the bundles of masters, and restarts their API servers.
pub(super) fn restart(fleet: &Fleet, started: &mut Started, is_chosen: impl Fn(&str) -> bool) {
    for name in fleet.names.iter().filter(|name| name.starts_with("master") && is_chosen(name)) {
        let keys = keys_of(&bundle_files(&fleet.lab, name));
        fleet.running.publish_token_keys(name, keys.1.clone());
        started.insert(name.clone(), keys);
    }
    for (one, (signs, _)) in started.iter() {
        for (other, (_, accepted)) in started.iter() {
            assert!(accepted.contains(signs), "{other} does not accept a token of {one}");
        }
    }
}

pub(super) fn phase(fleet: &Fleet) -> Option<TokenPhase> {
    let layout = Layout::new(fleet.lab.dir().to_owned());
    token_rotation::state(&layout).expect("a state").map(|rotation| rotation.phase)
}

fn next(fleet: &mut Fleet, more: &[&str]) -> crate::support::Ran {
    fleet.run(&[&["rotate-ca", "next"], &ROLE[..], more].concat())
}

#[test]
fn api_servers_accept_each_others_tokens_in_every_phase() {
    let mut fleet = Fleet::start(3, 1);
    let mut started = Started::new();
    restart(&fleet, &mut started, |_| true);
    let old = started["master-1"].0;
    let report = fleet.good(&[&["rotate-ca", "start", "--output", "json"], &ROLE[..]].concat());
    forms::conforms("rotation", &report.out);
    let report: Value = serde_json::from_str(&report.out).expect("JSON");
    let of_each = |field: &str| -> Vec<Value> {
        let plans = report["rotations"][0]["next"].as_array().expect("plans");
        plans.iter().map(|plan| plan[field].clone()).collect()
    };
    assert_eq!(of_each("phase"), ["add", "sign", "drop", "retire"]);
    let restarts: Vec<usize> = of_each("restarts").iter().map(|all| all.as_array().expect("restarts").len()).collect();
    assert_eq!(restarts, [1, 2, 1, 0]);
    // Nothing is shipped yet, and a CA's rotation does not begin now.
    assert_eq!(fleet.good(&["plan", "--exit-code"]).status, 0);
    assert_eq!(fleet.run(&["rotate-ca", "start"]).status, 3);
    let status = fleet.run(&["status", "--output", "json"]);
    let shown: Value = serde_json::from_str(&status.out).expect("JSON");
    let rows = shown["rows"].as_array().expect("rows");
    assert!(
        rows.iter().any(|row| row["credential"] == "service-account-rotation" && row["state"] == "due"),
        "{shown:#}"
    );
    assert_eq!(next(&mut fleet, &[]).status, 3, "no backup");
    fleet.backup();
    for (present, more) in [
        (TokenPhase::Add, &[][..]),
        (TokenPhase::Sign, &["--no-wait"][..]),
        (TokenPhase::Drop, &["--tokens-replaced"][..]),
    ] {
        let ran = next(&mut fleet, more);
        assert_eq!((ran.status, phase(&fleet)), (0, Some(present)), "{ran}");
        assert_eq!(fleet.run(&["plan", "--exit-code"]).status, 10, "{present:?}: masters get other keys");
        fleet.good(&["apply"]);
        assert_eq!(fleet.run(&["plan", "--exit-code"]).status, 0, "{present:?}");
        let mark = json!({"role": "service-account", "phase": present.as_str(), "number": present.number()});
        assert_eq!(phase_of(&fleet.lab, "master-1"), mark);
        assert_eq!(phase_of(&fleet.lab, "node-1"), Value::Null, "nodes get nothing");
        restart(&fleet, &mut started, |name| name == "master-1");
        restart(&fleet, &mut started, |name| name == "master-2");
        let ran = next(&mut fleet, &["--no-wait", "--tokens-replaced", "--yes"]);
        assert_eq!((ran.status, phase(&fleet)), (1, Some(present)), "{ran}");
        assert_eq!(names(&ran, &fleet.names), ["master-3"], "{ran}");
        restart(&fleet, &mut started, |name| name == "master-3");
        let report = fleet.run(&["verify", "--phase", "--masters-only", "--output", "json"]);
        forms::conforms("verify-report", &report.out);
        if present != TokenPhase::Drop {
            assert_eq!(next(&mut fleet, &["--yes"]).status, 3, "{present:?}: it is waited for");
        }
        let status = fleet.good(&["rotate-ca", "status", "--output", "json"]);
        forms::conforms("rotation", &status.out);
    }
    assert_eq!(next(&mut fleet, &[]).status, 3, "the deletion is confirmed");
    let ran = next(&mut fleet, &["--yes", "--output", "json"]);
    forms::conforms("rotation", &ran.out);
    assert_eq!((ran.status, phase(&fleet)), (0, None), "{ran}");
    let (signs, accepted) = started["master-1"].clone();
    assert_ne!(signs, old);
    assert_eq!(accepted, [signs]);
    let kept = ServiceAccountKey::from_pem(fleet.lab.read("pki/sa.key").as_bytes()).expect("a key");
    assert_eq!(kept.fingerprint(), signs);
    assert!(!fleet.lab.path("pki/sa-rotation").exists());
    let before = bundle_files(&fleet.lab, "master-1");
    fleet.good(&["apply"]);
    assert!(bundle_files(&fleet.lab, "master-1") == before, "nothing is left to be delivered");
    fleet.good(&["verify", "--offline"]);
    assert_eq!(next(&mut fleet, &[]).status, 3, "it is over");
}

#[test]
fn a_token_key_that_signs_nothing_yet_is_given_up() {
    let mut fleet = Fleet::start(2, 1);
    let mut started = Started::new();
    restart(&fleet, &mut started, |_| true);
    let before = bundle_files(&fleet.lab, "master-2");
    for delivered in [false, true] {
        fleet.good(&[&["rotate-ca", "start"], &ROLE[..]].concat());
        fleet.backup();
        if delivered {
            assert_eq!(next(&mut fleet, &[]).status, 0);
            fleet.good(&["apply"]);
            assert_eq!(keys_of(&bundle_files(&fleet.lab, "master-2")).1.len(), 2);
        }
        let aborted = fleet.good(&[&["rotate-ca", "abort", "--output", "json"], &ROLE[..]].concat());
        forms::conforms("rotation", &aborted.out);
        fleet.good(&["apply"]);
        assert!(bundle_files(&fleet.lab, "master-2") == before);
    }
    // The longest token is waited for; the old key may be kept.
    fleet.good(&[&["rotate-ca", "start"], &ROLE[..]].concat());
    fleet.backup();
    for more in [&[][..], &["--no-wait"][..]] {
        assert_eq!(next(&mut fleet, more).status, 0);
        fleet.good(&["apply"]);
        restart(&fleet, &mut started, |_| true);
    }
    assert_eq!(fleet.run(&[&["rotate-ca", "abort"], &ROLE[..]].concat()).status, 3);
    assert_eq!(next(&mut fleet, &["--no-wait"]).status, 3);
    let proven_at = |fleet: &mut Fleet, days: i64| {
        let report = fleet.run(&["verify", "--phase", "--masters-only", "--output", "json"]).out;
        let mut report: Value = serde_json::from_str(&report).expect("JSON");
        let later = OffsetDateTime::now_utc() + Duration::days(days);
        let stamp = later.format(&time::format_description::well_known::Rfc3339).expect("a time");
        (report["started"], report["finished"]) = (Value::from(stamp.clone()), Value::from(stamp));
        fleet.lab.write("later.json", &report.to_string());
        fleet.lab.now = later;
    };
    proven_at(&mut fleet, 366);
    fleet.lab.good(&[&["rotate-ca", "next", "--report", "later.json"], &ROLE[..]].concat());
    assert_eq!(phase(&fleet), Some(TokenPhase::Drop));
    fleet.lab.now = OffsetDateTime::now_utc();
    fleet.lab.good(&["apply"]);
    restart(&fleet, &mut started, |_| true);
    proven_at(&mut fleet, 367);
    fleet.lab.good(&[&["rotate-ca", "next", "--keep-old-key", "--report", "later.json"], &ROLE[..]].concat());
    let kept = std::fs::read_dir(fleet.lab.path("pki")).expect("pki").map(|entry| entry.expect("an entry").file_name());
    assert_eq!(kept.filter(|name| name.to_string_lossy().starts_with("sa-")).count(), 1);
}
