//! `init-ca --intermediate`: roots whose keys are elsewhere, and intermediates that sign.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clusterctl::app;
use clusterctl::app::ca::{CreateCaError, check_root_out, renewable};
use clusterctl::app::rotate::RotateError;
use clusterctl::cluster::profile::CaRole;
use clusterctl::pki::ca_certificate::Origin;
use clusterctl::pki::key::PrivateKey;
use clusterctl::pki::rotation::Phase;
use clusterctl::store::ca;
use clusterctl::store::error::StoreError;
use clusterctl::store::layout::Layout;

use crate::support::live::Live;
use crate::support::outside::{needs, tree};
use crate::support::packages::env;
use crate::support::{CLUSTER, Lab, good_tool, tool};

fn init(lab: &Lab, out: &Path, more: &[&str]) -> u8 {
    let out = out.display().to_string();
    lab.run(&[&["init-ca", "--intermediate", "--root-out", &out], more].concat()).status
}

fn openssl_accepts(lab: &Lab, certificate: &str) -> bool {
    let path = |name: &str| lab.path(name).display().to_string();
    let (root, file) = (path("pki/ca.crt"), path(certificate));
    let at = lab.now.unix_timestamp().to_string();
    tool("openssl", &["verify", "-attime", &at, "-CAfile", &root, "-untrusted", &file, &file]).status.success()
}

#[test]
fn intermediates_sign_and_the_root_alone_is_trusted() {
    needs!("openssl");
    let safe = tempfile::tempdir().expect("a folder");
    let out = safe.path().join("roots");
    let live = Live::with_cas(1, 2, |lab| {
        std::fs::remove_dir_all(lab.path("pki")).expect("removed");
        assert_eq!(init(lab, &out, &["--plaintext-ca-key"]), 0);
    });
    let lab = &live.lab;
    let count = |path: &str| lab.read(path).matches("BEGIN CERTIFICATE").count();
    for (role, folder) in [("cluster", "pki"), ("etcd", "pki/etcd"), ("front-proxy", "pki/front-proxy")] {
        let root = std::fs::read_to_string(out.join(role).join("root.crt")).expect("a root");
        assert_eq!(lab.read(&format!("{folder}/ca.crt")), root, "the trust file has the root alone");
        let key = |text: &str| PrivateKey::from_pem(text.as_bytes()).expect("a key").spki();
        let root_key = std::fs::read_to_string(out.join(role).join("root.key")).expect("a key");
        assert_ne!(key(&root_key), key(&lab.read(&format!("{folder}/ca.key"))), "the root's key is not here");
    }
    let layout = Layout::new(lab.dir().to_owned());
    for role in CaRole::ALL {
        let trust = ca::trust(&layout, role).expect("CAs");
        let active = trust.active();
        let length = |certificate: &clusterctl::pki::certificate::Certificate| {
            certificate.basic_constraints.and_then(|constraints| constraints.path_len)
        };
        assert_eq!((length(active.root()), length(active.certificate())), (Some(1), Some(0)));
        assert_eq!((active.chain().len(), active.origin()), (1, Origin::Generated));
    }
    let node = |name: &str| format!("pki/nodes/{name}/kubelet-server.crt");
    assert_eq!(count(&node("node-1")), 2, "the intermediate follows the certificate");
    assert!(openssl_accepts(lab, &node("node-1")));
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
    lab.good(&["verify"]);
    lab.good(&["issue-admin", "alice"]);
    lab.good(&["revoke", "node-2", "--yes"]);
    lab.good(&["crl", "show"]);
    let before = lab.read(&node("node-1"));
    lab.good(&["renew", "--all", "--within", "400d"]);
    assert_ne!(lab.read(&node("node-1")), before);
    lab.good(&["issue-node", "node-2"]);
    assert!(openssl_accepts(lab, &node("node-1")) && openssl_accepts(lab, &node("node-2")));
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
    lab.good(&["ledger", "check"]);
    std::fs::remove_file(lab.path("pki/ledger.sqlite3")).expect("removed");
    lab.good(&["ledger", "rebuild"]);
    lab.good(&["ledger", "check"]);
    let linted = lab.run(&["lint", "pki", "--output", "json"]).out;
    assert!(linted.contains("\"findings\"") && !linted.contains("trust.json"), "{linted}");
    lab.good(&["issue-node", "node-1", "--reissue"]);
    assert!(openssl_accepts(lab, &node("node-1")));
}

