//! What is on the disk, and when: seen in the system calls that are made, and after a kill at one that was chosen.

use std::collections::BTreeMap;

use crate::encryption::ssh_key;
use crate::support::fleets::{calls_of, fleet_of, killed_at, run};
use crate::support::outside::needs;
use crate::support::{Lab, good_tool};

#[test]
fn success_is_told_only_after_the_disk_has_it() {
    needs!("strace");
    let lab = fleet_of(3);
    let calls = calls_of(&lab, "fsync,fdatasync,syncfs,rename,renameat2,write", &["issue-node", "node-1"]);
    let lines: Vec<&str> = calls.lines().collect();
    let position = |what: &dyn Fn(&str) -> bool| lines.iter().position(|line| what(line)).expect("the call");
    let last = |what: &dyn Fn(&str) -> bool| lines.iter().rposition(|line| what(line)).expect("the call");
    let published = last(&|line| line.contains("renameat2") && line.contains("nodes/node-1"));
    let recorded = position(&|line| line.contains("sync(") && line.contains("/ledger.sqlite3-wal>"));
    let contents_synced = lines[..published].iter().rposition(|line| line.contains("syncfs")).expect("a sync before");
    let names_synced =
        lines[published..].iter().position(|line| line.contains("syncfs")).expect("a sync after") + published;
    let told = last(&|line| line.contains("write(2<") && line.contains("issued 2 certificates"));
    assert!(
        recorded < contents_synced && contents_synced < published && published < names_synced && names_synced < told
    );
}

/// While one batch settles, the next is being laid; all the same no folder gets its name before what is in it is on the disk.
#[test]
fn of_many_batches_each_folder_gets_its_name_after_a_sync_that_began_when_it_was_full() {
    needs!("strace");
    let lab = fleet_of(700);
    let calls = calls_of(&lab, "write,syncfs,fsync,fdatasync,renameat2,mkdir", &["issue-node", "--all"]);
    let stage_in = |line: &str| {
        let from = line.find("/.unfinished-")? + 1;
        let length = line[from..].find(['/', '"', '>'])?;
        Some(line[from..from + length].to_owned())
    };
    // Where each folder was begun and last written to, and where each sync of the whole began and ended.
    let (mut begun, mut full) = (BTreeMap::new(), BTreeMap::new());
    let (mut syncs, mut recorded, mut named) = (Vec::new(), Vec::new(), 0);
    for (i, line) in calls.lines().enumerate() {
        if line.contains("syncfs(") {
            syncs.push((i, if line.contains("<unfinished") { usize::MAX } else { i }));
        } else if line.contains("syncfs resumed") {
            syncs.last_mut().expect("it began").1 = i;
        } else if line.contains("sync(") && line.contains("/ledger.sqlite3-wal>") {
            recorded.push(i);
        } else if let (true, Some(stage)) = (line.contains("mkdir("), stage_in(line)) {
            begun.insert(stage, i);
        } else if let (true, Some(stage)) = (line.contains("write("), stage_in(line)) {
            full.insert(stage, i);
        } else if let (true, Some(stage)) = (line.contains("renameat2("), stage_in(line)) {
            let (begun, full) = (begun[&stage], full[&stage]);
            assert!(recorded.iter().any(|at| *at < begun), "{line}: nothing was recorded before");
            assert!(
                syncs.iter().any(|(from, to)| full < *from && *to < i),
                "{line}: what is in it may not be on the disk"
            );
            named += 1;
        }
    }
    assert_eq!(named, 700);
    assert!(syncs.len() > 6, "there were several batches: {syncs:?}");
}

