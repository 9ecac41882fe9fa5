//! Rotations between CAs of different kinds: RSA, imported, intermediate; and with bundles that are encrypted.

use clusterctl::fake_cluster::cluster::{Reserved, reserve};
use clusterctl::pki::rotation::Phase;

use crate::rotating::Fleet;
use crate::support::Lab;
use crate::support::encryption::age_key;
use crate::support::openssl::{GOOD, P256, P384, RSA, certificate, key, root};
use crate::support::outside::needs;
use crate::support::rotation::IDENTITY;

/// Returns the addresses of two masters and three nodes.
fn hosts() -> Reserved {
    reserve(2, 3).expect("loopback has addresses")
}

/// The extensions of an intermediate.
const INTERMEDIATE: &str =
    "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash";

/// Rotates through all phases while every pair of hosts connects: no right caller is refused, and no wrong one accepted.
fn rotate(fleet: &mut Fleet, start: &[&str], apply: &[&str]) {
    let old = fleet.trust().into_active();
    let prober = fleet.hosts.probe(old.root());
    fleet.good(&[&["rotate-ca", "start"], start].concat());
    let new = fleet.trust().rotation().map(|rotation| rotation.new).expect("a rotation");
    fleet.backup();
    let nothing: Vec<String> = Vec::new();
    for phase in [Phase::TrustBoth, Phase::Canary, Phase::Servers, Phase::Clients, Phase::DropOld] {
        let ran = fleet.next();
        assert_eq!((ran.status, fleet.phase()), (0, Some(phase)), "{ran}");
        fleet.good(&[&["apply"], apply].concat());
        fleet.install(|_| true);
        assert_eq!(prober.round(), nothing, "{phase:?}");
    }
    let ran = fleet.next();
    assert_eq!((ran.status, fleet.phase()), (0, None), "{ran}");
    let trust = fleet.trust();
    assert_eq!((trust.active().certificate().fingerprint(), trust.anchors().len()), (new, 1));
    let (connections, wrong) = prober.stop();
    assert!(wrong.is_empty() && connections > 100, "{connections}: {wrong:?}");
    fleet.good(&["verify"]);
    fleet.good(&["verify", "--offline"]);
}

/// Makes the cluster's CA with `prepare`, and all the rest.
fn fleet(prepare: impl FnOnce(&Lab)) -> Fleet {
    Fleet::with(hosts(), |lab| {
        prepare(lab);
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["apply"]);
    })
}

#[test]
fn an_imported_rsa_root_is_replaced_by_p256() {
    needs!("openssl");
    let mut fleet = fleet(|lab| {
        root(lab, "old", "/CN=kubernetes", GOOD, RSA);
        let import = ["import-ca", "--as", "cluster", "--cert", "old.crt", "--key", "old.key", "--plaintext-ca-key"];
        lab.good(&import);
    });
    rotate(&mut fleet, &["--key-kind", "ecdsa-p256"], &[]);
}

#[test]
fn a_root_is_replaced_by_an_imported_one_of_another_kind() {
    needs!("openssl");
    let mut fleet = fleet(|_| ());
    root(&fleet.lab, "new", "/O=Example/CN=Example root", GOOD, P384);
    rotate(&mut fleet, &["--cert", "new.crt", "--key", "new.key"], &[]);
}

#[test]
fn a_root_is_replaced_by_an_intermediate_and_that_by_a_root() {
    needs!("openssl");
    let mut fleet = fleet(|_| ());
    let lab = &fleet.lab;
    root(lab, "company", "/O=Example/CN=Example root", GOOD, RSA);
    key(lab, "issuing", P256);
    certificate(lab, "issuing", "/O=Example/CN=Example issuing", INTERMEDIATE, Some("company"), 3000);
    rotate(&mut fleet, &["--cert", "issuing.crt", "--key", "issuing.key", "--chain", "company.crt"], &[]);
    let node = fleet.lab.read("pki/nodes/node-1/kubelet-server.crt");
    assert_eq!(node.matches("BEGIN CERTIFICATE").count(), 2, "the intermediate follows the certificate");
    rotate(&mut fleet, &["--key-kind", "ecdsa-p384"], &[]);
    let node = fleet.lab.read("pki/nodes/node-1/kubelet-server.crt");
    assert_eq!(node.matches("BEGIN CERTIFICATE").count(), 1);
}

#[test]
fn an_intermediate_of_an_offline_root_is_replaced() {
    let safe = tempfile::tempdir().expect("a folder");
    let out = safe.path().join("roots").display().to_string();
    let mut fleet = Fleet::with(hosts(), |lab| {
        lab.good(&["init-ca", "--intermediate", "--root-out", &out, "--plaintext-ca-key"]);
        lab.good(&["apply"]);
    });
    rotate(&mut fleet, &[], &[]);
}

/// A cluster whose bundles are encrypted.
fn encrypted() -> (Fleet, String) {
    let mut recipient = String::new();
    let fleet = Fleet::with(hosts(), |lab| {
        recipient = age_key(lab, IDENTITY);
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["apply", "--encrypt-to", &recipient]);
    });
    (fleet, recipient)
}

#[test]
fn encrypted_bundles_go_through_all_phases() {
    needs!("age", "age-keygen");
    let (mut fleet, recipient) = encrypted();
    rotate(&mut fleet, &[], &["--encrypt-to", &recipient]);
    assert!(fleet.lab.path("bundles/node-1.tar.gz.age").exists());
}
