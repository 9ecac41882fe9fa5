//! Administrators' kubeconfigs, CRLs and bundles through the phases of a rotation.

use clusterctl::app::admin::kubeconfig;
use clusterctl::app::rotate::{self, RetiredRoot, RotateError};
use clusterctl::app::{Error, Silent};
use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::rotation::Phase;
use clusterctl::pki::trust_bundle::TrustBundle;
use clusterctl::store::ca;
use clusterctl::store::layout::Layout;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::support::outside::needs;
use crate::support::packages::{cluster, env};
use crate::support::phases::Rotated;
use crate::support::{Lab, Ran, forms, good_tool};

const CLUSTER: Rotated = Rotated::Ca(CaRole::Cluster);

fn trust(lab: &Lab) -> TrustBundle {
    ca::trust(&Layout::new(lab.dir().to_owned()), CaRole::Cluster).expect("the CAs")
}

fn answer(lab: &Lab, args: &[&str]) -> Value {
    let ran = lab.run(&[args, &["--output", "json"]].concat());
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran}"))
}

/// A directory with a rotation under way, and a backup.
fn in_rotation() -> Lab {
    let mut lab = Lab::issued();
    lab.now = OffsetDateTime::now_utc();
    lab.good(&["apply"]);
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    lab
}

fn start(lab: &mut Lab) {
    lab.now = OffsetDateTime::now_utc();
    lab.good(&["rotate-ca", "start"]);
    lab.good(&["backup", "1.age", "--passphrase-file", "passphrase"]);
}

fn next(lab: &mut Lab) -> Ran {
    lab.now = OffsetDateTime::now_utc();
    lab.write("proof.json", &CLUSTER.proof(lab));
    lab.run(&["rotate-ca", "next", "--no-wait", "--yes", "--report", "proof.json"])
}

/// Goes on to a phase, and applies each.
fn go_to(lab: &mut Lab, phase: Phase) {
    while trust(lab).rotation().map(|rotation| rotation.phase) != Some(phase) {
        let ran = next(lab);
        assert_eq!(ran.status, 0, "{ran}");
        lab.good(&["apply"]);
    }
}

/// Returns the names of the accounts in a list of `apply`, each with the reason.
fn named(changes: &Value, list: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    changes[list].as_array().expect("a list").iter().map(|one| (text(&one["name"]), text(&one["reason"]))).collect()
}

fn pair(name: &str, reason: &str) -> (String, String) {
    (name.to_owned(), reason.to_owned())
}

