//! Full and read-only disks: errors name the file and the remedy, files are complete or absent, and the same command finishes
//! the work when there is space.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::fleets::{fleet_of, run};
use crate::support::outside::needs;
use crate::support::{Lab, good_tool};

const NODES: usize = 400;
/// The system's message for ENOSPC.
const NO_SPACE: &str = "No space left on device";
/// The system's message for EROFS.
const READ_ONLY: &str = "Read-only file system";

fn fleet() -> Lab {
    fleet_of(NODES)
}

/// Asserts that an error has the system's message and a hint, and names no temporary file.
#[track_caller]
fn assert_full(stderr: &str) {
    assert!(stderr.contains(NO_SPACE) && stderr.contains("\nhint: "), "{stderr}");
    assert!(!stderr.contains(".unfinished"), "{stderr}");
}

/// A small file system that can be filled; unmounted on drop.
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
fn commands_that_only_read_work_on_a_full_disk() {
    needs!("mount", "root", "umount");
    let lab = Lab::issued();
    let place = lab.path("disk");
    std::fs::create_dir(&place).expect("a folder");
    let _disk = SmallDisk::mount(&place, "4m");
    let dir = place.display().to_string();
    for name in ["cluster.yaml", "pki", "policy"].into_iter().filter(|name| lab.path(name).exists()) {
        good_tool("cp", &["-r", &lab.path(name).display().to_string(), &dir]);
    }
    let filled = std::fs::write(place.join("fill"), vec![0; 8 << 20]);
    assert!(filled.is_err(), "it is full");
    for args in [&["ledger", "check"][..], &["log"], &["status"]] {
        lab.good(&[&["--dir", "disk"], args].concat());
    }
}

#[test]
fn issue_on_a_full_disk_tears_nothing_and_a_rerun_completes() {
    needs!("mount", "root", "umount");
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
    let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(4), "{stderr}");
    assert_full(&stderr);
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
fn packing_on_a_full_disk_keeps_existing_bundles_and_a_rerun_completes() {
    needs!("find", "mount", "root", "umount");
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
        // One bundle exists already, and must survive.
        assert!(run(&lab, &["--dir", &dir, "bundle", "node-1", "--format", format]).status.success());
        let used = good_tool("df", &["-k", "--output=used", &dir]);
        let used: u64 = used.lines().nth(1).expect("a number").trim().parse().expect("a number");
        let before = good_tool("find", &[&format!("{dir}/bundles"), "-printf", "%P %m %s\n"]);
        disk.grow(&format!("{}k", used + 700));
        let ran = run(&lab, &["--dir", &dir, "bundle", "--all", "--format", format]);
        let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(4), "{format}: {stderr}");
        assert_full(&stderr);
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
fn a_read_only_disk_exits_with_4() {
    needs!("mount", "root", "umount");
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
        let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(4), "{args:?}: {stderr}");
        assert!(stderr.contains(READ_ONLY) && stderr.contains("\nhint: "), "{args:?}: {stderr}");
    }
    // These commands only read.
    assert!(run(&lab, &["--dir", &dir, "issue-node", "--all", "--dry-run"]).status.success());
    drop(disk);
}

/// Copies a directory onto a small disk, and fills the disk.
fn on_a_full_disk<'l>(lab: &Lab, place: &'l Path) -> SmallDisk<'l> {
    std::fs::create_dir(place).expect("a folder");
    let disk = SmallDisk::mount(place, "4m");
    for name in ["cluster.yaml", "pki"] {
        good_tool("cp", &["-r", &lab.path(name).display().to_string(), &place.display().to_string()]);
    }
    assert!(std::fs::write(place.join("fill"), vec![0; 8 << 20]).is_err(), "it is full");
    disk
}

#[test]
fn a_rebuild_on_a_full_disk_names_the_ledger_and_a_rerun_completes() {
    needs!("mount", "root", "umount");
    let lab = Lab::issued();
    let place = lab.path("disk");
    std::fs::remove_file(lab.path("pki/ledger.sqlite3")).expect("removed");
    let _disk = on_a_full_disk(&lab, &place);
    let rebuild = ["--dir", "disk", "ledger", "rebuild"];
    let ran = lab.run(&rebuild);
    assert_eq!(ran.status, 4, "{ran}");
    assert_full(&ran.err);
    assert!(ran.err.contains("disk/pki/ledger.sqlite3: "), "{ran}");
    std::fs::remove_file(place.join("fill")).expect("removed");
    lab.good(&rebuild);
    lab.good(&["--dir", "disk", "ledger", "check"]);
}

#[test]
fn no_error_on_a_full_disk_names_a_temporary_file() {
    needs!("mount", "root", "umount");
    let lab = Lab::issued();
    let place = lab.path("disk");
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    lab.good(&["backup", "full.age", "--passphrase-file", "passphrase"]);
    lab.good(&["bundle", "on"]);
    let _disk = on_a_full_disk(&lab, &place);
    let empty = place.join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    std::fs::create_dir(place.join("other")).expect("a folder");
    for args in [
        &["--dir", "disk", "issue-node", "--all", "--reissue"][..],
        &["--dir", "disk", "issue-admin", "alice"],
        &["--dir", "disk", "bundle", "--all"],
        &["--dir", "disk", "bundle", "--all", "--format", "dir"],
        &["--dir", "disk", "bundle", "--verifier"],
        &["--dir", "disk", "policy"],
        &["--dir", "disk", "revoke", "on", "--yes"],
        &["--dir", "disk", "rotate-ca", "start"],
        &["--dir", "disk", "backup", "disk/other/new.age", "--passphrase-file", "passphrase"],
        &["--dir", "disk/empty", "restore", "full.age", "--passphrase-file", "passphrase"],
        &["open", "bundles/on.tar.gz", "--to", "disk/other/on"],
    ] {
        let ran = lab.run(args);
        assert_eq!(ran.status, 4, "{args:?}: {ran}");
        assert_full(&ran.err);
    }
    std::fs::remove_file(place.join("fill")).expect("removed");
    std::fs::copy(lab.path("cluster.yaml"), empty.join("cluster.yaml")).expect("copied");
    assert!(std::fs::write(place.join("fill"), vec![0; 8 << 20]).is_err(), "it is full");
    for args in [
        &["init-ca", "--plaintext-ca-key"][..],
        &["init-ca", "--plaintext-ca-key", "--intermediate", "--root-out", "disk/roots"],
    ] {
        let ran = lab.run(&[&["--dir", "disk/empty"], args].concat());
        assert_eq!(ran.status, 4, "{args:?}: {ran}");
        assert_full(&ran.err);
    }
}
