//! Two rotations at once: an emergency of a CA while another CA, or the key of service accounts, is being rotated.

use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::rotation::Phase;
use clusterctl::pki::token_rotation::TokenPhase;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::rotating::Fleet;
use super::rotating_accounts::phase_of;
use super::rotating_token_key::{Started, phase, restart};
use crate::support::phases::Rotated;
use crate::support::{Lab, Ran, forms};

const CLUSTER: Rotated = Rotated::Ca(CaRole::Cluster);
const TOKENS: [&str; 2] = ["--role", "service-account"];

/// A directory in which the rotation of a role is in this phase.
fn in_phase(rotated: Rotated, wanted: &str) -> Lab {
    let mut lab = Lab::issued();
    lab.now = OffsetDateTime::now_utc();
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    lab.good(&["apply"]);
    lab.good(&rotated.args("start", &[]));
    lab.now = OffsetDateTime::now_utc();
    lab.good(&["backup", "1.age", "--passphrase-file", "passphrase"]);
    while rotated.phase(&lab) != Some(wanted) {
        go_on(&mut lab, rotated);
    }
    lab
}

/// Waits: phases begin at whole seconds, and the one that began last is looked for.
fn until_the_next_second(lab: &mut Lab) {
    while OffsetDateTime::now_utc().unix_timestamp() <= lab.now.unix_timestamp() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    lab.now = OffsetDateTime::now_utc();
}

/// Begins the next phase by a written proof, and packs its bundles.
fn go_on(lab: &mut Lab, rotated: Rotated) {
    until_the_next_second(lab);
    lab.write("proof.json", &rotated.proof(lab));
    lab.good(&rotated.next());
    lab.good(&["apply"]);
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).expect("JSON")
}

/// Returns true if a command warned of what it would break.
fn has_warned(ran: &Ran) -> bool {
    ran.err.lines().any(|line| line.starts_with("warning"))
}

/// Begins an emergency of the cluster's CA in a directory in which another role is in `phase`, and ends both rotations.
fn an_emergency_beside(rotated: Rotated, phase: &'static str) {
    let mut lab = in_phase(rotated, phase);
    // An ordinary rotation waits for the other one, and an emergency of the same role continues it.
    lab.now = OffsetDateTime::now_utc();
    assert_eq!((lab.run(&["rotate-ca", "start"]).status, CLUSTER.phase(&lab)), (3, None));
    let started = lab.good(&["rotate-ca", "start", "--emergency", "--yes", "--output", "json"]);
    assert!(has_warned(&started), "{started}");
    forms::conforms("rotation", &started.out);
    assert_eq!((CLUSTER.phase(&lab), rotated.phase(&lab)), (Some("drop-old"), Some(phase)));
    let shown = json(&lab.run(&["rotate-ca", "status", "--output", "json"]));
    assert_eq!(shown["rotations"].as_array().map(Vec::len), Some(2), "{shown:#}");
    lab.good(&["apply"]);
    assert_eq!(phase_of(&lab, "master-1")["phase"], "drop-old", "the phase that began last");
    // Each goes on by proofs of its own, in any order.
    lab.write("proof.json", &rotated.proof(&lab));
    assert_eq!(lab.run(&CLUSTER.next()).status, 2, "a proof of the other rotation");
    go_on(&mut lab, rotated);
    assert_eq!(phase_of(&lab, "master-1")["role"], rotated.name());
    go_on(&mut lab, CLUSTER);
    assert_eq!(CLUSTER.phase(&lab), None);
    while rotated.phase(&lab).is_some() {
        go_on(&mut lab, rotated);
    }
    lab.good(&["ledger", "check"]);
    lab.good(&["verify", "--offline"]);
    assert_eq!(lab.run(&["plan", "--exit-code"]).status, 0);
}

#[test]
fn an_emergency_begins_while_tokens_of_the_old_key_are_waited_for() {
    an_emergency_beside(Rotated::TokenKey, "sign");
}

#[test]
fn an_emergency_begins_while_etcd_cannot_go_back() {
    an_emergency_beside(Rotated::Ca(CaRole::Etcd), "clients");
}

#[test]
fn an_emergency_begins_while_the_front_proxy_cannot_go_back() {
    an_emergency_beside(Rotated::Ca(CaRole::FrontProxy), "clients");
}

