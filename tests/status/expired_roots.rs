//! Roots that have expired: a rotation needs a root that can sign, so what the remedy says instead is done here, up to the
//! installation of the bundles.

use std::fs;
use std::process::{Command, Output};

use time::Duration;

use super::{due, rows};
use crate::support::offline::offline;
use crate::support::openssl::{GOOD, P256, certificate, key};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab};

/// The hosts of [`CLUSTER`].
const HOSTS: [&str; 5] = ["master-1", "master-2", "worker-a1.fra1.example.net", "on", "worker-b1"];

/// Runs the installer of a host's bundle in the root of its image.
fn install(lab: &Lab, host: &str, args: &[&str]) -> Output {
    let root = lab.path(&format!("hosts/{host}"));
    fs::create_dir_all(&root).expect("a root");
    let mut installer = Command::new("dash");
    installer.arg(lab.path(&format!("bundles/{host}/install.sh"))).args(args).env("DESTDIR", root);
    installer.current_dir("/").output().expect("dash")
}

/// Installs the bundles of all hosts.
fn install_all(lab: &Lab, args: &[&str]) {
    for host in HOSTS {
        let ran = install(lab, host, args);
        assert!(ran.status.success(), "{host}: {ran:?}");
    }
}

/// Asserts that each host has this file of the directory.
fn assert_installed(lab: &Lab, hosts: &[&str], stored: &str, installed: &str) {
    for host in hosts {
        assert_eq!(lab.read(&format!("hosts/{host}/{installed}")), lab.read(stored), "{host}");
    }
}

/// Packs and installs twice, so that what is installed is not of the first generation.
fn deliver_twice(lab: &mut Lab) {
    for _ in 0..2 {
        lab.now += Duration::hours(1);
        lab.good(&["issue-master", "--all", "--reissue"]);
        lab.good(&["issue-node", "--all", "--reissue"]);
        lab.good(&["bundle", "--all", "--format", "dir"]);
        install_all(lab, &[]);
    }
}

fn copy_token_key(lab: &Lab) {
    for name in ["sa.key", "sa.pub"] {
        fs::copy(lab.path(&format!("expired/{name}")), lab.path(&format!("pki/{name}"))).expect("copied");
    }
}

/// Issues and packs everything, as the remedy says.
fn issue_and_pack(lab: &Lab) {
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    lab.good(&["bundle", "--all", "--format", "dir"]);
}

#[test]
fn an_expired_root_is_replaced_in_a_new_directory() {
    needs!("dash");
    let mut lab = Lab::with_roots();
    deliver_twice(&mut lab);
    lab.good(&["issue-admin", "alice"]);
    lab.now += Duration::days(4000);
    assert!(due(&lab, &[]).iter().all(|row| row[2..] == ["expired", "replace-expired-root"].map(str::to_owned)));
    assert!(offline(&lab, &[]).has("fail store.credential root replace-expired-root"));
    for more in [&[][..], &["--emergency", "--yes"]] {
        assert_eq!(lab.run(&[&["rotate-ca", "start"], more].concat()).status, 3);
    }
    fs::rename(lab.path("pki"), lab.path("expired")).expect("moved");
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    copy_token_key(&lab);
    issue_and_pack(&lab);
    assert_eq!((due(&lab, &[]), lab.read("pki/sa.key")), (rows(&[]), lab.read("expired/sa.key")));
    for host in HOSTS {
        assert_eq!(install(&lab, host, &[]).status.code(), Some(1), "{host}: another root is installed");
    }
    install_all(&lab, &["--replace"]);
    assert_installed(&lab, &HOSTS, "pki/ca.crt", "etc/kubernetes/pki/ca.crt");
    assert_installed(&lab, &HOSTS[..2], "pki/sa.key", "etc/kubernetes/pki/sa.key");
    assert_eq!(offline(&lab, &["--fail-on", "warn"]).ids(), [""; 0]);
    // From now on, bundles are installed as usual.
    deliver_twice(&mut lab);
    assert_eq!(offline(&lab, &["--fail-on", "warn"]).ids(), [""; 0]);
}

/// The CAs of the other roles are kept, with what the old ledger knew of them.
#[test]
fn an_expired_root_of_etcd_is_replaced_alone() {
    needs!("dash", "openssl");
    let mut lab = Lab::with(CLUSTER);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    fs::remove_dir_all(lab.path("pki/etcd")).expect("removed");
    key(&lab, "etcd", P256);
    certificate(&lab, "etcd", "/CN=imported etcd", GOOD, None, 30);
    let import = |lab: &Lab, role: &str, certificate: &str, key: &str| {
        lab.good(&["import-ca", "--as", role, "--cert", certificate, "--key", key, "--plaintext-ca-key"]);
    };
    import(&lab, "etcd", "etcd.crt", "etcd.key");
    deliver_twice(&mut lab);
    lab.good(&["revoke", "on", "--yes"]);
    lab.good(&["issue-node", "on"]);
    lab.good(&["bundle", "--all", "--format", "dir"]);
    install_all(&lab, &[]);
    lab.now += Duration::days(21);
    assert!(due(&lab, &[]).contains(&["-", "etcd-ca", "expired", "replace-expired-root"].map(str::to_owned)));
    fs::rename(lab.path("pki"), lab.path("expired")).expect("moved");
    import(&lab, "cluster", "expired/ca.crt", "expired/ca.key");
    import(&lab, "front-proxy", "expired/front-proxy/ca.crt", "expired/front-proxy/ca.key");
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    copy_token_key(&lab);
    lab.good(&["ledger", "adopt", "expired"]);
    lab.good(&["revoke", "--from", "policy/masters/authorization.yaml"]);
    issue_and_pack(&lab);
    assert_eq!(due(&lab, &[]), rows(&[]));
    assert_eq!(lab.read("pki/ca.crt"), lab.read("expired/ca.crt"));
    install_all(&lab, &[]);
    assert_installed(&lab, &HOSTS, "pki/ca.crt", "etc/kubernetes/pki/ca.crt");
    assert_installed(&lab, &HOSTS[..2], "pki/etcd/ca.crt", "etc/kubernetes/pki/etcd/ca.crt");
    assert_installed(&lab, &HOSTS[..2], "pki/sa.key", "etc/kubernetes/pki/sa.key");
    assert_eq!(offline(&lab, &["--fail-on", "warn"]).ids(), [""; 0]);
}
