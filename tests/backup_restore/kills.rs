//! Backups and restores that are killed, or run at the same time as another command.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::small;
use crate::support::encryption::age_key;
use crate::support::outside::needs;

#[test]
fn a_backup_during_a_writing_command_is_consistent() {
    needs!("age");
    let lab = crate::support::fleets::fleet_of(60);
    let recipient = age_key(&lab, "admin.key");
    let mut writer = lab
        .process(&["issue-node", "--all", "--reissue"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    for i in 0..3 {
        let file = format!("{i}.age");
        let made = lab.process(&["backup", &file, "--encrypt-to", &recipient]).output().expect("it runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        lab.good(&["--dir", &format!("restored-{i}"), "restore", &file, "--identity", "admin.key"]);
    }
    assert!(writer.wait().expect("it ends").success());
}

/// Runs a command that is killed at the `nth` system call of a kind; returns false if it made fewer of them.
fn killed(call: &str, nth: usize, args: &[&str]) -> bool {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
    let strace = ["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject, env!("CARGO_BIN_EXE_clusterctl")];
    let ran = Command::new("strace").args(strace).args(args).output().expect("strace runs");
    !ran.status.success()
}

const WRITES: [&str; 6] = [
    "write,pwrite64",
    "linkat,link",
    "rename,renameat,renameat2",
    "fsync,fdatasync,syncfs",
    "mkdir,mkdirat,fchmod,chmod",
    "unlink,unlinkat",
];

#[test]
fn a_backup_that_is_killed_leaves_nothing_or_everything() {
    needs!("age", "strace");
    let (lab, recipient) = small();
    let (dir, file) = (lab.dir().display().to_string(), lab.path("killed.age"));
    let args = ["--dir", &dir, "backup", &file.display().to_string(), "--encrypt-to", &recipient];
    for call in WRITES {
        let mut nth = 1;
        while killed(call, nth, &args) {
            let left = fs::read_dir(lab.dir()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
            let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("unfinished")).collect();
            assert!(left.is_empty(), "{call} {nth}: {left:?}");
            if file.exists() {
                let to = lab.path("again").display().to_string();
                lab.good(&["--dir", &to, "restore", "killed.age", "--identity", "admin.key"]);
                fs::remove_dir_all(to).expect("removed");
                fs::remove_file(&file).expect("removed");
            }
            lab.good(&["ledger", "check"]);
            nth = next(nth);
        }
        assert!(file.exists(), "{call}: without a kill it is made");
        fs::remove_file(&file).expect("removed");
    }
}

#[test]
fn a_restore_that_is_killed_leaves_nothing_or_everything() {
    needs!("age", "strace");
    let (lab, _) = small();
    let (key, file) = (lab.path("admin.key").display().to_string(), lab.path("prod.age").display().to_string());
    let out = tempfile::tempdir().expect("a folder");
    for (name, exists) in [("absent", false), ("empty", true)] {
        let place = out.path().join(name);
        let dir = place.display().to_string();
        let args = ["--dir", &dir, "restore", &file, "--identity", &key];
        for call in WRITES {
            let mut nth = 1;
            loop {
                let _ = fs::remove_dir_all(&place);
                if exists {
                    fs::create_dir(&place).expect("a folder");
                }
                if !killed(call, nth, &args) {
                    break;
                }
                if place.join("cluster.yaml").exists() {
                    lab.good(&["--dir", &dir, "ledger", "check"]);
                    lab.good(&["--dir", &dir, "issue-node", "--all"]);
                } else {
                    assert!(fs::read_dir(&place).map_or(0, Iterator::count) == 0, "{call} {nth}");
                    lab.good(&["--dir", &dir, "restore", &file, "--identity", &key]);
                }
                assert_eq!(unfinished(out.path()), 0, "{call} {nth}: the next restore removes what was left");
                nth = next(nth);
            }
            assert!(place.join("cluster.yaml").exists(), "{call}: without a kill it is restored");
            assert!(
                nth > 1 || call.starts_with("link") || call.starts_with("unlink"),
                "{call}: else this proves nothing"
            );
        }
    }
}

/// Returns the number of unfinished folders.
fn unfinished(folder: &Path) -> usize {
    let names = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    names.filter(|name| name.to_string_lossy().starts_with(".unfinished-")).count()
}

/// Returns the next call to kill at: every call at first, later fewer, because there are hundreds of writes.
fn next(nth: usize) -> usize {
    nth + 1 + nth / 12
}