fn told(lab: &Lab, args: &[&str]) -> String {
    let ran = run(lab, args);
    [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}

#[test]
fn what_a_killed_reissue_leaves_is_told_and_is_swept_although_all_is_good() {
    needs!("strace");
    let lab = fleet_of(3);
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let unfinished = || {
        let entries = std::fs::read_dir(lab.path("pki/nodes")).expect("a folder");
        entries.filter(|entry| entry.as_ref().expect("an entry").file_name().to_string_lossy().starts_with('.')).count()
    };
    // All is laid, nothing is on the disk yet, and nothing in its place.
    killed_at(&lab, "syncfs", 1, None, &["issue-node", "--all", "--reissue"]);
    assert_eq!(unfinished(), 3, "new folders with new keys, none in its place");
    let offline = told(&lab, &["verify", "--offline"]);
    assert!(
        offline.contains(".unfinished-") && offline.contains("clusterctl issue-node --all removes them"),
        "{offline}"
    );
    assert!(told(&lab, &["issue-node", "--all", "--dry-run"]).contains("would issue 0 certificates and keep 6"));
    assert_eq!(unfinished(), 3, "a dry run removes nothing");
    assert!(told(&lab, &["issue-node", "--all"]).contains("nothing to do: 6 certificates valid"));
    assert_eq!(unfinished(), 0);
    assert!(!told(&lab, &["verify", "--offline"]).contains(".unfinished-"));
}

#[test]
fn what_a_reissue_replaces_is_deleted_after_everything_new_is_in_place() {
    needs!("strace");
    let lab = fleet_of(300);
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let calls = calls_of(&lab, "renameat2,unlink,unlinkat,rmdir", &["issue-node", "--all", "--reissue"]);
    let published = calls.lines().filter(|line| line.contains("RENAME_EXCHANGE")).count();
    let last = calls.lines().collect::<Vec<_>>().iter().rposition(|line| line.contains("RENAME_EXCHANGE"));
    let first = calls.lines().position(|line| line.contains("unlink") && line.contains("kubelet-"));
    assert_eq!(published, 300);
    assert!(last.expect("renamed") < first.expect("deleted"));
    assert_eq!(std::fs::read_dir(lab.path("pki/nodes")).expect("a folder").count(), 300, "nothing replaced is left");
}

#[test]
fn what_a_reissue_that_is_killed_while_deleting_leaves_is_swept_by_the_next_command() {
    needs!("sqlite3", "strace");
    let lab = fleet_of(3);
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let rows = |lab: &Lab| {
        good_tool(
            "sqlite3",
            &[&lab.path("pki/ledger.sqlite3").display().to_string(), "select count(*) from certificates"],
        )
    };
    killed_at(&lab, "unlinkat", 5, None, &["issue-node", "--all", "--reissue"]);
    let folders = || std::fs::read_dir(lab.path("pki/nodes")).expect("a folder").count();
    assert!(folders() > 3, "replaced folders are left");
    assert_eq!(rows(&lab).trim(), "15");
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    assert_eq!((folders(), rows(&lab).trim()), (3, "15"), "swept, and nothing was issued again");
    assert!(run(&lab, &["issue-master", "--all"]).status.success());
    assert!(run(&lab, &["verify", "--offline"]).status.success());
}

#[test]
fn keys_that_a_killed_run_was_about_to_forget_are_told_and_forgotten_by_the_next() {
    needs!("ssh-keygen", "strace");
    let lab = fleet_of(3);
    assert!(run(&lab, &["issue-master", "--all"]).status.success());
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let recipient = ssh_key(&lab, "host", "ed25519", "");
    let bundle = ["bundle", "--all", "--encrypt-to", &recipient, "--discard-keys"];
    killed_at(&lab, "unlink", 1, Some("pki/nodes/node-1/kubelet-server.key"), &bundle);
    let there = |name: &str| lab.path(&format!("pki/nodes/node-1/{name}")).exists();
    assert!(there("kubelet-server.key") && !there("kubelet-client.key"), "between a host's two keys");
    let offline = told(&lab, &["verify", "--offline", "--output", "json"]);
    assert!(offline.contains("delete-delivered-key") && offline.contains("node-1/kubelet-server.key"), "{offline}");
    let ran = run(&lab, &bundle);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    for node in 0..3 {
        for name in ["kubelet-client.key", "kubelet-server.key"] {
            assert!(!lab.path(&format!("pki/nodes/node-{node}/{name}")).exists(), "{node} {name}");
        }
    }
    let offline = run(&lab, &["verify", "--offline"]);
    assert!(offline.status.success(), "{}", String::from_utf8_lossy(&offline.stdout));
}
