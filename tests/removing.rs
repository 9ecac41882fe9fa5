//! `remove`: revokes the certificates of hosts that are no longer in the cluster file, and deletes their files and
//! bundles. Nothing else changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use time::Duration;

use crate::support::fleets::{calls_of, fleet_of, kill_at, run};
use crate::support::offline::offline;
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, Ran, forms, good_tool, without_digests};

const RULES: &str = "policy/masters/authorization.yaml";
/// The text that openssl prints for the reason cessationOfOperation, in lower case.
const CESSATION: &str = "cessation of operation";

/// Removes the lines of these hosts from the cluster file.
fn remove_from_cluster_file(lab: &Lab, hosts: &[&str]) {
    let names = |line: &&str| !hosts.iter().any(|host| line.contains(&format!("{{name: {host},")));
    let left: Vec<String> = lab.read("cluster.yaml").lines().filter(names).map(|line| format!("{line}\n")).collect();
    lab.write("cluster.yaml", &left.concat());
}

/// Returns a directory with certificates and bundles of all hosts and a cluster file without these hosts.
fn left(hosts: &[&str]) -> Lab {
    let lab = Lab::issued();
    lab.good(&["bundle", "--all"]);
    remove_from_cluster_file(&lab, hosts);
    lab
}

fn remove(lab: &Lab, args: &[&str]) -> Ran {
    lab.run(&[&["remove"], args].concat())
}

/// Runs `remove` with `--yes`, and returns its JSON.
fn removed(lab: &Lab, args: &[&str]) -> Value {
    let ran = lab.good(&[&["remove", "--yes", "--output", "json"], args].concat());
    forms::conforms("remove", &ran.out);
    serde_json::from_str(&ran.out).expect("JSON")
}

fn texts(report: &Value, pointer: &str) -> Vec<String> {
    let list = report.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("{pointer}: {report:#}"));
    list.iter().map(|text| text.as_str().expect("text").to_owned()).collect()
}

/// Returns the values of a key in a list of objects.
fn each<'r>(report: &'r Value, pointer: &str, key: &str) -> Vec<&'r str> {
    let list = report.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("{pointer}: {report:#}"));
    list.iter().map(|one| one[key].as_str().expect("text")).collect()
}

