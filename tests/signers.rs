//! Keys of CAs that a program holds: programs that sign by openssl, and programs that fail.

mod failures;

use std::path::Path;

use crate::support::encryption::age_key;
use crate::support::live::Live;
use crate::support::openssl::{GOOD, certificate};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, forms, good_tool, tool};

/// A program whose first argument names the file of its key; it only needs openssl.
const PROGRAM: &str = r#"#!/bin/sh
set -eu
IFS= read -r header
printf '%s\n' "$header" >>asked
case $header in
*'"version":1,"operation":"public-key"'*) exec openssl pkey -in "$1" -pubout ;;
*'"version":1,"operation":"sign"'*'"algorithm":"ed25519"'*)
  cat >tbs
  exec openssl pkeyutl -sign -rawin -in tbs -inkey "$1"
  ;;
*'"version":1,"operation":"sign"'*'"algorithm":"ecdsa-p384-sha384"'*) exec openssl dgst -sha384 -sign "$1" ;;
*'"version":1,"operation":"sign"'*) exec openssl dgst -sha256 -sign "$1" ;;
*) exit 9 ;;
esac
"#;
const RSA: &[&str] = &["genrsa", "2048"];
const P256: &[&str] = &["ecparam", "-name", "prime256v1", "-genkey", "-noout"];
const P384: &[&str] = &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
const ED25519: &[&str] = &["genpkey", "-algorithm", "ed25519"];

/// Names the program as the holder of the cluster's, etcd's and the front proxy's key, made by openssl.
fn with_program(lab: &Lab, keys: [&[&str]; 3]) {
    lab.write("signer.sh", PROGRAM);
    let mut entries = String::new();
    for (role, how) in ["cluster", "etcd", "front-proxy"].into_iter().zip(keys) {
        lab.write(&format!("{role}.key"), &good_tool("openssl", how));
        entries.push_str(&format!("  {role}: {{exec: [sh, ./signer.sh, {role}.key]}}\n"));
    }
    lab.write("cluster.yaml", &format!("{}\nsigners:\n{entries}", lab.read("cluster.yaml")));
}

/// Returns true if openssl accepts a certificate, with the CRL where there is one.
fn openssl_accepts(lab: &Lab, certificate: &str) -> bool {
    let path = |name: &str| lab.path(name).display().to_string();
    let (root, crl, chain) = (path("pki/ca.crt"), path("pki/crl.pem"), path(certificate));
    let at = lab.now.unix_timestamp().to_string();
    let mut args = vec!["verify", "-attime", &at, "-CAfile", &root, "-untrusted", &chain];
    if Path::new(&crl).exists() {
        args.extend(["-crl_check", "-CRLfile", &crl]);
    }
    args.push(&chain);
    tool("openssl", &args).status.success()
}

/// Issues, packs, verifies, revokes and renews with keys that are not in the directory, without a passphrase.
fn full_lifecycle(prepare: impl FnOnce(&Lab)) {
    let live = Live::with_cas(1, 2, |lab| {
        std::fs::remove_dir_all(lab.path("pki")).expect("removed");
        prepare(lab);
    });
    let lab = &live.lab;
    for role in ["", "etcd/", "front-proxy/"] {
        assert!(!lab.path(&format!("pki/{role}ca.key")).exists(), "{role}");
    }
    let node = |name: &str| format!("pki/nodes/{name}/kubelet-server.crt");
    assert!(openssl_accepts(lab, &node("node-1")) && openssl_accepts(lab, &node("node-2")));
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
    lab.good(&["verify"]);
    lab.good(&["issue-admin", "alice"]);
    lab.good(&["revoke", "node-2", "--yes"]);
    assert!(openssl_accepts(lab, &node("node-1")) && !openssl_accepts(lab, &node("node-2")));
    let before = lab.read(&node("node-1"));
    lab.good(&["renew", "--all", "--within", "400d"]);
    assert_ne!(lab.read(&node("node-1")), before);
    lab.good(&["crl", "renew"]);
    lab.good(&["issue-node", "node-2"]);
    assert!(openssl_accepts(lab, &node("node-1")) && openssl_accepts(lab, &node("node-2")));
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
    lab.good(&["ledger", "check"]);
}

#[test]
fn programs_hold_the_keys_of_new_cas() {
    needs!("openssl");
    full_lifecycle(|lab| {
        with_program(lab, [P256, P384, ED25519]);
        lab.good(&["init-ca"]);
        let asked = lab.read("asked");
        let operations: Vec<&str> =
            asked.lines().map(|line| if line.contains("public-key") { "key" } else { "sign" }).collect();
        assert_eq!(operations, ["key", "key", "key", "sign", "sign", "sign"]);
    });
}

