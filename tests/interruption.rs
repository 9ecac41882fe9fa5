//! Promises under violence: killed at any moment, two at once, a full disk. What is on the disk is always whole, the
//! ledger knows all of it, and the same command finishes the work.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Lab, good_tool};

const NODES: usize = 400;

fn fleet() -> Lab {
    fleet_of(NODES)
}

fn fleet_of(count: usize) -> Lab {
    let nodes: String =
        (0..count).map(|i| format!("- {{name: node-{i}, addresses: [10.1.{}.{}]}}\n", i / 250, i % 250 + 1)).collect();
    let lab = Lab::with(&format!(
        "apiVersion: clusterctl/v1\nkind: Cluster\nname: fleet\nmasters:\n- {{name: m, addresses: [10.0.0.1]}}\nnodes:\n{nodes}"
    ));
    // These run as processes of their own, under the real clock; their roots must be valid now.
    let made = run(&lab, &["init-ca", "--plaintext-ca-key"]);
    assert!(made.status.success());
    lab
}

fn run(lab: &Lab, args: &[&str]) -> std::process::Output {
    lab.process(args).output().expect("it runs")
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

fn all_there_is_good(lab: &Lab) {
    whole_and_good(lab, NODES, "");
}

/// Every host's folder is whole, and of what is there the plan finds nothing to mend: every pair fits, and the ledger knows it.
fn whole_and_good(lab: &Lab, nodes: usize, what: &str) {
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
    let plan = run(lab, &["issue-node", "--all", "--dry-run"]);
    assert!(plan.status.success(), "{what}: {}", String::from_utf8_lossy(&plan.stderr));
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    for line in plan.lines() {
        assert!(line.ends_with(": not issued yet"), "{what}: {line}");
    }
    assert_eq!(plan.lines().count(), (nodes - hosts.len()) * 2, "{what}");
}

#[test]
fn killed_at_any_moment_the_issue_continues_where_it_stopped() {
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
        all_there_is_good(&lab);
        let after = run(&lab, &["issue-node", "--all"]);
        assert!(after.status.success(), "{}", String::from_utf8_lossy(&after.stderr));
        assert_eq!(hosts(&lab).len(), NODES);
        all_there_is_good(&lab);
        let leftovers = std::fs::read_dir(lab.path("pki/nodes")).expect("a folder").count();
        assert_eq!(leftovers, NODES, "unfinished folders are swept");
    }
    assert!(torn > 0, "no round was interrupted; the test proves nothing");
}

/// What the ledger may know beyond what is in its place, after one kill of an issue for so many nodes: two certificates for each
/// node of the batch that was settling, and of the one that was being recorded meanwhile. No batch is larger than 1,024 nodes, nor,
/// beyond the first 128, than a quarter of what is left.
fn lost_at_most(nodes: usize) -> usize {
    2 * 2 * (nodes / 4).clamp(128, 1024)
}

/// A dozen kills at random moments, or as many as `CLUSTERCTL_KILLS` says, of an issue for 1,500 nodes or as many as
/// `CLUSTERCTL_KILL_NODES` says.
#[test]
fn killed_at_random_moments_in_a_row_it_tears_nothing_and_issues_nothing_twice() {
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
    for round in 0..kills {
        let what = format!("seed {seed}, kill {round}");
        let rows = ledger_rows(&lab);
        let mut child = lab.process(&["issue-node", "--all"]).stderr(Stdio::null()).spawn().expect("it runs");
        // xorshift64 (Marsaglia)
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let rest = whole_run.mul_f64((nodes - there) as f64 / nodes as f64) + Duration::from_millis(50);
        std::thread::sleep(rest.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64));
        child.kill().expect("SIGKILL");
        child.wait().expect("reaped");
        let before = std::mem::replace(&mut there, hosts(&lab).len());
        assert!(ledger_rows(&lab) - rows <= 2 * (there - before) + lost_at_most(nodes), "{what}");
        partial += usize::from(there > before && there < nodes);
        whole_and_good(&lab, nodes, &what);
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
    whole_and_good(&lab, nodes, "in the end");
    assert!(partial > 0, "no kill came between the first batch and the last; the test proves nothing");
    let told = format!("{kills} kills at {nodes} nodes, {partial} of them in the middle; whole and good after each\n");
    std::io::stdout().write_all(told.as_bytes()).expect("told");
}