#[test]
fn the_roots_keys_are_encrypted_and_their_owners_alone() {
    needs!("openssl");
    let (lab, safe) = (Lab::with(CLUSTER), tempfile::tempdir().expect("a folder"));
    let out = safe.path().join("roots");
    lab.write("passphrase", "three in the morning\n");
    assert_eq!(init(&lab, &out, &["--ca-passphrase-file", "passphrase"]), 0);
    let key = out.join("etcd/root.key").display().to_string();
    good_tool("openssl", &["pkey", "-in", &key, "-passin", "pass:three in the morning", "-noout"]);
    let mode = std::fs::metadata(&out).expect("facts").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    for (path, (mode, _)) in tree(&out) {
        assert!(!path.ends_with(".key") || mode == 0o600, "{path} {mode:o}");
    }
    assert_eq!(tree(&out).keys().filter(|path| path.ends_with("root.key")).count(), 3);
}

#[test]
fn the_roots_keys_are_not_written_into_the_cluster_directory_or_over_a_folder() {
    let (lab, safe) = (Lab::with(CLUSTER), tempfile::tempdir().expect("a folder"));
    let layout = Layout::new(lab.dir().to_owned());
    std::os::unix::fs::symlink(lab.dir(), safe.path().join("link")).expect("a link");
    for inside in [lab.path("roots"), lab.path("a/b"), lab.dir().to_owned(), safe.path().join("link/roots")] {
        assert_eq!(init(&lab, &inside, &["--plaintext-ca-key"]), 2, "{}", inside.display());
        let refused = check_root_out(&layout, &inside);
        assert!(matches!(refused, Err(app::Error::CreateCa(CreateCaError::RootsInside(_)))), "{refused:?}");
    }
    let refused = check_root_out(&layout, safe.path());
    assert!(matches!(refused, Err(app::Error::Store(StoreError::Exists(_)))), "{refused:?}");
    assert_eq!(init(&lab, safe.path(), &["--plaintext-ca-key"]), 3);
    assert_eq!(init(&lab, &safe.path().join("no/such/folder"), &["--plaintext-ca-key"]), 4);
    assert!(!lab.path("pki").exists());
    assert_eq!(lab.run(&["init-ca", "--intermediate", "--plaintext-ca-key"]).status, 2);
    lab.good(&["init-ca", "--plaintext-ca-key"]);
    let before = lab.snapshot();
    assert_eq!(init(&lab, &safe.path().join("roots"), &["--plaintext-ca-key"]), 3, "there are CAs already");
    assert!(!safe.path().join("roots").exists() && lab.snapshot() == before);
}

/// Returns the certificate of the CA that signs for a role, from `trust.json`.
fn active(lab: &Lab, role: CaRole) -> clusterctl::pki::certificate::Certificate {
    let trust = ca::trust(&Layout::new(lab.dir().to_owned()), role).expect("CAs");
    trust.active().certificate().clone()
}

