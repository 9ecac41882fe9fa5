//! `apply` that is killed at each of its writes: the same command goes on, and then there is nothing to do.

use std::process::Command;

use serde_json::Value;

use crate::support::fleets::{fleet_of, run};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, forms};

/// Runs `apply` and kills it at the `nth` of these calls. Returns false if it made fewer.
fn is_killed_at(lab: &Lab, call: &str, nth: usize) -> bool {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
    let dir = lab.dir().display().to_string();
    let strace =
        ["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject, env!("CARGO_BIN_EXE_clusterctl"), "--dir", &dir];
    let ran = Command::new("strace").args(strace).arg("apply").output().expect("strace runs");
    match ran.status.code() {
        Some(0) => false,
        Some(code) if code < 128 => panic!("{code}: {}", String::from_utf8_lossy(&ran.stderr)),
        _ => true,
    }
}

fn plan(lab: &Lab) -> Value {
    let ran = run(lab, &["plan", "--output", "json"]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let report = String::from_utf8(ran.stdout).expect("text");
    forms::conforms("apply", &report);
    serde_json::from_str(&report).expect("JSON")
}

/// Kills `apply` at each of these calls, after `start` each time, and asserts that one more run completes it.
fn goes_on_after_kills_at(call: &str, start: impl Fn() -> Lab) {
    needs!("strace", "cp");
    let mut killed = 0;
    for nth in 1.. {
        let lab = start();
        if !is_killed_at(&lab, call, nth) {
            break;
        }
        killed += 1;
        let resumed = run(&lab, &["apply"]);
        assert!(resumed.status.success(), "{call} {nth}: {}", String::from_utf8_lossy(&resumed.stderr));
        let left = plan(&lab);
        assert_eq!(left["changes"], Value::Bool(false), "{call} {nth}: {left:#}");
        let verified = run(&lab, &["verify", "--offline"]);
        assert!(verified.status.success(), "{call} {nth}: {}", String::from_utf8_lossy(&verified.stdout));
    }
    assert!(killed > 3, "{call}: {killed} kills show little");
}

/// Copies a laboratory.
fn copy(of: &Lab) -> Lab {
    let lab = Lab::empty();
    let from = format!("{}/.", of.dir().display());
    crate::support::good_tool("cp", &["-a", &from, &lab.dir().display().to_string()]);
    lab
}

#[test]
fn a_first_apply_goes_on_after_a_kill_at_any_rename() {
    let start = fleet_of(1);
    goes_on_after_kills_at("renameat2", || copy(&start));
}

#[test]
fn a_first_apply_goes_on_after_a_kill_at_any_sync() {
    let start = fleet_of(1);
    goes_on_after_kills_at("fdatasync,fsync,syncfs", || copy(&start));
}

/// The node that is revoked gets new certificates, the masters new rules, and a changed node a new address.
#[test]
fn a_later_apply_goes_on_after_a_kill_at_any_change_of_a_folder() {
    let start = fleet_of(2);
    assert!(run(&start, &["apply"]).status.success());
    assert!(run(&start, &["revoke", "node-1", "--yes"]).status.success());
    let file = start.read("cluster.yaml");
    start.write("cluster.yaml", &file.replace("[10.1.0.1]", "[10.9.9.9]"));
    assert_ne!(file, start.read("cluster.yaml"), "{CLUSTER}");
    goes_on_after_kills_at("renameat2,link,linkat,mkdir,unlink,unlinkat,rmdir", || copy(&start));
}