#[test]
fn what_a_killed_process_left_half_recorded_does_not_stop_those_who_only_read() {
    let lab = fleet();
    // A hot journal, as a process leaves it that is killed between writing pages and committing.
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
    assert!(lab.path("pki/ledger.sqlite3-journal").exists(), "the journal is hot; else this proves nothing");
    all_there_is_good(&lab);
    assert_eq!(good_tool("sqlite3", &[&ledger, "select count(*) from events where kind like 'x%'"]), "0\n");
}

#[test]
fn killed_at_any_moment_the_packing_leaves_whole_bundles_only() {
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
fn killed_at_any_moment_packing_leaves_whole_folders_only() {
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
        std::thread::sleep(whole_run * (round + 1) / 7);
        child.kill().expect("SIGKILL");
        child.wait().expect("reaped");
        let there: Vec<_> = std::fs::read_dir(lab.path("bundles")).map(|e| e.flatten().collect()).unwrap_or_default();
        let whole = there.iter().filter(|e| !e.file_name().to_string_lossy().starts_with('.')).count();
        torn += usize::from(whole < NODES + 1 || there.len() > whole);
        // Every folder that shows is judged, file by file.
        let judged = run(&lab, &["verify", "--offline"]);
        assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
        assert!(run(&lab, &bundle).status.success());
        assert_eq!(std::fs::read_dir(lab.path("bundles")).expect("a folder").count(), NODES + 1);
    }
    assert!(torn > 0, "no round was interrupted; the test proves nothing");
}

