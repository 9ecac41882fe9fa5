//! Interruption: kills at any moment, and two processes at once. Files on the disk are always complete, the ledger has all
//! of them, and the same command finishes the work.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use clusterctl::app::issue::IssueReason;
use clusterctl::store::credentials::CredentialProblem;

use crate::support::fleets::{fleet_of, run};
use crate::support::outside::needs;
use crate::support::plans::present_node_plan;
use crate::support::{Lab, good_tool};

const NODES: usize = 400;
/// The text that strace writes when the program is stopped.
const STOPPED: &str = "--- stopped by SIGSTOP ---";

fn fleet() -> Lab {
    fleet_of(NODES)
}

fn hosts(lab: &Lab) -> Vec<String> {
    let folder = lab.path("pki/nodes");
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .map(|e| e.expect("an entry").file_name().into_string().expect("text"))
        .filter(|n| !n.starts_with('.'))
        .collect()
}

fn ledger_rows(lab: &Lab) -> usize {
    let ledger = lab.path("pki/ledger.sqlite3").display().to_string();
    let rows = good_tool("sqlite3", &[&ledger, "select count(*) from certificates where host is not null"]);
    rows.trim().parse().expect("a number")
}

fn assert_existing_credentials_are_valid(lab: &Lab) {
    assert_complete_and_valid(lab, NODES, "");
}

/// Asserts that every host's folder is complete, and that the plan finds no problem in the existing credentials.
fn assert_complete_and_valid(lab: &Lab, nodes: usize, what: &str) {
    let whole: BTreeSet<String> =
        ["kubelet-client.crt", "kubelet-client.key", "kubelet-server.crt", "kubelet-server.key"]
            .map(str::to_owned)
            .into();
    let hosts = hosts(lab);
    for host in &hosts {
        let folder = lab.path("pki/nodes").join(host);
        let files = std::fs::read_dir(&folder).expect("a folder");
        let files: BTreeSet<String> =
            files.map(|e| e.expect("an entry").file_name().into_string().expect("text")).collect();
        assert_eq!(files, whole, "{host} {what}");
    }
    assert!(run(lab, &["issue-node", "--all", "--dry-run"]).status.success(), "{what}");
    let plan = present_node_plan(lab);
    for (name, reasons) in &plan.certificates {
        assert_eq!(*reasons, [IssueReason::Problem(CredentialProblem::NotThere)], "{what}: {name}");
    }
    assert_eq!(plan.certificates.len(), (nodes - hosts.len()) * 2, "{what}");
}

#[test]
fn an_interrupted_issue_is_resumed() {
    let lab = fleet();
    let begun = Instant::now();
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let whole_run = begun.elapsed();
    let mut torn = 0;
    for round in 0..12_u32 {
        std::fs::remove_dir_all(lab.path("pki/nodes")).expect("removed");
        let mut child = lab.process(&["issue-node", "--all"]).stderr(Stdio::null()).spawn().expect("it runs");
        std::thread::sleep(whole_run * round / 11);
        child.kill().expect("SIGKILL");
        child.wait().expect("reaped");
        torn += usize::from(hosts(&lab).len() < NODES);
        assert_existing_credentials_are_valid(&lab);
        let after = run(&lab, &["issue-node", "--all"]);
        assert!(after.status.success(), "{}", String::from_utf8_lossy(&after.stderr));
        assert_eq!(hosts(&lab).len(), NODES);
        assert_existing_credentials_are_valid(&lab);
        let leftovers = std::fs::read_dir(lab.path("pki/nodes")).expect("a folder").count();
        assert_eq!(leftovers, NODES, "unfinished folders are swept");
    }
    assert!(torn > 0, "no round was interrupted; the test proves nothing");
}

/// Returns the maximum number of certificates that the ledger may have without published files after one kill: two for
/// each node of the batch that was being committed, and of the batch that was being recorded. No batch is larger than
/// 1,024 nodes (for very large clusters a 48th, up to 2,048) and, after the first 128 nodes, than half of the remaining
/// nodes.
fn lost_at_most(nodes: usize) -> usize {
    2 * 2 * (nodes / 2).clamp(128, (nodes / 48).clamp(1024, 2048))
}

