//! Rotations between CAs of different kinds: RSA, imported, intermediate; and with bundles that are encrypted.

use clusterctl::cluster::profile::CaRole;
use clusterctl::fake_cluster::cluster::{Reserved, reserve};
use clusterctl::pki::rotation::Phase;
use time::OffsetDateTime;

use crate::import_directories::kubeadm;
use crate::rotating::Fleet;
use crate::support::encryption::{age_key, ssh_key};
use crate::support::openssl::{GOOD, P256, P384, RSA, certificate, key, root};
use crate::support::outside::needs;
use crate::support::phases::Rotated;
use crate::support::rotation::IDENTITY;
use crate::support::{CLUSTER, Lab, good_tool, tool};

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

#[test]
fn bundles_that_are_encrypted_to_each_hosts_key_go_through_all_phases() {
    needs!("age", "ssh-keygen");
    let mut fleet = Fleet::with(hosts(), |lab| {
        let recipient = ssh_key(lab, IDENTITY, "ed25519", "");
        let mut text = String::new();
        for line in lab.read("cluster.yaml").lines() {
            text.extend([line, "\n"]);
            if let Some(lead) = line.find("- name: ").filter(|at| line[..*at].trim().is_empty()) {
                text.push_str(&format!("{}sealTo: {recipient}\n", " ".repeat(lead + 2)));
            }
        }
        assert_eq!(text.matches("sealTo: ssh-ed25519").count(), 5, "{text}");
        lab.write("cluster.yaml", &text);
        lab.good(&["init-ca", "--plaintext-ca-key"]);
        lab.good(&["apply"]);
    });
    rotate(&mut fleet, &[], &[]);
    let bundles = ["master-1", "node-3"].map(|host| format!("bundles/{host}.tar.gz"));
    for bundle in bundles {
        assert!(fleet.lab.path(&format!("{bundle}.age")).exists() && !fleet.lab.path(&bundle).exists(), "{bundle}");
    }
}

#[test]
fn a_cluster_that_was_imported_from_kubeadm_is_rotated() {
    needs!("openssl");
    let mut fleet = Fleet::with(hosts(), |lab| {
        kubeadm(lab);
        lab.good(&["import-ca", "--from-kubeadm", "kubernetes", "--plaintext-ca-key"]);
        lab.good(&["apply"]);
    });
    rotate(&mut fleet, &[], &[]);
    let node = fleet.lab.path("pki/nodes/node-1/kubelet-server.crt").display().to_string();
    let root = |path: &str| fleet.lab.path(path).display().to_string();
    good_tool("openssl", &["verify", "-CAfile", &root("pki/ca.crt"), &node]);
    assert!(!tool("openssl", &["verify", "-CAfile", &root("kubernetes/pki/ca.crt"), &node]).status.success());
}

/// Goes through all phases of a role by written proofs.
fn rotate_by_proofs(lab: &mut Lab, rotated: Rotated, start: &[&'static str], backup: &str) {
    lab.now = OffsetDateTime::now_utc();
    lab.good(&rotated.args("start", start));
    lab.good(&["backup", backup, "--passphrase-file", "passphrase"]);
    while rotated.phase(lab).is_some() {
        lab.now = OffsetDateTime::now_utc();
        lab.write("proof.json", &rotated.proof(lab));
        lab.good(&rotated.next());
        lab.good(&["apply"]);
    }
    lab.good(&["verify", "--offline"]);
}

/// Asserts that openssl accepts a certificate under a root, and not under the one of before.
fn assert_moved(lab: &Lab, leaf: &str, root: &str, before: &str) {
    let verifies = |ca: &str| {
        let [ca, leaf] = [ca, leaf].map(|path| lab.path(path).display().to_string());
        tool("openssl", &["verify", "-CAfile", &ca, &leaf]).status.success()
    };
    assert!(verifies(root) && !verifies(before), "{leaf}");
}

#[test]
fn every_role_of_a_cluster_that_was_imported_from_kubeadm_is_rotated() {
    needs!("openssl");
    let mut lab = Lab::with(CLUSTER);
    lab.now = OffsetDateTime::now_utc();
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    kubeadm(&lab);
    lab.good(&["import-ca", "--from-kubeadm", "kubernetes", "--plaintext-ca-key"]);
    lab.good(&["apply"]);
    let tokens = lab.read("pki/sa.pub");
    for (number, rotated) in Rotated::ALL.into_iter().enumerate() {
        rotate_by_proofs(&mut lab, rotated, &[], &format!("{number}.age"));
    }
    for (leaf, root) in [
        ("nodes/on/kubelet-server", "ca"),
        ("masters/master-1/etcd-server", "etcd/ca"),
        ("masters/master-1/front-proxy-client", "front-proxy/ca"),
    ] {
        let before = format!("kubernetes/pki/{}.crt", root.replace("proxy/", "proxy-"));
        assert_moved(&lab, &format!("pki/{leaf}.crt"), &format!("pki/{root}.crt"), &before);
    }
    assert_ne!(lab.read("pki/sa.pub"), tokens);
}

#[test]
fn the_root_of_etcd_is_replaced_by_an_imported_one() {
    needs!("openssl");
    let mut lab = Lab::issued();
    lab.now = OffsetDateTime::now_utc();
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    lab.good(&["apply"]);
    lab.write("before.crt", &lab.read("pki/etcd/ca.crt"));
    root(&lab, "new", "/O=Example/CN=Example etcd root", GOOD, P384);
    let etcd = Rotated::Ca(CaRole::Etcd);
    // A CA of another role is refused, by its key.
    let shared = ["--cert", "pki/ca.crt", "--key", "pki/ca.key"];
    assert_eq!(lab.run(&etcd.args("start", &shared)).status, 3);
    rotate_by_proofs(&mut lab, etcd, &["--cert", "new.crt", "--key", "new.key"], "1.age");
    assert_eq!(lab.read("pki/etcd/ca.crt").trim(), lab.read("new.crt").trim());
    for leaf in ["etcd-server", "etcd-peer", "apiserver-etcd-client"] {
        let leaf = format!("pki/masters/master-2/{leaf}.crt");
        assert_moved(&lab, &leaf, "pki/etcd/ca.crt", "before.crt");
    }
}