#[test]
fn two_at_once_issue_each_certificate_once() {
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
fn a_stop_by_signal_keeps_what_is_done_and_says_so() {
    let lab = fleet();
    let mut stopped_halfway = false;
    for _ in 0..12 {
        let child = lab.process(&["issue-node", "--all"]).stderr(Stdio::piped()).spawn().expect("it runs");
        let patience = Instant::now();
        while hosts(&lab).is_empty() && patience.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        good_tool("kill", &["-INT", &child.id().to_string()]);
        let output = child.wait_with_output().expect("reaped");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let done = hosts(&lab).len() * 2;
        all_there_is_good(&lab);
        match output.status.code() {
            // It may be too late to stop.
            Some(0) => assert!(told.contains("issued 800 certificates"), "{told}"),
            Some(4) => {
                let stopped = format!("stopped on request; {done} of 800 certificates issued");
                assert!(told.contains(&stopped), "{stopped}: {told}");
                assert!(told.contains("hint: what is done is kept: run the same command again to go on"), "{told}");
                stopped_halfway = done > 0 && done < 800;
            }
            other => panic!("{other:?}: {told}"),
        }
        if stopped_halfway {
            let after = run(&lab, &["issue-node", "--all"]);
            let told = String::from_utf8_lossy(&after.stderr).into_owned();
            assert!(told.contains(&format!("issued {} certificates, kept {done}", 800 - done)), "{told}");
            assert_eq!(ledger_rows(&lab) % 2, 0);
            return;
        }
        std::fs::remove_dir_all(lab.path("pki/nodes")).expect("removed");
    }
    panic!("it never stopped halfway; the test proves nothing");
}

/// A file system of its own, small enough to be filled; unmounted in the end.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(place: &'a Path, size: &str) -> Self {
        let place_text = place.display().to_string();
        good_tool("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", &place_text]);
        Self(place)
    }

    fn grow(&self, size: &str) {
        good_tool("mount", &["-o", &format!("remount,size={size}"), &self.0.display().to_string()]);
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_tears_nothing_and_a_rerun_completes() {
    let lab = fleet();
    let place = lab.path("disk");
    std::fs::create_dir(&place).expect("a folder");
    let disk = SmallDisk::mount(&place, "1500k");
    let dir = place.display().to_string();
    good_tool(
        "cp",
        &["-r", &lab.path("cluster.yaml").display().to_string(), &lab.path("pki").display().to_string(), &dir],
    );
    let ran = run(&lab, &["--dir", &dir, "issue-node", "--all"]);
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(4), "{told}");
    assert!(told.contains("No space left on device"), "{told}");
    assert!(told.contains("hint: free some space and run the same command again: what is done is kept\n"), "{told}");
    let entries = std::fs::read_dir(place.join("pki/nodes")).into_iter().flatten();
    let kept: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert!(kept.len() < NODES, "the disk was full");
    for folder in &kept {
        assert_eq!(std::fs::read_dir(folder).expect("a folder").count(), 4, "whole: {}", folder.display());
    }
    disk.grow("40m");
    let ran = run(&lab, &["--dir", &dir, "issue-node", "--all"]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(std::fs::read_dir(place.join("pki/nodes")).expect("a folder").count(), NODES);
}

#[test]
fn a_disk_that_fills_while_packing_keeps_what_was_there_and_a_rerun_completes() {
    let lab = fleet();
    assert!(run(&lab, &["issue-master", "--all"]).status.success());
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let place = lab.path("disk");
    std::fs::create_dir(&place).expect("a folder");
    let disk = SmallDisk::mount(&place, "60m");
    let dir = place.display().to_string();
    good_tool(
        "cp",
        &["-r", &lab.path("cluster.yaml").display().to_string(), &lab.path("pki").display().to_string(), &dir],
    );
    for (format, name) in [("tar.gz", "node-1.tar.gz"), ("dir", "node-1"), ("ignition", "node-1.ign")] {
        // One bundle is there already, and has to survive.
        assert!(run(&lab, &["--dir", &dir, "bundle", "node-1", "--format", format]).status.success());
        let used = good_tool("df", &["-k", "--output=used", &dir]);
        let used: u64 = used.lines().nth(1).expect("a number").trim().parse().expect("a number");
        let before = good_tool("find", &[&format!("{dir}/bundles"), "-printf", "%P %m %s\n"]);
        disk.grow(&format!("{}k", used + 700));
        let ran = run(&lab, &["--dir", &dir, "bundle", "--all", "--format", format]);
        let told = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(4), "{format}: {told}");
        assert!(told.contains("No space left on device"), "{format}: {told}");
        assert!(told.contains("hint: free some space and run the same command again"), "{format}: {told}");
        let after = good_tool("find", &[&format!("{dir}/bundles"), "-printf", "%P %m %s\n"]);
        let sorted = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<BTreeSet<String>>();
        assert_eq!(sorted(&after), sorted(&before), "{format}: nothing half-written is left, nothing whole is lost");
        assert!(place.join("bundles").join(name).exists());
        disk.grow("60m");
        let ran = run(&lab, &["--dir", &dir, "bundle", "--all", "--format", format]);
        assert!(ran.status.success(), "{format}: {}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!(std::fs::read_dir(place.join("bundles")).expect("a folder").count(), NODES + 1);
        std::fs::remove_dir_all(place.join("bundles")).expect("removed");
    }
}

#[test]
fn a_read_only_disk_is_told_and_untouched() {
    let lab = fleet();
    let place = lab.path("disk");
    std::fs::create_dir(&place).expect("a folder");
    let disk = SmallDisk::mount(&place, "8m");
    let dir = place.display().to_string();
    good_tool(
        "cp",
        &["-r", &lab.path("cluster.yaml").display().to_string(), &lab.path("pki").display().to_string(), &dir],
    );
    good_tool("mount", &["-o", "remount,ro", &dir]);
    for args in [&["issue-node", "--all"][..], &["bundle", "--all"], &["init-ca", "--plaintext-ca-key"]] {
        let ran = run(&lab, &[&["--dir", &dir], args].concat());
        let told = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(4), "{args:?}: {told}");
        assert!(told.contains("Read-only file system") && told.contains("\nhint: "), "{args:?}: {told}");
    }
    // Reading is all that these need.
    assert!(run(&lab, &["--dir", &dir, "issue-node", "--all", "--dry-run"]).status.success());
    drop(disk);
}

