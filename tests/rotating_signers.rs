//! Rotations from and to CAs whose keys are with a program or in a token. openssl judges what was signed.

#[cfg(feature = "pkcs11")]
mod tokens;

use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::rotation::Phase;
use clusterctl::pki::trust_bundle::{CaState, TrustBundle};
use clusterctl::store::ca;
use clusterctl::store::layout::Layout;
use serde_json::Value;
use time::OffsetDateTime;

use crate::support::openssl::P256;
use crate::support::outside::{needs, stdout};
use crate::support::phases::Rotated;
use crate::support::{CLUSTER, Lab, good_tool, tool};

/// A program that has the key in the file of its first argument, by openssl alone.
const PROGRAM: &str = r#"#!/bin/sh
set -eu
IFS= read -r header
case $header in
*'"version":1,"operation":"public-key"'*) exec openssl pkey -in "$1" -pubout ;;
*'"version":1,"operation":"sign"'*) echo "$1" >>asked; exec openssl dgst -sha256 -sign "$1" ;;
*) exit 9 ;;
esac
"#;

fn program(key: &str) -> String {
    format!("{{exec: [sh, ./signer.sh, {key}]}}")
}

/// A directory whose CAs and certificates were made with these entries of `signers`, which are lines.
fn lab(prepare: impl FnOnce(&mut Lab), entries: &str) -> Lab {
    let mut lab = Lab::empty();
    lab.now = OffsetDateTime::now_utc();
    lab.write("signer.sh", PROGRAM);
    for key in ["old.key", "new.key"] {
        lab.write(key, &good_tool("openssl", P256));
    }
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    prepare(&mut lab);
    signers(&lab, entries);
    let is_held = entries.contains("  cluster:");
    // The other roles have files.
    let new = if is_held { &["--ca-passphrase-file", "passphrase"][..] } else { &["--plaintext-ca-key"] };
    good(&lab, &[&["init-ca"], new].concat());
    apply(&lab);
    lab
}

fn signers(lab: &Lab, entries: &str) {
    let head = if entries.is_empty() { "" } else { "signers:\n" };
    lab.write("cluster.yaml", &format!("{CLUSTER}{head}{entries}"));
}

/// Runs the program as a process of its own, since a module of a token is loaded once by a process.
#[track_caller]
fn good(lab: &Lab, args: &[&str]) {
    stdout(&mut lab.process(args));
}

#[track_caller]
fn apply(lab: &Lab) {
    good(lab, &["apply", "--ca-passphrase-file", "passphrase"]);
}

/// Goes through all phases. `backup` is the name of a new file.
fn rotate(lab: &Lab, backup: &str) {
    good(lab, &["rotate-ca", "start", "--ca-passphrase-file", "passphrase"]);
    good(lab, &["backup", backup, "--passphrase-file", "passphrase"]);
    let phase = |lab: &Lab| {
        let trust = ca::trust(&Layout::new(lab.dir().to_owned()), CaRole::Cluster).expect("the CAs");
        trust.rotation().map(|rotation| rotation.phase)
    };
    let next = ["rotate-ca", "next", "--no-wait", "--yes", "--report", "proof.json"];
    for expected in [Phase::TrustBoth, Phase::Canary, Phase::Servers, Phase::Clients, Phase::DropOld] {
        lab.write("proof.json", &Rotated::Ca(CaRole::Cluster).proof(lab));
        good(lab, &next);
        assert_eq!(phase(lab), Some(expected));
        apply(lab);
    }
    lab.write("proof.json", &Rotated::Ca(CaRole::Cluster).proof(lab));
    good(lab, &next);
    assert_eq!(phase(lab), None);
    good(lab, &["verify", "--offline"]);
}

/// Returns true if openssl accepts a node's certificate under the present root.
fn openssl_accepts(lab: &Lab) -> bool {
    let path = |name: &str| lab.path(name).display().to_string();
    let (root, leaf) = (path("pki/ca.crt"), path("pki/nodes/on/kubelet-server.crt"));
    tool("openssl", &["verify", "-CAfile", &root, &leaf]).status.success()
}

/// Issues once more, and lets openssl judge.
#[track_caller]
fn signs(lab: &Lab) {
    good(lab, &["issue-node", "on", "--reissue", "--ca-passphrase-file", "passphrase"]);
    assert!(openssl_accepts(lab));
}

#[test]
fn a_key_of_a_program_is_replaced_by_another_ones() {
    needs!("openssl");
    let lab = lab(|_| (), &format!("  cluster: {}\n", program("old.key")));
    let old = lab.read("old.key");
    signers(&lab, &format!("  cluster: {}\n  next-cluster: {}\n", program("old.key"), program("new.key")));
    good(&lab, &["issue-node", "on", "--reissue"]);
    assert!(!lab.read("asked").contains("new.key"), "before the rotation the old key signs");
    rotate(&lab, "1.age");
    assert_eq!(lab.read("old.key"), old, "keys elsewhere are not ours to delete");
    assert!(!lab.path("pki/ca.key").exists() && !lab.path("pki/rotation").exists());
    signers(&lab, &format!("  cluster: {}\n", program("new.key")));
    signs(&lab);
}