#[test]
fn an_intermediate_is_replaced_below_its_offline_root() {
    needs!("openssl");
    let (mut lab, safe) = (Lab::with(CLUSTER), tempfile::tempdir().expect("a folder"));
    let out = safe.path().join("roots");
    lab.write("passphrase", "three in the morning\n");
    lab.write("new", "four in the afternoon\n");
    let with = ["--ca-passphrase-file", "passphrase"];
    assert_eq!(init(&lab, &out, &with), 0);
    lab.good(&[&["issue-master", "--all"], &with[..]].concat());
    lab.good(&[&["issue-node", "--all"], &with[..]].concat());
    lab.good(&["bundle", "--all"]);
    let old_leaf = lab.read("pki/nodes/on/kubelet-server.crt");
    let (roots, before) = (["pki/ca.crt", "pki/etcd/ca.crt"].map(|path| lab.read(path)), active(&lab, CaRole::Cluster));
    let etcd = active(&lab, CaRole::Etcd);
    lab.now += time::Duration::days(100);
    // The cluster's root alone is brought.
    let brought = safe.path().join("brought");
    std::fs::create_dir(&brought).expect("made");
    std::fs::rename(out.join("cluster"), brought.join("cluster")).expect("moved");
    let folder = brought.display().to_string();
    let renew = ["init-ca", "--intermediate", "--renew", "--root-in", &folder];
    assert_eq!(
        lab.run(&[&renew[..], &["--ca-passphrase-file", "new"]].concat()).status,
        3,
        "all keys have one passphrase"
    );
    assert_eq!(active(&lab, CaRole::Cluster), before);
    lab.good(&[&renew[..], &with[..]].concat());
    let after = active(&lab, CaRole::Cluster);
    assert_eq!(after.subject, before.subject);
    assert_ne!(after.spki, before.spki, "a new key");
    assert_eq!(after.not_after, before.not_after, "both are valid as long as the root");
    assert_eq!(active(&lab, CaRole::Etcd), etcd);
    assert_eq!(["pki/ca.crt", "pki/etcd/ca.crt"].map(|path| lab.read(path)), roots, "trust files stay as they are");
    // What the former one signed is accepted, here and by openssl, and stays until it is replaced on purpose.
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
    lab.good(&["ledger", "check"]);
    assert!(lab.good(&["issue-node", "--all", "--dry-run"]).out.is_empty());
    assert!(openssl_accepts(&lab, "pki/nodes/on/kubelet-server.crt"));
    lab.good(&[&["issue-node", "on", "--reissue"], &with[..]].concat());
    let new_leaf = lab.read("pki/nodes/on/kubelet-server.crt");
    assert_ne!(new_leaf, old_leaf);
    assert!(new_leaf.contains(after.to_pem().trim()), "the new intermediate follows it");
    assert!(openssl_accepts(&lab, "pki/nodes/on/kubelet-server.crt"));
    assert!(openssl_accepts(&lab, "pki/nodes/worker-b1/kubelet-server.crt"));
    lab.good(&[&["issue-master", "--all", "--reissue"], &with[..]].concat());
    lab.good(&[&["issue-node", "--all", "--reissue"], &with[..]].concat());
    lab.good(&[&["revoke", "worker-b1", "--yes"], &with[..]].concat());
    lab.good(&[&["issue-node", "worker-b1"], &with[..]].concat());
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
    lab.good(&["crl", "show"]);
    // And once more. A program that checks CRLs rejects what the new one signs until there is one of it.
    assert_eq!(lab.run(&["status"]).status, 0);
    lab.good(&[&renew[..], &with[..]].concat());
    assert_eq!(lab.run(&["status"]).status, 1, "the CRL of the new one is missing");
    lab.good(&[&["renew", "--all"], &with[..]].concat());
    assert_eq!(lab.run(&["status"]).status, 0);
    assert_eq!(lab.read("pki/crl.pem").matches("BEGIN X509 CRL").count(), 2, "the former one's is kept");
    assert_ne!(active(&lab, CaRole::Cluster).spki, after.spki);
    lab.good(&["verify", "--offline"]);
}

#[test]
fn an_intermediate_is_not_replaced_while_its_role_is_rotated() {
    let (lab, safe) = (Lab::with(CLUSTER), tempfile::tempdir().expect("a folder"));
    let out = safe.path().join("roots");
    assert_eq!(init(&lab, &out, &["--plaintext-ca-key"]), 0);
    lab.good(&["rotate-ca", "start"]);
    let env = env(&lab);
    let under_way = |error: &app::Error| {
        matches!(error, app::Error::Rotate(RotateError::UnderWay { role: CaRole::Cluster, phase: Phase::Prepare }))
    };
    // That is found before a key of the folder is read, or a passphrase is asked for.
    let refused = renewable(&out, &env).expect_err("a rotation is under way");
    assert!(under_way(&refused), "{refused:?}");
    std::fs::write(out.join("cluster/ca.key"), "not a key").expect("written");
    let folder = out.display().to_string();
    let args = ["init-ca", "--intermediate", "--renew", "--root-in", &folder, "--plaintext-ca-key"];
    assert_eq!(lab.run(&args).status, 3);
}