#[test]
fn kubeconfigs_get_both_roots_first_and_new_certificates_later() {
    let mut lab = in_rotation();
    lab.good(&["issue-admin", "alice"]);
    lab.good(&["issue-admin", "approver-1", "--approver"]);
    lab.good(&["issue-admin", "bob"]);
    std::fs::rename(lab.path("pki/admins/bob.conf"), lab.path("bob.conf")).expect("given away");
    lab.good(&["issue-admin", "eve", "--break-glass", "--yes"]);
    start(&mut lab);
    assert!(named(&answer(&lab, &["plan"]), "kubeconfigs").is_empty());
    let ran = next(&mut lab);
    assert_eq!(ran.status, 0, "{ran}");
    let status = answer(&lab, &["status"]);
    let due: Vec<&str> = status["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["state"] == "due")
        .filter_map(|row| row["person"].as_str())
        .collect();
    assert_eq!(due, ["alice", "approver-1", "bob", "eve"], "{status:#}");
    let plan = answer(&lab, &["plan"]);
    forms::conforms("apply", &plan.to_string());
    assert_eq!(named(&plan, "kubeconfigs"), [pair("alice", "root"), pair("approver-1", "root")]);
    assert_eq!(named(&plan, "accountsToReissue"), [pair("bob", "root"), pair("eve", "root")]);
    let applied = answer(&lab, &["apply"]);
    forms::conforms("apply", &applied.to_string());
    assert_eq!(named(&applied, "kubeconfigs"), named(&plan, "kubeconfigs"));
    let (of_alice, roots) = kubeconfig::read(&lab.path("pki/admins/alice.conf")).expect("a kubeconfig");
    assert_eq!(roots.len(), 2);
    assert!(of_alice.is_signed_by(trust(&lab).active().certificate()), "the old root still signs");
    // A second run has nothing to do, and bob is named until he has a new one.
    let again = answer(&lab, &["apply"]);
    assert_eq!((named(&again, "kubeconfigs"), named(&again, "accountsToReissue").len()), (Vec::new(), 2));
    lab.good(&["issue-admin", "bob"]);
    std::fs::remove_file(lab.path("pki/admins/bob.conf")).expect("given away");
    assert_eq!(named(&answer(&lab, &["plan"]), "accountsToReissue"), [pair("eve", "root")]);

    go_to(&mut lab, Phase::Clients);
    let (of_alice, _) = kubeconfig::read(&lab.path("pki/admins/alice.conf")).expect("a kubeconfig");
    let present = trust(&lab);
    let new = present.rotation().expect("a rotation").new;
    assert_eq!(present.signer_of(&of_alice).map(|ca| ca.certificate().fingerprint()), Some(new));
    assert_eq!(
        named(&answer(&lab, &["plan"]), "accountsToReissue"),
        [pair("bob", "certificate"), pair("eve", "certificate")]
    );
    // No administrator is locked out unnoticed.
    let ran = next(&mut lab);
    assert_eq!(ran.status, 3, "{ran}");
    assert!(ran.err.contains("bob (admin)") && ran.err.contains("eve (break-glass)"), "{ran}");
    lab.good(&["issue-admin", "bob"]);
    lab.good(&["revoke", "eve", "--yes"]);
    let ran = next(&mut lab);
    assert_eq!(ran.status, 0, "{ran}");
}

#[test]
fn both_cas_sign_their_crls_from_phase_2_on() {
    needs!("openssl");
    let mut lab = in_rotation();
    lab.good(&["revoke", "on", "--yes"]);
    lab.good(&["apply"]);
    start(&mut lab);
    go_to(&mut lab, Phase::TrustBoth);
    let old = trust(&lab).active().certificate().clone();
    let of_cluster = |lab: &Lab| -> Vec<Value> {
        let shown = answer(lab, &["crl", "show"]);
        assert_eq!(shown["good"], json!(true), "{shown:#}");
        let crls = shown["crls"].as_array().expect("CRLs").iter().filter(|crl| crl["ca"] == "cluster");
        crls.map(|crl| crl["crl"].clone()).collect()
    };
    assert_eq!(of_cluster(&lab).len(), 1);
    go_to(&mut lab, Phase::Canary);
    let both = of_cluster(&lab);
    let issuers: Vec<&str> = both.iter().filter_map(|crl| crl["issuer"].as_str()).collect();
    assert_eq!(issuers, [trust(&lab).active().certificate().subject.text.as_str(), old.subject.text.as_str()]);
    // What the old CA signed is revoked in its own list.
    lab.good(&["revoke", "worker-b1", "--yes"]);
    let counts = |crls: &[Value]| -> Vec<usize> {
        crls.iter().map(|crl| crl["revoked"].as_array().map_or(0, Vec::len)).collect()
    };
    assert_eq!(counts(&of_cluster(&lab)), [0, 4]);
    for phase in [Phase::Servers, Phase::Clients, Phase::DropOld] {
        go_to(&mut lab, phase);
        lab.good(&["crl", "renew"]);
        assert_eq!(counts(&of_cluster(&lab)), [0, 4], "{phase:?}");
    }
    let ran = next(&mut lab);
    assert_eq!((ran.status, trust(&lab).rotation().is_none()), (0, true), "{ran}");
    let last = of_cluster(&lab).pop().expect("a CRL");
    assert_eq!(last["issuer"], json!(old.subject.text));
    let left = (old.not_after - lab.now).whole_days();
    assert!(last["daysLeft"].as_i64().is_some_and(|days| days > 3000 && (days - left).abs() < 31), "{last:#}");
    lab.good(&["crl", "renew"]);
    assert_eq!(counts(&of_cluster(&lab)), [0, 4], "it is kept");
    // openssl believes each list with its own root.
    lab.write("old.pem", &old.to_pem());
    let lists = lab.read("pki/crl.pem");
    let second = lists.match_indices("-----BEGIN").nth(1).expect("two lists").0;
    lab.write("crl.pem", &lists[second..]);
    let files = ["crl.pem", "old.pem"].map(|name| lab.path(name).display().to_string());
    good_tool("openssl", &["crl", "-in", &files[0], "-CAfile", &files[1], "-noout"]);
}

/// Returns the phase in the manifest of a host's bundle.
pub(crate) fn phase_of(lab: &Lab, host: &str) -> Value {
    let bytes = std::fs::read(lab.path(&format!("bundles/{host}.tar.gz"))).expect("a bundle");
    let bundle = clusterctl::bundle::archive::read(&bytes).expect("a bundle");
    let text = bundle.file("manifest.json").expect("a manifest");
    serde_json::from_slice::<Value>(&text.bytes).expect("JSON")["rotation"].clone()
}

#[test]
fn bundles_carry_the_phase_for_which_they_were_packed() {
    let mut lab = in_rotation();
    assert_eq!(phase_of(&lab, "on"), Value::Null);
    start(&mut lab);
    assert_eq!(lab.run(&["plan", "--exit-code"]).status, 0, "nothing is shipped yet");
    for phase in [Phase::TrustBoth, Phase::Canary, Phase::Servers, Phase::Clients, Phase::DropOld] {
        go_to(&mut lab, phase);
        let expected = json!({"role": "cluster", "phase": phase.as_str(), "number": phase.number()});
        assert_eq!(phase_of(&lab, "on"), expected);
        assert_eq!(lab.run(&["plan", "--exit-code"]).status, 0);
    }
    let ran = next(&mut lab);
    assert_eq!(ran.status, 0, "{ran}");
    // Nothing is delivered for the last phase, and a bundle with other contents has none.
    assert_eq!(lab.run(&["plan", "--exit-code"]).status, 0);
    lab.good(&["issue-node", "on", "--reissue"]);
    lab.good(&["apply"]);
    assert_eq!(phase_of(&lab, "on"), Value::Null);
    assert_eq!(phase_of(&lab, "worker-b1")["phase"], "drop-old");
}

#[test]
fn kubeconfigs_of_an_aborted_rotation_are_issued_by_the_old_root() {
    let mut lab = in_rotation();
    lab.good(&["issue-admin", "alice"]);
    start(&mut lab);
    go_to(&mut lab, Phase::Canary);
    lab.good(&["issue-admin", "alice", "--reissue"]);
    lab.good(&["rotate-ca", "abort"]);
    lab.now = OffsetDateTime::now_utc();
    lab.write("proof.json", &CLUSTER.proof(&lab));
    let abort = ["rotate-ca", "abort", "--report", "proof.json"];
    let ran = lab.run(&abort);
    assert!(ran.status == 3 && ran.err.contains("alice"), "{ran}");
    let report = (lab.path("proof.json"), lab.read("proof.json").into_bytes());
    let refused = rotate::abort(CaRole::Cluster, Some(&report), &cluster(&lab), &env(&lab), &mut Silent);
    let root = match refused {
        Err(Error::Rotate(RotateError::Left { root, .. })) => root,
        other => panic!("{other:?}"),
    };
    assert_eq!(root, RetiredRoot::New);
    let applied = answer(&lab, &["apply"]);
    assert_eq!(named(&applied, "kubeconfigs"), [pair("alice", "certificate")]);
    lab.good(&abort);
    let (of_alice, _) = kubeconfig::read(&lab.path("pki/admins/alice.conf")).expect("a kubeconfig");
    assert!(of_alice.is_signed_by(trust(&lab).active().certificate()));
}

#[test]
fn a_host_that_left_the_file_and_was_not_removed_keeps_its_root() {
    let mut lab = in_rotation();
    // After an abort, the host has its earlier certificates again, and not the last ones of the ledger.
    start(&mut lab);
    go_to(&mut lab, Phase::Servers);
    lab.good(&["rotate-ca", "abort"]);
    lab.now = OffsetDateTime::now_utc();
    lab.good(&["apply"]);
    lab.write("proof.json", &CLUSTER.proof(&lab));
    lab.good(&["rotate-ca", "abort", "--report", "proof.json"]);
    lab.now = OffsetDateTime::now_utc();
    lab.good(&["apply"]);
    std::fs::remove_file(lab.path("1.age")).expect("a backup");
    start(&mut lab);
    go_to(&mut lab, Phase::Canary);
    let without: String = lab
        .read("cluster.yaml")
        .lines()
        .filter(|line| !line.contains("worker-b1"))
        .map(|line| format!("{line}\n"))
        .collect();
    lab.write("cluster.yaml", &without);
    go_to(&mut lab, Phase::Clients);
    let ran = next(&mut lab);
    let phase = trust(&lab).rotation().map(|rotation| rotation.phase);
    assert_eq!((ran.status, phase), (3, Some(Phase::Clients)), "{ran}");
    for named in ["worker-b1 (kubelet-client)", "worker-b1 (kubelet-server)", "clusterctl remove worker-b1"] {
        assert!(ran.err.contains(named), "{named}: {ran}");
    }
    lab.good(&["remove", "worker-b1", "--yes"]);
    go_to(&mut lab, Phase::DropOld);
    let ran = next(&mut lab);
    assert_eq!((ran.status, trust(&lab).rotation().is_none()), (0, true), "{ran}");
}

/// Returns the roots that a kubeconfig of the directory trusts.
fn roots_of(lab: &Lab, name: &str) -> Vec<Certificate> {
    kubeconfig::read(&lab.path(&format!("pki/admins/{name}.conf"))).expect("a kubeconfig").1
}

#[test]
fn no_kubeconfig_trusts_the_old_root_after_a_rotation() {
    let mut lab = in_rotation();
    for name in ["alice", "bob", "carol"] {
        lab.good(&["issue-admin", name]);
    }
    start(&mut lab);
    go_to(&mut lab, Phase::Canary);
    // The new root signs these, and both are trusted.
    for name in ["bob", "carol"] {
        lab.good(&["issue-admin", name, "--reissue"]);
        assert_eq!(roots_of(&lab, name).len(), 2);
    }
    std::fs::rename(lab.path("pki/admins/carol.conf"), lab.path("carol.conf")).expect("given away");
    while trust(&lab).rotation().map(|rotation| rotation.phase) != Some(Phase::Clients) {
        // An event and a certificate of the same second cannot be put in order.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let ran = next(&mut lab);
        assert_eq!(ran.status, 0, "{ran}");
    }
    let plan = answer(&lab, &["plan"]);
    forms::conforms("apply", &plan.to_string());
    assert_eq!(named(&plan, "kubeconfigs"), [pair("alice", "certificate"), pair("bob", "retired-root")]);
    assert_eq!(named(&plan, "accountsToReissue"), [pair("carol", "retired-root")]);
    lab.good(&["apply"]);
    lab.good(&["issue-admin", "carol"]);
    let new = trust(&lab).active().root().clone();
    for name in ["alice", "bob", "carol"] {
        assert_eq!(roots_of(&lab, name), std::slice::from_ref(&new), "{name}");
    }
    for _ in [Phase::DropOld, Phase::Prepare] {
        let plan = answer(&lab, &["plan"]);
        assert_eq!((named(&plan, "kubeconfigs"), named(&plan, "accountsToReissue")), (Vec::new(), Vec::new()));
        assert_eq!(next(&mut lab).status, 0);
        lab.good(&["apply"]);
    }
    assert!(trust(&lab).rotation().is_none());
}

#[test]
fn no_kubeconfig_trusts_the_root_of_a_thief_after_an_emergency() {
    let mut lab = in_rotation();
    start(&mut lab);
    go_to(&mut lab, Phase::Servers);
    lab.good(&["issue-admin", "alice"]);
    assert_eq!(roots_of(&lab, "alice").len(), 2);
    let begun = answer(&lab, &["rotate-ca", "next", "--emergency", "--yes"]);
    assert_eq!(begun["accounts"], json!(["alice"]));
    let applied = answer(&lab, &["apply"]);
    assert_eq!(named(&applied, "kubeconfigs"), [pair("alice", "retired-root")]);
    assert_eq!(roots_of(&lab, "alice"), [trust(&lab).active().root().clone()]);
}

#[test]
fn no_kubeconfig_trusts_the_new_root_after_an_abort() {
    let mut lab = in_rotation();
    lab.good(&["issue-admin", "alice"]);
    lab.good(&["issue-admin", "bob"]);
    start(&mut lab);
    go_to(&mut lab, Phase::TrustBoth);
    std::fs::rename(lab.path("pki/admins/bob.conf"), lab.path("bob.conf")).expect("given away");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    lab.now = OffsetDateTime::now_utc();
    lab.good(&["rotate-ca", "abort"]);
    let status = answer(&lab, &["status"]);
    let is_due = |name: &str| {
        let rows = status["rows"].as_array().expect("rows");
        rows.iter().any(|row| row["person"] == name && row["state"] == "due")
    };
    assert!(is_due("alice") && is_due("bob"), "{status:#}");
    let applied = answer(&lab, &["apply"]);
    assert_eq!(named(&applied, "kubeconfigs"), [pair("alice", "retired-root")]);
    assert_eq!(named(&applied, "accountsToReissue"), [pair("bob", "retired-root")]);
    assert_eq!(roots_of(&lab, "alice"), [trust(&lab).active().root().clone()]);
    lab.good(&["issue-admin", "bob"]);
    let again = answer(&lab, &["plan"]);
    assert_eq!((named(&again, "kubeconfigs"), named(&again, "accountsToReissue")), (Vec::new(), Vec::new()));
}