#[test]
fn a_rotation_to_a_program_can_be_given_up() {
    needs!("openssl");
    let lab = lab(|_| (), "");
    signers(&lab, &format!("  next-cluster: {}\n", program("new.key")));
    good(&lab, &["rotate-ca", "start"]);
    assert!(lab.path("pki/rotation/key-elsewhere").exists());
    good(&lab, &["rotate-ca", "abort"]);
    assert!(lab.path("pki/ca.key").exists() && !lab.path("pki/rotation").exists());
    signs(&lab);
}

/// Returns the subjects of the issuers of the cluster's CRLs, which are good.
fn issuers_of_crls(lab: &Lab) -> Vec<String> {
    let shown = stdout(&mut lab.process(&["crl", "show", "--output", "json"]));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["good"], true, "{shown:#}");
    let crls = shown["crls"].as_array().expect("CRLs").iter().filter(|crl| crl["ca"] == "cluster");
    crls.map(|crl| crl["crl"]["issuer"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn the_holder_of_the_old_key_signs_the_old_crl() {
    needs!("openssl");
    let lab = lab(|_| (), &format!("  cluster: {}\n", program("old.key")));
    good(&lab, &["revoke", "on", "--yes", "--ca-passphrase-file", "passphrase"]);
    apply(&lab);
    signers(&lab, &format!("  cluster: {}\n  next-cluster: {}\n", program("old.key"), program("new.key")));
    good(&lab, &["rotate-ca", "start"]);
    good(&lab, &["backup", "1.age", "--passphrase-file", "passphrase"]);
    let old = trust(&lab).active().certificate().subject.text.clone();
    let renew = ["crl", "renew", "--ca-passphrase-file", "passphrase"];
    let next = ["rotate-ca", "next", "--no-wait", "--yes", "--report", "proof.json"];
    for phase in [Phase::TrustBoth, Phase::Canary, Phase::Servers, Phase::Clients, Phase::DropOld] {
        lab.write("proof.json", &Rotated::Ca(CaRole::Cluster).proof(&lab));
        good(&lab, &next);
        apply(&lab);
        lab.write("asked", "");
        good(&lab, &renew);
        let both = phase >= Phase::Canary;
        let new = trust(&lab).active().certificate().subject.text.clone();
        let expected = if both { vec![new, old.clone()] } else { vec![old.clone()] };
        assert_eq!(issuers_of_crls(&lab), expected, "{phase:?}");
        assert!(lab.read("asked").contains("old.key"), "{phase:?}");
        assert_eq!(lab.read("asked").contains("new.key"), both, "{phase:?}");
    }
    // The last CRL of the old CA, too.
    lab.write("proof.json", &Rotated::Ca(CaRole::Cluster).proof(&lab));
    lab.write("asked", "");
    good(&lab, &next);
    assert!(lab.read("asked").contains("old.key"));
    assert_eq!(issuers_of_crls(&lab).len(), 2);
    lab.write("last.pem", &lab.read("pki/crl.pem"));
    let text = lab.read("last.pem");
    let second = text.match_indices("-----BEGIN").nth(1).expect("two lists").0;
    lab.write("last.pem", &text[second..]);
    lab.write("old.pem", &old_root(&lab));
    let paths = ["last.pem", "old.pem"].map(|name| lab.path(name).display().to_string());
    good_tool("openssl", &["crl", "-in", &paths[0], "-CAfile", &paths[1], "-noout"]);
}

#[test]
fn an_entry_that_already_names_the_new_key_signs_no_old_crl() {
    needs!("openssl");
    let lab = lab(|_| (), &format!("  cluster: {}\n", program("old.key")));
    good(&lab, &["crl", "renew", "--ca-passphrase-file", "passphrase"]);
    signers(&lab, &format!("  cluster: {}\n  next-cluster: {}\n", program("old.key"), program("new.key")));
    good(&lab, &["rotate-ca", "start"]);
    good(&lab, &["backup", "1.age", "--passphrase-file", "passphrase"]);
    for _ in [Phase::TrustBoth, Phase::Canary] {
        lab.write("proof.json", &Rotated::Ca(CaRole::Cluster).proof(&lab));
        good(&lab, &["rotate-ca", "next", "--no-wait", "--yes", "--report", "proof.json"]);
        apply(&lab);
    }
    signers(&lab, &format!("  cluster: {}\n  next-cluster: {}\n", program("new.key"), program("new.key")));
    lab.write("asked", "");
    good(&lab, &["crl", "renew", "--ca-passphrase-file", "passphrase"]);
    assert!(!lab.read("asked").contains("old.key"));
    assert_eq!(issuers_of_crls(&lab).len(), 2, "the last one stays");
}

fn trust(lab: &Lab) -> TrustBundle {
    ca::trust(&Layout::new(lab.dir().to_owned()), CaRole::Cluster).expect("the CAs")
}

/// Returns the root that was replaced, as PEM.
fn old_root(lab: &Lab) -> String {
    let trust = trust(lab);
    let retired = trust.all().find(|(_, state)| *state == CaState::Retired).expect("the old CA").0.clone();
    retired.certificate().to_pem()
}