#[test]
fn success_is_told_only_after_the_disk_has_it() {
    let lab = fleet();
    let trace = lab.path("trace").display().to_string();
    let program = env!("CARGO_BIN_EXE_clusterctl");
    let dir = lab.dir().display().to_string();
    good_tool(
        "strace",
        &[
            "-f",
            "-o",
            &trace,
            "-e",
            "trace=fsync,fdatasync,syncfs,rename,renameat2,write",
            program,
            "--dir",
            &dir,
            "issue-node",
            "node-1",
        ],
    );
    let calls = std::fs::read_to_string(&trace).expect("a trace");
    let lines: Vec<&str> = calls.lines().collect();
    let position = |what: &dyn Fn(&str) -> bool| lines.iter().position(|line| what(line)).expect("the call");
    let last = |what: &dyn Fn(&str) -> bool| lines.iter().rposition(|line| what(line)).expect("the call");
    let published = last(&|line| line.contains("renameat2") && line.contains("nodes/node-1"));
    let recorded = position(&|line| line.contains("fdatasync") || line.contains("fsync("));
    let contents_synced = lines[..published].iter().rposition(|line| line.contains("syncfs")).expect("a sync before");
    let names_synced =
        lines[published..].iter().position(|line| line.contains("syncfs")).expect("a sync after") + published;
    let told = last(&|line| line.contains("write(2") && line.contains("issued 2 certificates"));
    assert!(
        recorded < contents_synced && contents_synced < published && published < names_synced && names_synced < told
    );
}

/// While one batch settles, the next is being laid; all the same no folder gets its name before what is in it is on the disk.
#[test]
fn of_many_batches_each_folder_gets_its_name_after_a_sync_that_began_when_it_was_full() {
    let lab = fleet_of(700);
    let (trace, dir) = (lab.path("trace").display().to_string(), lab.dir().display().to_string());
    let strace = ["-f", "-y", "-o", &trace, "-e", "trace=write,syncfs,fsync,fdatasync,renameat2,mkdir"];
    let ours = [env!("CARGO_BIN_EXE_clusterctl"), "--dir", &dir, "issue-node", "--all"];
    good_tool("strace", &[&strace[..], &ours].concat());
    let calls = std::fs::read_to_string(&trace).expect("a trace");
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
        } else if line.contains("sync(") && line.contains("/ledger.sqlite3>") {
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

/// Runs it until it makes this call, and kills it there, as a power failure would. `only` narrows it to calls about one path.
fn killed_at(lab: &Lab, call: &str, nth: usize, only: Option<&str>, args: &[&str]) {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
    let mut strace = vec!["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let path = only.map(|path| lab.path(path).display().to_string());
    strace.extend(path.iter().flat_map(|path| ["-P", path.as_str()]));
    let dir = lab.dir().display().to_string();
    strace.extend([env!("CARGO_BIN_EXE_clusterctl"), "--dir", &dir]);
    let ran = Command::new("strace").args(strace).args(args).output().expect("strace runs");
    assert!(!ran.status.success(), "it was not killed: {}", String::from_utf8_lossy(&ran.stderr));
}

fn told(lab: &Lab, args: &[&str]) -> String {
    let ran = run(lab, args);
    [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}

#[test]
fn what_a_killed_reissue_leaves_is_told_and_is_swept_although_all_is_good() {
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
    assert!(told(&lab, &["issue-node", "--all"]).contains("nothing to do: 6 certificates good"));
    assert_eq!(unfinished(), 0);
    assert!(!told(&lab, &["verify", "--offline"]).contains(".unfinished-"));
}

#[test]
fn keys_that_a_killed_run_was_about_to_forget_are_told_and_forgotten_by_the_next() {
    let lab = fleet_of(3);
    assert!(run(&lab, &["issue-master", "--all"]).status.success());
    assert!(run(&lab, &["issue-node", "--all"]).status.success());
    let recipient = crate::sealing::ssh_key(&lab, "host", "ed25519", "");
    let bundle = ["bundle", "--all", "--seal-to", &recipient, "--forget-keys"];
    killed_at(&lab, "unlink", 1, Some("pki/nodes/node-1/kubelet-server.key"), &bundle);
    let there = |name: &str| lab.path(&format!("pki/nodes/node-1/{name}")).exists();
    assert!(there("kubelet-server.key") && !there("kubelet-client.key"), "between a host's two keys");
    let offline = told(&lab, &["verify", "--offline", "--output", "json"]);
    assert!(
        offline.contains("its key was to be forgotten") && offline.contains("sealed bundle is installed: rm "),
        "{offline}"
    );
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