/// Returns the files that were added, changed or deleted.
fn changed(lab: &Lab, before: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<String> {
    let after = lab.snapshot();
    let all: BTreeSet<&PathBuf> = before.keys().chain(after.keys()).collect();
    let differs = all.into_iter().filter(|path| before.get(*path) != after.get(*path));
    differs.map(|path| path.display().to_string()).collect()
}

fn crl(lab: &Lab, list: &str) -> String {
    good_tool("openssl", &["crl", "-in", &lab.path(list).display().to_string(), "-noout", "-text"]).to_lowercase()
}

#[test]
fn a_host_that_left_is_revoked_and_its_files_are_deleted() {
    needs!("openssl");
    let lab = left(&["worker-b1"]);
    lab.good(&["bundle", "--all", "--format", "ignition"]);
    // The bundle of a host that is no longer in the cluster file stays until `remove`.
    fs::copy(lab.path("bundles/on.ign"), lab.path("bundles/worker-b1.ign")).expect("copied");
    let others = |lab: &Lab| {
        let is_anothers = |path: &String| path.contains("/pki/nodes/on/") || path.contains("/bundles/on");
        lab.snapshot().into_iter().filter(|(path, _)| is_anothers(&path.display().to_string())).collect::<Vec<_>>()
    };
    let before = others(&lab);
    let report = removed(&lab, &["worker-b1"]);
    assert_eq!(texts(&report, "/hosts/0/roles"), ["node"]);
    assert_eq!(each(&report, "/hosts/0/revoked", "profile"), ["kubelet-client", "kubelet-server"]);
    let gone = ["pki/nodes/worker-b1", "bundles/worker-b1.tar.gz", "bundles/worker-b1.ign"];
    assert_eq!(texts(&report, "/hosts/0/deleted"), gone.map(|path| format!("DIR/{path}")));
    assert!(gone.iter().all(|path| !lab.path(path).exists()));
    assert_eq!(texts(&report, "/written"), ["pki/crl.pem", RULES].map(|path| format!("DIR/{path}")));
    assert_eq!(each(&report, "/next", "step"), ["delete-node", "apply-policy"]);
    let list = crl(&lab, "pki/crl.pem");
    assert!(list.contains(CESSATION), "{list}");
    for serial in each(&report, "/hosts/0/revoked", "serial") {
        assert!(list.contains(serial), "{list}");
    }
    let rules = lab.read(RULES);
    assert!(each(&report, "/hosts/0/revoked", "sha256").into_iter().all(|sha256| rules.contains(sha256)));
    assert!(others(&lab) == before, "other hosts' files");
    lab.good(&["bundle", "--all"]);
    lab.good(&["bundle", "--all", "--format", "ignition"]);
    assert_eq!(offline(&lab, &[]).ids(), [""; 0]);
    lab.good(&["status"]);
    let log: Value = serde_json::from_str(&lab.good(&["log", "worker-b1", "-o", "json"]).out).expect("JSON");
    assert_eq!(each(&log, "/entries", "kind"), ["issue", "issue", "bundle", "revoke", "revoke", "remove"]);
}

#[test]
fn removing_again_changes_nothing() {
    let lab = left(&["worker-b1"]);
    removed(&lab, &["worker-b1"]);
    let before = lab.snapshot();
    // It asks for nothing; there is no terminal.
    assert_eq!(remove(&lab, &["worker-b1"]).status, 0);
    let report = removed(&lab, &["worker-*"]);
    assert_eq!((texts(&report, "/written"), &report["nextUpdate"]), (Vec::new(), &Value::Null));
    assert_eq!(each(&report, "/next", "step"), ["delete-node", "apply-policy"], "they may not have been done");
    assert_eq!(changed(&lab, &before), [""; 0]);
}

#[test]
fn a_host_that_is_in_the_cluster_file_or_unknown_is_not_removed() {
    let lab = left(&["worker-b1"]);
    let before = lab.snapshot();
    for (hosts, status) in [
        ("on", 3),
        ("worker-b1,on", 3),
        ("master-1", 3),
        ("master-*", 3),
        ("worker-b2", 2),
        ("rack-*", 2),
        ("../nodes/worker-b1", 2),
        ("Worker-b1", 2),
        ("", 2),
        ("worker-b1,", 2),
        ("kubelet:worker-b1", 2),
    ] {
        let ran = remove(&lab, &[hosts, "--yes"]);
        assert_eq!((ran.status, ran.out.as_str()), (status, ""), "{hosts:?}: {ran}");
        assert_eq!(changed(&lab, &before), [""; 0], "{hosts:?}");
    }
    assert_eq!(remove(&lab, &["--yes"]).status, 2);
    insta::assert_snapshot!("a_host_in_the_cluster_file_is_not_removed", remove(&lab, &["worker-b1,on", "--yes"]).err);
    insta::assert_snapshot!("an_unknown_host_is_not_removed", remove(&lab, &["worker-b2", "--yes"]).err);
    assert_eq!(Lab::with(CLUSTER).run(&["remove", "worker-b1"]).status, 3, "there is no CA");
}

#[test]
fn a_host_that_lost_one_of_two_roles_is_not_removed() {
    let both = CLUSTER.replace("nodes:\n", "nodes:\n- {name: master-2, addresses: [10.20.0.12]}\n");
    let lab = Lab::with(&both);
    for args in [&["init-ca", "--plaintext-ca-key"][..], &["issue-master", "--all"], &["issue-node", "--all"]] {
        lab.good(args);
    }
    lab.write("cluster.yaml", CLUSTER);
    assert_eq!(remove(&lab, &["master-2", "--yes"]).status, 3);
    let found = offline(&lab, &[]);
    assert!(found.has("warn store.credential master-2 remove-role"), "{found:?}");
    remove_from_cluster_file(&lab, &["master-2"]);
    let report = removed(&lab, &["master-2"]);
    assert_eq!(texts(&report, "/hosts/0/roles"), ["master", "node"]);
    assert_eq!(texts(&report, "/hosts/0/deleted"), ["masters", "nodes"].map(|role| format!("DIR/pki/{role}/master-2")));
}

#[test]
fn a_dry_run_lists_the_same_and_changes_nothing() {
    let lab = left(&["worker-b1"]);
    let before = lab.snapshot();
    let plan: Value =
        serde_json::from_str(&lab.good(&["remove", "worker-b1", "--dry-run", "-o", "json"]).out).expect("JSON");
    forms::conforms("remove", &plan.to_string());
    insta::assert_snapshot!(
        "remove_dry_run",
        without_digests(&lab.good(&["remove", "worker-b1", "--dry-run"]).to_string())
    );
    assert_eq!(changed(&lab, &before), [""; 0]);
    let done = removed(&lab, &["worker-b1"]);
    for same in ["hosts", "crls", "next"] {
        assert_eq!(plan[same], done[same], "{same}");
    }
    assert_eq!((&plan["dryRun"], &done["dryRun"]), (&Value::Bool(true), &Value::Bool(false)));
}

#[test]
fn removing_is_confirmed() {
    let mut lab = left(&["worker-b1"]);
    let before = lab.snapshot();
    assert_eq!(remove(&lab, &["worker-b1"]).status, 2, "there is no terminal");
    lab.typed = Some(["n".to_owned()].into());
    assert_eq!(remove(&lab, &["worker-b1"]).status, 3);
    assert_eq!(changed(&lab, &before), [""; 0]);
    lab.typed = Some(["y".to_owned()].into());
    let ran = remove(&lab, &["worker-b1"]);
    assert_eq!(ran.status, 0, "{ran}");
    assert!(!lab.path("pki/nodes/worker-b1").exists());
    insta::assert_snapshot!("remove", without_digests(&ran.to_string()));
}

#[test]
fn patterns_and_lists_name_hosts_that_left() {
    let lab = left(&["worker-b1"]);
    let both = lab.read("cluster.yaml").replace("- name: worker-a1.fra1.example.net\n", "- name: new\n");
    lab.write("cluster.yaml", &both.replace("worker-a1.fra1.example.net]", "new.example.net]"));
    let hosts = ["worker-a1.fra1.example.net", "worker-b1"];
    let plan = |args: &[&str]| -> Value {
        let args = [&["remove", "--dry-run", "--output", "json"], args].concat();
        serde_json::from_str(&lab.good(&args).out).expect("JSON")
    };
    assert_eq!(each(&plan(&["worker-b1,worker-a1.fra1.example.net", "worker-b1"]), "/hosts", "host"), hosts);
    // The pattern matches `on`, too, but that host is still in the cluster file.
    assert_eq!(each(&plan(&["*"]), "/hosts", "host"), hosts);
    removed(&lab, &["worker-b1"]);
    assert_eq!(each(&plan(&["worker-*"]), "/hosts", "host"), hosts[..1], "of the other nothing is left");
    assert_eq!(each(&plan(&["worker-*", "worker-b1"]), "/hosts", "host"), hosts);
}

#[test]
fn a_master_that_left_is_in_every_crl_and_leaves_etcd() {
    needs!("openssl");
    let lab = left(&["master-2"]);
    let report = removed(&lab, &["master-2", "--reason", "keyCompromise"]);
    assert_eq!(each(&report, "/crls", "ca"), ["cluster", "etcd", "front-proxy"]);
    assert_eq!(each(&report, "/next", "step"), ["remove-etcd-member", "pack-masters"]);
    assert_eq!((&report["next"][0]["host"], &report["next"][0]["on"]), (&"master-2".into(), &"master-1".into()));
    let advice = texts(&report, "/advice");
    assert!(advice.contains(&"copy-authorization".to_owned()) && advice.contains(&"copy-etcd-crl".to_owned()));
    let lists = ["pki/crl.pem", "pki/etcd/crl.pem", "pki/front-proxy/crl.pem"].map(|list| crl(&lab, list));
    for serial in each(&report, "/hosts/0/revoked", "serial") {
        assert_eq!(lists.iter().filter(|list| list.contains(serial)).count(), 1, "{serial}");
    }
    lab.good(&["bundle", "--all"]);
    assert_eq!(offline(&lab, &[]).ids(), [""; 0]);
}

#[test]
fn an_administrator_with_the_name_of_a_host_keeps_the_certificate() {
    let lab = left(&["worker-b1"]);
    lab.good(&["issue-admin", "worker-b1"]);
    let report = removed(&lab, &["worker-b1"]);
    assert_eq!(each(&report, "/hosts/0/revoked", "profile"), ["kubelet-client", "kubelet-server"]);
    assert!(lab.path("pki/admins/worker-b1.conf").exists());
    lab.good(&["bundle", "--all"]);
    let status: Value = serde_json::from_str(&lab.good(&["status", "--all", "--output", "json"]).out).expect("JSON");
    let rows = status["rows"].as_array().expect("rows");
    assert!(rows.iter().any(|row| row["account"] == "worker-b1" && row["state"] == "valid"), "{status:#}");
}

#[test]
fn a_certificate_that_the_ledger_lacks_is_revoked_before_its_file_is_deleted() {
    needs!("openssl");
    let lab = Lab::issued();
    let ledger = lab.path("pki/ledger.sqlite3");
    let backup = fs::read(&ledger).expect("a ledger");
    lab.good(&["issue-node", "worker-b1", "--reissue"]);
    let path = lab.path("pki/nodes/worker-b1/kubelet-client.crt").display().to_string();
    let serial = good_tool("openssl", &["x509", "-in", &path, "-noout", "-serial"]).to_lowercase();
    fs::write(&ledger, backup).expect("put back");
    remove_from_cluster_file(&lab, &["worker-b1"]);
    let report = removed(&lab, &["worker-b1"]);
    assert_eq!(each(&report, "/hosts/0/revoked", "profile").len(), 4);
    assert!(crl(&lab, "pki/crl.pem").contains(serial.trim().trim_start_matches("serial=")));
}

#[test]
fn what_was_revoked_or_has_expired_is_deleted_without_a_passphrase() {
    for is_revoked in [true, false] {
        let mut lab = Lab::with(CLUSTER);
        lab.env.insert("CLUSTERCTL_CA_PASSPHRASE".into(), "correct horse battery".into());
        lab.good(&["init-ca"]);
        lab.good(&["issue-node", "--all"]);
        match is_revoked {
            true => drop(lab.good(&["revoke", "worker-b1", "--yes"])),
            false => lab.now += Duration::days(400),
        }
        lab.env.clear();
        remove_from_cluster_file(&lab, &["worker-b1"]);
        let report = removed(&lab, &["worker-b1"]);
        assert_eq!(
            (report["hosts"][0]["revoked"].as_array().map(Vec::len), &report["crls"]),
            (Some(0), &Value::Array(Vec::new()))
        );
        assert!(!lab.path("pki/nodes/worker-b1").exists(), "{is_revoked}");
    }
}

#[test]
fn a_link_in_place_of_a_folder_is_deleted_and_its_target_kept() {
    let lab = left(&["worker-b1"]);
    fs::create_dir(lab.path("elsewhere")).expect("made");
    lab.write("elsewhere/file", "text");
    fs::remove_dir_all(lab.path("pki/nodes/worker-b1")).expect("removed");
    std::os::unix::fs::symlink(lab.path("elsewhere"), lab.path("pki/nodes/worker-b1")).expect("linked");
    removed(&lab, &["worker-b1"]);
    assert!(fs::symlink_metadata(lab.path("pki/nodes/worker-b1")).is_err());
    assert_eq!(lab.read("elsewhere/file"), "text");
}

/// Copies a laboratory, with modes and times.
fn copy_of(lab: &Lab) -> Lab {
    let mut copy = Lab::empty();
    copy.now = lab.now;
    good_tool("cp", &["-a", &format!("{}/.", lab.dir().display()), &copy.dir().display().to_string()]);
    copy
}

/// The command is killed at each of its renames, deletions and syncs; running it again completes the removal.
#[test]
fn a_removal_killed_anywhere_is_completed_by_the_same_command() {
    needs!("strace");
    let before = fleet_of(3);
    for args in [&["issue-master", "--all"][..], &["issue-node", "--all"], &["bundle", "--all"]] {
        assert!(run(&before, args).status.success());
    }
    remove_from_cluster_file(&before, &["node-1"]);
    let serials: Vec<String> = ["client", "server"]
        .map(|usage| {
            let path = before.path(&format!("pki/nodes/node-1/kubelet-{usage}.crt")).display().to_string();
            let serial = good_tool("openssl", &["x509", "-in", &path, "-noout", "-serial"]).to_lowercase();
            serial.trim().trim_start_matches("serial=").to_owned()
        })
        .into();
    let command = ["remove", "node-1", "--yes"];
    let mut partial = 0;
    for call in ["rename", "renameat2", "unlink", "unlinkat", "rmdir", "fdatasync", "syncfs"] {
        let traced = calls_of(&copy_of(&before), call, &command);
        let count = traced.lines().filter(|line| line.contains(&format!(" {call}("))).count();
        for nth in 1..=count {
            let lab = copy_of(&before);
            kill_at(&lab, call, nth, None, &command);
            partial += usize::from(lab.path("pki/nodes/node-1").exists() || lab.path("bundles/node-1.tar.gz").exists());
            // The host is still listed for removal, or its removal is complete.
            let plan = run(&lab, &["remove", "node-1", "--dry-run"]);
            assert!(plan.status.success(), "{call} {nth}: {}", String::from_utf8_lossy(&plan.stderr));
            let again = run(&lab, &command);
            assert!(again.status.success(), "{call} {nth}: {}", String::from_utf8_lossy(&again.stderr));
            assert!(!lab.path("pki/nodes/node-1").exists() && !lab.path("bundles/node-1.tar.gz").exists());
            let list = crl(&lab, "pki/crl.pem");
            assert!(serials.iter().all(|serial| list.contains(serial)), "{call} {nth}: {list}");
            assert!(run(&lab, &["crl", "show"]).status.success(), "{call} {nth}");
            assert!(lab.read(RULES).contains("X509SHA256="), "{call} {nth}");
            let log = run(&lab, &["log", "node-1", "--output", "json"]);
            let log: Value = serde_json::from_slice(&log.stdout).expect("JSON");
            assert!(each(&log, "/entries", "kind").contains(&"remove"), "{call} {nth}: {log:#}");
        }
    }
    assert!(partial > 3, "the kills came when everything was done: they prove nothing");
}