#[test]
fn only_the_root_above_an_intermediate_replaces_it() {
    let (lab, safe) = (Lab::with(CLUSTER), tempfile::tempdir().expect("a folder"));
    let out = safe.path().join("roots");
    assert_eq!(init(&lab, &out, &["--plaintext-ca-key"]), 0);
    let before = lab.snapshot();
    let renew = |lab: &Lab, folder: &Path| {
        let folder = folder.display().to_string();
        lab.run(&["init-ca", "--intermediate", "--renew", "--root-in", &folder, "--plaintext-ca-key"]).status
    };
    assert_eq!(renew(&lab, safe.path()), 2, "there are no roots");
    // Another cluster's roots, another role's, another key, and a damaged certificate.
    let (other, others) = (Lab::with(CLUSTER), safe.path().join("others"));
    assert_eq!(init(&other, &others, &["--plaintext-ca-key"]), 0);
    assert_eq!(renew(&lab, &others), 3);
    let swapped = safe.path().join("swapped");
    std::fs::create_dir(&swapped).expect("made");
    let copy = |from: &Path, to: &Path| {
        std::fs::create_dir_all(to).expect("made");
        for name in ["root.crt", "root.key"] {
            std::fs::copy(from.join(name), to.join(name)).expect("a copy");
        }
    };
    copy(&out.join("etcd"), &swapped.join("cluster"));
    assert_eq!(renew(&lab, &swapped), 3);
    copy(&out.join("cluster"), &swapped.join("cluster"));
    std::fs::copy(others.join("cluster/root.key"), swapped.join("cluster/root.key")).expect("a copy");
    assert_eq!(renew(&lab, &swapped), 3);
    std::fs::write(swapped.join("cluster/root.crt"), "nothing").expect("written");
    assert_eq!(renew(&lab, &swapped), 2);
    assert_eq!(lab.snapshot(), before);
    // A root that signs itself has none above it.
    let plain = Lab::with_roots();
    assert_eq!(renew(&plain, &out), 3);
    for args in [
        &["init-ca", "--intermediate"][..],
        &["init-ca", "--renew", "--root-in", "x"],
        &["init-ca", "--intermediate", "--root-in", "x"],
        &["init-ca", "--intermediate", "--renew", "--root-out", "x"],
    ] {
        assert_eq!(lab.run(args).status, 2, "{args:?}");
    }
}

#[test]
fn a_replacement_that_is_killed_is_completed_by_the_same_command() {
    needs!("openssl", "strace");
    let (mut lab, safe) = (Lab::with(CLUSTER), tempfile::tempdir().expect("a folder"));
    // The program runs by the clock.
    lab.now = time::OffsetDateTime::now_utc();
    let out = safe.path().join("roots");
    assert_eq!(init(&lab, &out, &["--plaintext-ca-key"]), 0);
    lab.good(&["issue-node", "on"]);
    for other in ["etcd", "front-proxy"] {
        std::fs::remove_dir_all(out.join(other)).expect("removed");
    }
    let (dir, folder) = (lab.dir().display().to_string(), out.display().to_string());
    let args = ["init-ca", "--intermediate", "--renew", "--root-in", &folder, "--plaintext-ca-key"];
    for call in ["rename,renameat,renameat2", "fsync,fdatasync,syncfs", "pwrite64"] {
        let mut nth = 1;
        loop {
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
            let strace =
                ["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject, env!("CARGO_BIN_EXE_clusterctl"), "--dir", &dir];
            let ran = std::process::Command::new("strace").args(strace).args(args).output().expect("strace runs");
            if ran.status.success() {
                break;
            }
            lab.good(&args);
            lab.good(&["issue-node", "on", "--reissue"]);
            assert!(openssl_accepts(&lab, "pki/nodes/on/kubelet-server.crt"), "{call} {nth}");
            lab.good(&["ledger", "check"]);
            nth = if call == "pwrite64" { nth * 3 } else { nth + 1 };
        }
        assert!(nth > 1, "{call}: else this proves nothing");
    }
}