/// `abort` puts back folders of hosts as a whole, with certificates of the root whose key was stolen meanwhile.
#[test]
fn an_abort_after_an_emergency_leaves_nothing_of_the_stolen_root() {
    for (role, phase) in [(CaRole::Etcd, "servers"), (CaRole::FrontProxy, "trust-both")] {
        let rotated = Rotated::Ca(role);
        let mut lab = in_phase(rotated, phase);
        lab.good(&["rotate-ca", "start", "--emergency", "--yes"]);
        lab.good(&["apply"]);
        lab.good(&rotated.args("abort", &[]));
        if rotated.phase(&lab).is_some() {
            until_the_next_second(&mut lab);
            lab.write("proof.json", &rotated.proof(&lab));
            lab.good(&rotated.args("abort", &["--report", "proof.json"]));
        }
        assert_eq!((rotated.phase(&lab), CLUSTER.phase(&lab)), (None, Some("drop-old")), "{phase}");
        lab.good(&["apply"]);
        lab.good(&["verify", "--offline"]);
        go_on(&mut lab, CLUSTER);
        assert_eq!(CLUSTER.phase(&lab), None);
        lab.good(&["ledger", "check"]);
        lab.good(&["verify", "--offline"]);
        assert_eq!(lab.run(&["plan", "--exit-code"]).status, 0, "{phase}");
    }
}

#[test]
fn several_stolen_keys_are_replaced_at_once() {
    let mut lab = Lab::issued();
    lab.now = OffsetDateTime::now_utc();
    for role in [CaRole::Etcd, CaRole::Cluster] {
        lab.good(&Rotated::Ca(role).args("start", &["--emergency", "--yes"]));
    }
    lab.good(&Rotated::TokenKey.args("start", &[]));
    let phases = [CaRole::Cluster, CaRole::Etcd].map(|role| Rotated::Ca(role).phase(&lab));
    assert_eq!((phases, Rotated::TokenKey.phase(&lab)), ([Some("drop-old"); 2], Some("prepare")));
    lab.good(&["apply"]);
    lab.good(&["verify", "--offline"]);
    // A rotation that can be aborted is in the way of the key of service accounts.
    let mut lab = Lab::issued();
    lab.now = OffsetDateTime::now_utc();
    lab.good(&["rotate-ca", "start"]);
    assert_eq!(lab.run(&Rotated::TokenKey.args("start", &[])).status, 3);
}

#[test]
fn an_emergency_that_is_refused_warns_of_nothing() {
    let lab = Lab::issued();
    let none = ["missing.crt", "missing.key"];
    let imported = ["rotate-ca", "start", "--emergency", "--yes", "--cert", none[0], "--key", none[1]];
    for args in [&imported[..], &["rotate-ca", "next", "--emergency", "--yes"]] {
        let ran = lab.run(args);
        assert!(ran.status != 0 && !has_warned(&ran), "{args:?}: {ran}");
    }
    assert_eq!(CLUSTER.phase(&lab), None);
}

#[test]
fn each_rotation_is_proven_by_its_own_checks() {
    let mut fleet = Fleet::start(1, 1);
    let mut started = Started::new();
    restart(&fleet, &mut started, |_| true);
    let next = |fleet: &mut Fleet, more: &[&str]| fleet.run(&[&["rotate-ca", "next"], &TOKENS[..], more].concat());
    fleet.good(&[&["rotate-ca", "start"], &TOKENS[..]].concat());
    fleet.backup();
    for more in [&[][..], &["--no-wait"]] {
        assert_eq!(next(&mut fleet, more).status, 0);
        fleet.good(&["apply"]);
        restart(&fleet, &mut started, |_| true);
    }
    fleet.install(|_| true);
    fleet.good(&["rotate-ca", "start", "--emergency", "--yes"]);
    fleet.good(&["apply"]);
    // Before the emergency's bundles are installed, its phase is not proven, and that of the key is.
    let verify = |role: &'static str| ["verify", "--phase", "--role", role, "--masters-only", "--output", "json"];
    let of_cluster = fleet.run(&verify("cluster"));
    assert_eq!((of_cluster.status, &json(&of_cluster)["rotation"]["role"]), (1, &json!("cluster")), "{of_cluster}");
    fleet.install(|_| true);
    for role in ["cluster", "service-account"] {
        let ran = fleet.good(&verify(role));
        forms::conforms("verify-report", &ran.out);
        assert_eq!(json(&ran)["rotation"]["role"], role);
    }
    for (args, is_known) in [(&["verify", "--phase"][..], true), (&["verify", "--phase", "--role", "etcd"], false)] {
        let ran = fleet.run(args);
        assert_eq!(ran.status, 2, "{ran}");
        assert_eq!(ran.err.contains("--role service-account"), is_known, "{ran}");
    }
    let ran = fleet.next();
    assert_eq!((ran.status, fleet.phase(), phase(&fleet)), (0, None, Some(TokenPhase::Sign)), "{ran}");
    assert_eq!(next(&mut fleet, &["--tokens-replaced"]).status, 0);
    assert_eq!((fleet.phase(), phase(&fleet)), (None::<Phase>, Some(TokenPhase::Drop)));
}