#[test]
fn a_program_holds_an_rsa_key_of_a_new_ca() {
    needs!("openssl");
    full_lifecycle(|lab| {
        with_program(lab, [RSA, P256, P256]);
        lab.good(&["init-ca"]);
    });
}

/// Makes `NAME.crt` of `NAME.key`, a root.
fn root(lab: &Lab, name: &str) {
    certificate(lab, name, &format!("/CN={name} CA"), GOOD, None, 3650);
}

#[test]
fn a_ca_is_imported_without_its_key() {
    needs!("openssl");
    full_lifecycle(|lab| {
        with_program(lab, [RSA, P256, P384]);
        for role in ["cluster", "etcd", "front-proxy"] {
            root(lab, role);
            let certificate = format!("{role}.crt");
            let report = lab.good(&["import-ca", "--as", role, "--cert", &certificate, "-o", "json"]).out;
            forms::conforms("import-ca", &report);
            let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
            assert_eq!((&report["signer"], &report["encrypted"]), (&"exec".into(), &false.into()));
        }
        assert!(lab.read("asked").lines().all(|line| line.contains("public-key") && !line.contains("keyKind")));
    });
}

/// ring signs with RSA keys of up to 4096 bits, and verifies signatures of up to 8192.
#[test]
fn a_program_holds_a_longer_rsa_key_than_a_file_may_have() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    with_program(&lab, [&["genrsa", "4104"], P256, P256]);
    root(&lab, "cluster");
    lab.good(&["import-ca", "--as", "cluster", "--cert", "cluster.crt"]);
    lab.good(&["init-ca"]);
    lab.good(&["issue-node", "on"]);
    assert!(openssl_accepts(&lab, "pki/nodes/on/kubelet-server.crt"));
}

#[test]
fn a_request_is_signed_by_a_program() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    with_program(&lab, [P256, P256, P256]);
    lab.good(&["init-ca"]);
    std::fs::create_dir(lab.path("host")).expect("a folder");
    lab.good(&["request", "on", "--root", "host", "--out", "on.request"]);
    lab.good(&["sign", "on.request"]);
    assert!(openssl_accepts(&lab, "pki/nodes/on/kubelet-server.crt"));
}

#[test]
fn keys_in_files_and_keys_elsewhere_are_used_side_by_side() {
    needs!("openssl");
    let lab = Lab::with(CLUSTER);
    lab.write("signer.sh", PROGRAM);
    lab.write("etcd.key", &good_tool("openssl", P256));
    lab.write("cluster.yaml", &format!("{CLUSTER}signers: {{etcd: {{exec: [sh, signer.sh, etcd.key]}}}}\n"));
    lab.write("passphrase", "three in the morning\n");
    assert_eq!(lab.run(&["init-ca"]).status, 2, "two keys are files, and need a passphrase");
    assert!(!lab.path("pki").exists() && !lab.path("asked").exists());
    lab.good(&["init-ca", "--ca-passphrase-file", "passphrase"]);
    assert!(lab.path("pki/ca.key").exists() && !lab.path("pki/etcd/ca.key").exists());
    lab.good(&["issue-master", "--all", "--ca-passphrase-file", "passphrase"]);
    lab.good(&["issue-node", "--all", "--ca-passphrase-file", "passphrase"]);
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
}

#[test]
fn a_backup_says_which_keys_are_not_in_it_and_who_has_them() {
    needs!("openssl", "age-keygen");
    let lab = Lab::with(CLUSTER);
    with_program(&lab, [P256, P384, P256]);
    lab.good(&["init-ca"]);
    let recipient = age_key(&lab, "admin.key");
    let ran = lab.good(&["backup", "b.age", "--encrypt-to", &recipient, "-o", "json"]);
    forms::conforms("backup", &ran.out);
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let left_out = report["leftOut"].as_array().expect("a list");
    let text = |one: &serde_json::Value, key: &str| one[key].as_str().expect(key).to_owned();
    let keys: Vec<[String; 2]> = left_out.iter().map(|one| [text(one, "kind"), text(one, "path")]).collect();
    let wanted = ["pki/ca.key", "pki/etcd/ca.key", "pki/front-proxy/ca.key"];
    assert_eq!(keys, wanted.map(|path| ["held-key".to_owned(), format!("DIR/{path}")]));
    assert!(left_out.iter().all(|one| text(one, "holder").contains("sh")), "{report:#}");
    assert_eq!(ran.err.matches("warning: ").count(), 3, "{ran}");
}
