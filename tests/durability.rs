//! Results are durable: checks the order of system calls, and the files that remain after a kill at a chosen call.

use std::collections::BTreeMap;

use crate::support::encryption::ssh_key;
use crate::support::fleets::{calls_of, fleet_of, kill_at, run};
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
    let first = |is_call: &dyn Fn(&str) -> bool| lines.iter().position(|line| is_call(line)).expect("the call");
    let last = |is_call: &dyn Fn(&str) -> bool| lines.iter().rposition(|line| is_call(line)).expect("the call");
    // The ledger is synced, then the folder's contents; then the folder gets its final name, and the name is synced.
    let published = last(&|line| line.contains("renameat2") && line.contains("nodes/node-1"));
    let recorded = first(&|line| line.contains("sync(") && line.contains("/ledger.sqlite3-wal>"));
    let contents_synced = lines[..published].iter().rposition(|line| line.contains("syncfs")).expect("a sync before");
    let name_synced =
        lines[published..].iter().position(|line| line.contains("syncfs")).expect("a sync after") + published;
    // The first output on standard error is the report of success.
    let reported = first(&|line| line.contains("write(2<"));
    assert!(
        recorded < contents_synced && contents_synced < published && published < name_synced && name_synced < reported
    );
}

/// The next batch is written while one is committed, but no folder is renamed before its own contents are synced.
#[test]
fn each_folder_is_renamed_after_a_sync_of_its_complete_content() {
    needs!("strace");
    let lab = fleet_of(700);
    let calls = calls_of(&lab, "write,syncfs,fsync,fdatasync,renameat2,mkdir", &["issue-node", "--all"]);
    let staged_folder = |line: &str| {
        let from = line.find("/.unfinished-")? + 1;
        let length = line[from..].find(['/', '"', '>'])?;
        Some(line[from..from + length].to_owned())
    };
    // By folder: the number of the line that creates it, and of the last line that writes to it.
    let (mut created, mut last_written) = (BTreeMap::new(), BTreeMap::new());
    // The lines where each sync of contents begins and ends, and where the ledger is synced; the number of renames.
    let (mut syncs, mut recorded, mut renamed) = (Vec::new(), Vec::new(), 0);
    for (i, line) in calls.lines().enumerate() {
        if line.contains("syncfs(") {
            // strace splits a call during which another thread makes one.
            syncs.push((i, if line.contains("<unfinished") { usize::MAX } else { i }));
        } else if line.contains("syncfs resumed") {
            syncs.last_mut().expect("the beginning of the call").1 = i;
        } else if line.contains("sync(") && line.contains("/ledger.sqlite3-wal>") {
            recorded.push(i);
        } else if let (true, Some(folder)) = (line.contains("mkdir("), staged_folder(line)) {
            created.insert(folder, i);
        } else if let (true, Some(folder)) = (line.contains("write("), staged_folder(line)) {
            last_written.insert(folder, i);
        } else if let (true, Some(folder)) = (line.contains("renameat2("), staged_folder(line)) {
            let (created, last_written) = (created[&folder], last_written[&folder]);
            assert!(recorded.iter().any(|at| *at < created), "{line}: the ledger was not synced before");
            assert!(
                syncs.iter().any(|(from, to)| last_written < *from && *to < i),
                "{line}: the folder's contents were not synced before"
            );
            renamed += 1;
        }
    }
    assert_eq!(renamed, 700);
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
    kill_at(&lab, "syncfs", 1, None, &["issue-node", "--all", "--reissue"]);
    assert_eq!(unfinished(), 3, "new folders with new keys, none of which has its final name");
    // Status, check, host and remedy.
    const UNFINISHED: &str = "warn store.credential folders remove-unfinished-issue";
    assert!(offline(&lab, &[]).has(UNFINISHED));
    let plan = node_plan(&lab, &[]);
    assert!(plan.names().is_empty() && plan.kept == 6, "{plan:?}");
    lab.good(&["issue-node", "--all", "--dry-run"]);
    assert_eq!(unfinished(), 3, "a dry run removes nothing");
    assert_eq!(issued_by(&lab, &["issue-node", "--all"]).0, 0);
    assert_eq!(unfinished(), 0);
    assert!(!offline(&lab, &[]).has(UNFINISHED));
}

#[test]
fn replaced_folders_are_deleted_after_all_renames() {
    needs!("strace");
    let lab = fleet_of(300);
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let calls = calls_of(&lab, "renameat2,unlink,unlinkat,rmdir", &["issue-node", "--all", "--reissue"]);
    let exchanged = calls.lines().filter(|line| line.contains("RENAME_EXCHANGE")).count();
    let last_exchange = calls.lines().collect::<Vec<_>>().iter().rposition(|line| line.contains("RENAME_EXCHANGE"));
    let first_deletion = calls.lines().position(|line| line.contains("unlink") && line.contains("kubelet-"));
    assert_eq!(exchanged, 300);
    assert!(last_exchange.expect("an exchange") < first_deletion.expect("a deletion"));
    assert_eq!(std::fs::read_dir(lab.path("pki/nodes")).expect("a folder").count(), 300, "nothing replaced is left");
}

#[test]
fn folders_of_a_reissue_killed_while_deleting_are_removed_next_time() {
    needs!("sqlite3", "strace");
    let lab = fleet_of(3);
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let certificates = |lab: &Lab| {
        good_tool(
            "sqlite3",
            &[&lab.path("pki/ledger.sqlite3").display().to_string(), "select count(*) from certificates"],
        )
    };
    kill_at(&lab, "unlinkat", 5, None, &["issue-node", "--all", "--reissue"]);
    let folders = || std::fs::read_dir(lab.path("pki/nodes")).expect("a folder").count();
    assert!(folders() > 3, "replaced folders are left");
    // Three roots, and two certificates of each node, issued twice.
    assert_eq!(certificates(&lab).trim(), "15");
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    assert_eq!(
        (folders(), certificates(&lab).trim()),
        (3, "15"),
        "the replaced folders are removed, nothing is issued"
    );
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
    kill_at(&lab, "unlink", 1, Some("pki/nodes/node-1/kubelet-server.key"), &bundle);
    let exists = |name: &str| lab.path(&format!("pki/nodes/node-1/{name}")).exists();
    assert!(exists("kubelet-server.key") && !exists("kubelet-client.key"), "one of the host's two keys is deleted");
    let report = offline(&lab, &[]);
    let key_left = report.problems.iter().find(|problem| problem.ids.ends_with(" delete-delivered-key"));
    let key_left = key_left.unwrap_or_else(|| panic!("{report:#?}"));
    assert!(key_left.observed.contains("node-1/kubelet-server.key"), "{report:#?}");
    let ran = run(&lab, &bundle);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    for node in 0..3 {
        for name in ["kubelet-client.key", "kubelet-server.key"] {
            assert!(!lab.path(&format!("pki/nodes/node-{node}/{name}")).exists(), "{node} {name}");
        }
    }
    assert_eq!(offline(&lab, &[]).status, 0);
}
