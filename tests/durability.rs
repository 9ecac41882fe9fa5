//! Durability: the order of system calls, and the files after a kill at a chosen call.

use std::collections::BTreeMap;

use crate::support::encryption::ssh_key;
use crate::support::fleets::{calls_of, fleet_of, killed_at, run};
use crate::support::offline::offline;
use crate::support::outside::needs;
use crate::support::plans::{issued_by, node_plan};
use crate::support::{Lab, good_tool};

#[test]
fn success_is_reported_only_after_the_data_is_synced() {
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
    // strace shows the beginning of the written text: the report of success.
    let reported = position(&|line| line.contains("write(2<"));
    assert!(
        recorded < contents_synced
            && contents_synced < published
            && published < names_synced
            && names_synced < reported
    );
}

/// The next batch is written while one is committed; still no folder is renamed before its contents are synced.
#[test]
fn each_folder_is_renamed_after_a_sync_of_its_complete_content() {
    needs!("strace");
    let lab = fleet_of(700);
    let calls = calls_of(&lab, "write,syncfs,fsync,fdatasync,renameat2,mkdir", &["issue-node", "--all"]);
    let stage_in = |line: &str| {
        let from = line.find("/.unfinished-")? + 1;
        let length = line[from..].find(['/', '"', '>'])?;
        Some(line[from..from + length].to_owned())
    };
    // The lines where each folder was created and last written to, and where each sync began and ended.
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

#[test]
fn folders_of_a_killed_reissue_are_reported_and_removed() {
    needs!("strace");
    let lab = fleet_of(3);
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let unfinished = || {
        let entries = std::fs::read_dir(lab.path("pki/nodes")).expect("a folder");
        entries.filter(|entry| entry.as_ref().expect("an entry").file_name().to_string_lossy().starts_with('.')).count()
    };
    // Everything is staged, but nothing is synced or published yet.
    killed_at(&lab, "syncfs", 1, None, &["issue-node", "--all", "--reissue"]);
    assert_eq!(unfinished(), 3, "new folders with new keys, none in its place");
    const LEFT: &str = "warn store.credential folders remove-unfinished-issue";
    assert!(offline(&lab, &[]).has(LEFT));
    let plan = node_plan(&lab, &[]);
    assert!(plan.names().is_empty() && plan.kept == 6, "{plan:?}");
    lab.good(&["issue-node", "--all", "--dry-run"]);
    assert_eq!(unfinished(), 3, "a dry run removes nothing");
    assert_eq!(issued_by(&lab, &["issue-node", "--all"]).0, 0);
    assert_eq!(unfinished(), 0);
    assert!(!offline(&lab, &[]).has(LEFT));
}

#[test]
fn replaced_folders_are_deleted_after_all_renames() {
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
fn folders_of_a_reissue_killed_while_deleting_are_removed_next_time() {
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
fn keys_left_by_a_killed_discard_are_reported_and_deleted_next_time() {
    needs!("ssh-keygen", "strace");
    let lab = fleet_of(3);
    assert!(run(&lab, &["issue-master", "--all"]).status.success());
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let recipient = ssh_key(&lab, "host", "ed25519", "");
    let bundle = ["bundle", "--all", "--encrypt-to", &recipient, "--discard-keys"];
    killed_at(&lab, "unlink", 1, Some("pki/nodes/node-1/kubelet-server.key"), &bundle);
    let there = |name: &str| lab.path(&format!("pki/nodes/node-1/{name}")).exists();
    assert!(there("kubelet-server.key") && !there("kubelet-client.key"), "between a host's two keys");
    let found = offline(&lab, &[]);
    let delivered = found.problems.iter().find(|problem| problem.ids.ends_with(" delete-delivered-key"));
    let delivered = delivered.unwrap_or_else(|| panic!("{found:#?}"));
    assert!(delivered.observed.contains("node-1/kubelet-server.key"), "{found:#?}");
    let ran = run(&lab, &bundle);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    for node in 0..3 {
        for name in ["kubelet-client.key", "kubelet-server.key"] {
            assert!(!lab.path(&format!("pki/nodes/node-{node}/{name}")).exists(), "{node} {name}");
        }
    }
    assert_eq!(offline(&lab, &[]).status, 0);
}