/// Kills an issue for 1,500 nodes (`CLUSTERCTL_KILL_NODES`) at twelve (`CLUSTERCTL_KILLS`) random moments.
#[test]
fn repeated_kills_tear_nothing_and_issue_nothing_twice() {
    needs!("sqlite3");
    let number = |name: &str, otherwise: usize| std::env::var(name).map_or(otherwise, |n| n.parse().expect("a number"));
    let (kills, nodes) = (number("CLUSTERCTL_KILLS", 12), number("CLUSTERCTL_KILL_NODES", 1_500));
    let lab = fleet_of(nodes);
    let begun = Instant::now();
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let (whole_run, start_again) = (begun.elapsed(), || std::fs::remove_dir_all(lab.path("pki/nodes")));
    start_again().expect("removed");
    let seed = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() as u64;
    let mut random = seed | 1;
    let (mut partial, mut there) = (0, 0);
    // The machine's speed may change, so the estimate is adjusted until a kill has hit the middle of a run.
    let (mut stretch, mut round) = (1.0_f64, 0);
    while round < kills || (partial == 0 && round < 20 * kills) {
        round += 1;
        let what = format!("seed {seed}, kill {round}");
        let rows = ledger_rows(&lab);
        let mut child = lab.process(&["issue-node", "--all"]).stderr(Stdio::null()).spawn().expect("it runs");
        // xorshift64 (Marsaglia)
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Starting takes time even if little is left: without this, many kills would come before any work.
        let rest = whole_run.mul_f64((nodes - there) as f64 / nodes as f64) + whole_run / 8 + Duration::from_millis(50);
        std::thread::sleep(rest.mul_f64(stretch * (random >> 11) as f64 / (1_u64 << 53) as f64));
        child.kill().expect("SIGKILL");
        child.wait().expect("reaped");
        let before = std::mem::replace(&mut there, hosts(&lab).len());
        assert!(ledger_rows(&lab) - rows <= 2 * (there - before) + lost_at_most(nodes), "{what}");
        partial += usize::from(there > before && there < nodes);
        match there {
            _ if there == before => stretch *= 1.3,
            _ if there == nodes => stretch /= 1.3,
            _ => {}
        }
        assert_complete_and_valid(&lab, nodes, &what);
        if there == nodes {
            start_again().expect("removed");
            there = 0;
        }
    }
    let rows = ledger_rows(&lab);
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    assert_eq!(ledger_rows(&lab) - rows, 2 * (nodes - there), "each missing one was issued once, seed {seed}");
    assert_eq!(
        std::fs::read_dir(lab.path("pki/nodes")).expect("a folder").count(),
        nodes,
        "what was unfinished is gone"
    );
    assert_complete_and_valid(&lab, nodes, "in the end");
    assert!(partial > 0, "no kill came between the first batch and the last; the test proves nothing");
    let summary =
        format!("{round} kills at {nodes} nodes, {partial} of them in the middle; complete and valid after each\n");
    std::io::stdout().write_all(summary.as_bytes()).expect("written");
}

#[test]
fn an_uncommitted_transaction_does_not_block_readers() {
    needs!("python3", "sqlite3");
    let lab = fleet();
    // A log without a commit, as left by a process that is killed between writing pages and committing.
    let ledger = lab.path("pki/ledger.sqlite3").display().to_string();
    let script = "
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute('pragma cache_size = 1')
db.execute('begin immediate')
for i in range(2000):
    db.execute('insert into events (at, by, kind, subject, detail) values (?,?,?,?,?)', ('x'*200,)*5)
os.kill(os.getpid(), 9)
";
    let killed = Command::new("/usr/bin/python3").args(["-c", script, &ledger]).status().expect("python3");
    assert!(!killed.success());
    let log = std::fs::metadata(lab.path("pki/ledger.sqlite3-wal")).expect("a log");
    assert!(log.len() > 100_000, "pages were written; else this proves nothing");
    assert_existing_credentials_are_valid(&lab);
    assert_eq!(good_tool("sqlite3", &[&ledger, "select count(*) from events where kind like 'x%'"]), "0\n");
}

#[test]
fn a_killed_packing_leaves_only_complete_bundles() {
    needs!("tar");
    let lab = fleet();
    assert!(run(&lab, &["issue-master", "--all"]).status.success());
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let begun = Instant::now();
    assert!(run(&lab, &["bundle", "--all"]).status.success());
    let whole_run = begun.elapsed();
    let reference = std::fs::read(lab.path("bundles/node-7.tar.gz")).expect("a bundle");
    let mut torn = 0;
    for round in 0..8_u32 {
        std::fs::remove_dir_all(lab.path("bundles")).expect("removed");
        let mut child = lab.process(&["bundle", "--all"]).stderr(Stdio::null()).spawn().expect("it runs");
        std::thread::sleep(whole_run * round / 7);
        child.kill().expect("SIGKILL");
        child.wait().expect("reaped");
        let there: Vec<_> = std::fs::read_dir(lab.path("bundles")).map(|e| e.flatten().collect()).unwrap_or_default();
        let named: Vec<_> =
            there.iter().filter(|e| !e.file_name().to_string_lossy().starts_with('.')).map(|e| e.path()).collect();
        torn += usize::from(named.len() < NODES + 1);
        for bundle in named {
            good_tool("tar", &["-tzf", &bundle.display().to_string()]);
        }
        assert!(run(&lab, &["bundle", "--all"]).status.success());
        assert_eq!(std::fs::read(lab.path("bundles/node-7.tar.gz")).expect("a bundle"), reference);
        assert_eq!(std::fs::read_dir(lab.path("bundles")).expect("a folder").count(), NODES + 1);
    }
    assert!(torn > 0, "no round was interrupted; the test proves nothing");
}

