//! Pipes, sockets and devices in a directory that is backed up: they are named and never opened.

use std::fs;
use std::os::unix::net::UnixListener;

use super::{back_up, small};
use crate::support::ends;
use crate::support::good_tool;
use crate::support::outside::needs;

/// What mknod makes: a pipe, `/dev/zero`, which never ends, and a loop device.
const NODES: [&[&str]; 3] = [&["p"], &["c", "1", "5"], &["b", "7", "0"]];

#[test]
fn a_device_or_a_pipe_in_the_directory_is_refused() {
    needs!("age-keygen", "mknod", "root");
    ends(|| {
        let (lab, recipient) = small();
        lab.good(&["policy"]);
        let own = lab.path("own");
        fs::create_dir(&own).expect("a folder");
        lab.write("cluster.yaml", &format!("{}templates: own\n", lab.read("cluster.yaml")));
        let to = ["--encrypt-to", recipient.as_str()];
        for place in
            ["pki/nodes/on", "pki/extra", "pki/etcd/extra.crt", "pki/sa.key", "policy/extra", "own/extra", "bundles"]
        {
            let (path, kept) = (lab.path(place), lab.path("kept"));
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            let is_replaced = path.exists();
            if is_replaced {
                fs::rename(&path, &kept).expect("moved");
            }
            for node in NODES {
                let shown = path.display().to_string();
                good_tool("mknod", &[&[shown.as_str()], node].concat());
                let ran = lab.run(&[&["backup", "special.age"], &to[..]].concat());
                assert_eq!(ran.status, 3, "{place} {node:?}: {ran}");
                assert!(ran.err.contains(&format!("DIR/{place} ")), "{place} {node:?}: {ran}");
                assert!(!lab.path("special.age").exists(), "{place} {node:?}");
                fs::remove_file(&path).expect("removed");
            }
            if is_replaced {
                fs::rename(&kept, &path).expect("moved back");
            }
        }
        let socket = UnixListener::bind(lab.path("pki/socket")).expect("a socket");
        assert_eq!(lab.run(&[&["backup", "special.age"], &to[..]].concat()).status, 3);
        drop(socket);
        fs::remove_file(lab.path("pki/socket")).expect("removed");
        // What clusterctl neither writes nor reads is left out.
        good_tool("mknod", &[&lab.path("zero").display().to_string(), "c", "1", "5"]);
        back_up(&lab, "special.age", &to);
        lab.good(&["--dir", "again", "restore", "special.age", "--identity", "admin.key"]);
        assert!(!lab.path("again/zero").exists());
    });
}

/// The ledger and the cluster file are read before anything is listed.
#[test]
fn a_device_in_the_place_of_the_ledger_or_the_cluster_file_is_refused() {
    needs!("age-keygen", "mknod", "root");
    ends(|| {
        let (lab, recipient) = small();
        for place in ["pki/ledger.sqlite3", "cluster.yaml", "pki/ca.crt"] {
            let (path, kept) = (lab.path(place), lab.path("kept"));
            fs::rename(&path, &kept).expect("moved");
            for node in NODES {
                good_tool("mknod", &[&[path.display().to_string().as_str()], node].concat());
                let ran = lab.run(&["backup", "special.age", "--encrypt-to", &recipient]);
                assert!(ran.status >= 2 && ran.err.contains(&format!("DIR/{place} ")), "{place} {node:?}: {ran}");
                assert!(!lab.path("special.age").exists(), "{place} {node:?}");
                fs::remove_file(&path).expect("removed");
            }
            fs::rename(&kept, &path).expect("moved back");
        }
        back_up(&lab, "special.age", &["--encrypt-to", &recipient]);
    });
}
