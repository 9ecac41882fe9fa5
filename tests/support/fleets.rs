//! Clusters of many nodes, for commands in child processes, with the real clock.

use std::process::{Command, Output};

use super::{Lab, good_tool};

/// Returns a cluster of one master and `count` nodes, with its roots.
pub(crate) fn fleet_of(count: usize) -> Lab {
    let node =
        |i| format!("- {{name: node-{i}, addresses: [10.{}.{}.{}]}}\n", i / 62_500 + 1, i / 250 % 250, i % 250 + 1);
    let nodes: String = (0..count).map(node).collect();
    let mut lab = Lab::with(&format!(
        "apiVersion: clusterctl/v1\nkind: Cluster\nname: fleet\nmasters:\n- {{name: m, addresses: [10.0.0.1]}}\nnodes:\n{nodes}"
    ));
    lab.now = time::OffsetDateTime::now_utc();
    let made = run(&lab, &["init-ca", "--plaintext-ca-key"]);
    assert!(made.status.success());
    lab
}

/// Runs a command as a process.
pub(crate) fn run(lab: &Lab, args: &[&str]) -> Output {
    lab.process(args).output().expect("it runs")
}

/// Runs a command, which must succeed, and returns these of its system calls, one per line, descriptors with their paths.
pub(crate) fn calls_of(lab: &Lab, calls: &str, args: &[&str]) -> String {
    let (trace, dir) = (lab.path("trace").display().to_string(), lab.dir().display().to_string());
    let calls = format!("trace={calls}");
    let strace = ["-f", "-y", "-o", &trace, "-e", &calls, env!("CARGO_BIN_EXE_clusterctl"), "--dir", &dir];
    good_tool("strace", &[&strace[..], args].concat());
    lab.read("trace")
}

/// Runs a command until it makes this call, and kills it there, as a power failure would. `only` narrows it to calls about one
/// path.
pub(crate) fn kill_at(lab: &Lab, call: &str, nth: usize, only: Option<&str>, args: &[&str]) {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
    let mut strace = vec!["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let path = only.map(|path| lab.path(path).display().to_string());
    strace.extend(path.iter().flat_map(|path| ["-P", path.as_str()]));
    let dir = lab.dir().display().to_string();
    strace.extend([env!("CARGO_BIN_EXE_clusterctl"), "--dir", &dir]);
    let ran = Command::new("strace").args(strace).args(args).output().expect("strace runs");
    assert!(!ran.status.success(), "it was not killed: {}", String::from_utf8_lossy(&ran.stderr));
}