#[test]
fn a_killed_packing_leaves_only_complete_folders() {
    let lab = fleet();
    assert!(run(&lab, &["issue-master", "--all"]).status.success());
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let bundle = ["bundle", "--all", "--format", "dir"];
    let begun = Instant::now();
    assert!(run(&lab, &bundle).status.success());
    let whole_run = begun.elapsed();
    let mut torn = 0;
    for round in 0..6_u32 {
        if round % 2 == 0 {
            std::fs::remove_dir_all(lab.path("bundles")).expect("removed");
        }
        let mut child = lab.process(&bundle).stderr(Stdio::null()).spawn().expect("it runs");
        std::thread::sleep(whole_run * round / 6);
        child.kill().expect("SIGKILL");
        child.wait().expect("reaped");
        let there: Vec<_> = std::fs::read_dir(lab.path("bundles")).map(|e| e.flatten().collect()).unwrap_or_default();
        let whole = there.iter().filter(|e| !e.file_name().to_string_lossy().starts_with('.')).count();
        torn += usize::from(whole < NODES + 1 || there.len() > whole);
        // Every published folder is checked, file by file.
        let judged = run(&lab, &["verify", "--offline"]);
        assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
        assert!(run(&lab, &bundle).status.success());
        assert_eq!(std::fs::read_dir(lab.path("bundles")).expect("a folder").count(), NODES + 1);
    }
    assert!(torn > 0, "no round was interrupted; the test proves nothing");
}

#[test]
fn concurrent_issues_issue_each_certificate_once() {
    needs!("sqlite3");
    let lab = fleet();
    let spawn = || lab.process(&["issue-node", "--all"]).stderr(Stdio::piped()).spawn().expect("it runs");
    let both = [spawn(), spawn()].map(|child| child.wait_with_output().expect("reaped"));
    for output in &both {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(hosts(&lab).len(), NODES);
    assert_eq!(ledger_rows(&lab), NODES * 2);
}

#[test]
fn a_signal_stops_the_issue_and_keeps_issued_certificates() {
    needs!("sqlite3", "strace");
    // A closed terminal sends SIGHUP twice; systemd sends SIGTERM and then SIGHUP.
    // env resets ignored signals that the tests may have inherited.
    for signals in [&["-INT"][..], &["-TERM"], &["-HUP"], &["-HUP", "-HUP"], &["-TERM", "-HUP"]] {
        let lab = fleet();
        let output = signalled_halfway(&lab, &["env", "--default-signal", env!("CARGO_BIN_EXE_clusterctl")], signals);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let done = hosts(&lab).len() * 2;
        assert!((1..NODES * 2).contains(&done), "{signals:?}: {done}: {stderr}");
        assert_eq!(output.status.code(), Some(4), "{signals:?}: {stderr}");
        let counts: Vec<usize> = stderr.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert_eq!(counts, [done, NODES * 2], "{stderr}");
        assert_existing_credentials_are_valid(&lab);
        let before = ledger_rows(&lab);
        assert!(run(&lab, &["issue-node", "--all"]).status.success());
        assert_eq!(ledger_rows(&lab) - before, NODES * 2 - done, "what was issued is kept");
    }
}

/// Issues for all nodes, and sends the signals while the first batch is synced to the disk.
///
/// This does not depend on the machine's speed, because strace stops the program until the signals have been sent.
fn signalled_halfway(lab: &Lab, program: &[&str], signals: &[&str]) -> Output {
    let (trace, dir) = (lab.path("trace").display().to_string(), lab.dir().display().to_string());
    // With -D the program is our own child, and strace its grandchild.
    let child = Command::new("strace")
        .args(["-D", "-f", "-o", &trace, "-e", "trace=syncfs", "-e", "inject=syncfs:signal=STOP:when=1"])
        .args(program)
        .args(["--dir", &dir, "issue-node", "--all"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace");
    let id = child.id().to_string();
    let stopped = || std::fs::read_to_string(&trace).is_ok_and(|trace| trace.contains(STOPPED));
    while !stopped() {
        assert!(Path::new("/proc").join(&id).exists(), "it ended without a sync");
        std::thread::sleep(Duration::from_millis(5));
    }
    for signal in signals.iter().chain(&["-CONT"]) {
        good_tool("kill", &[signal, &id]);
    }
    child.wait_with_output().expect("reaped")
}

#[test]
fn an_ignored_signal_does_not_stop_the_issue() {
    needs!("strace");
    let lab = fleet();
    let output = signalled_halfway(&lab, &["nohup", env!("CARGO_BIN_EXE_clusterctl")], &["-HUP"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(hosts(&lab).len(), NODES);
}
