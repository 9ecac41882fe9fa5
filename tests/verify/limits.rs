//! Limits of a run: descriptors and memory. The program and the servers run in separate processes, so the figures are
//! only the program's.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use clusterctl::cluster::profile::{CaRole, Profile};
use clusterctl::pki::issuer::Issuer;

use super::hostile::speaker;
use super::site::Foreign;
use crate::support::live::Live;
use crate::support::outside::needs;

const PROGRAM: &str = env!("CARGO_BIN_EXE_clusterctl");

/// Runs a command, and returns its exit status, its output, and its peak memory in MiB.
fn watched(command: &mut Command) -> (i32, String, u64) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
    let status = format!("/proc/{}/status", child.id());
    let out = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let reader = std::thread::spawn(move || std::io::read_to_string(out).expect("text"));
    let mut peak = 0;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = line.trim().trim_end_matches("kB").trim().parse().unwrap_or(peak);
        if let Some(ended) = child.try_wait().expect("its child") {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    (ended.code().expect("no signal"), reader.join().expect("it reads"), peak / 1024)
}

#[test]
fn few_file_descriptors_only_slow_verify_down() {
    needs!("bash", "python3", "xmllint");
    let live = Live::sized(1, 60, None);
    // The first limit is a soft limit, which is raised; the others are hard limits.
    for limit in ["-S -n 40", "-n 160", "-n 48"] {
        let script = format!("ulimit {limit} && exec {PROGRAM} verify");
        let mut command = Command::new("bash");
        let (status, said, peak) = watched(command.args(["-c", &script]).current_dir(live.lab.dir()));
        assert_eq!(status, 0, "ulimit {limit}: {said}");
        assert!(said.contains("\n60 nodes pass ") && said.contains("Proven: "), "ulimit {limit}: {said}");
        assert!(peak > 0 && peak < 100, "{peak} MiB");
    }
}

/// Endless headers, bodies and interim answers, from many peers at once.
#[test]
fn endless_answers_use_bounded_memory() {
    let lab = Foreign::new();
    let credential = lab.issue();
    let endless: [fn(&mut dyn Write) -> std::io::Result<()>; 3] = [
        |out| {
            write!(out, "HTTP/1.1 200 OK\r\n")?;
            (0..).try_for_each(|i: u64| write!(out, "x-{i}: {}\r\n", "y".repeat(4000)))
        },
        |out| {
            write!(out, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{{\"kind\":\"PodList\",")?;
            (0..).try_for_each(|_: u64| out.write_all(&[b' '; 16384]))
        },
        |out| (0..).try_for_each(|_: u64| out.write_all(&b"HTTP/1.1 100 Continue\r\n\r\n".repeat(600))),
    ];
    let issuer = Issuer::open(CaRole::Cluster, &lab.root, lab.now).expect("a valid root");
    let leaves = lab.cluster.master_specs(&lab.cluster.masters[0]);
    let leaf = leaves.iter().find(|leaf| leaf.profile == Profile::ApiserverKubeletClient).expect("in the table");
    let master = issuer.issue_credential(leaf, lab.cluster.keys, lab.now).expect("a credential").into_inner();
    drop(issuer);
    lab.write(&master);
    let mut command = Command::new(PROGRAM);
    command.args(["verify", "--timeout", "2", "--ca", "ca.crt", "--master-cert", "server.crt"]);
    command.args(["--master-key", "server.key"]);
    const PEERS: usize = 24;
    for i in 0..PEERS {
        let port = speaker(&credential, &credential, endless[i % endless.len()]);
        command.args(["--node", &format!("node-{i}=127.0.0.1:{port}")]);
    }
    let (status, said, peak) = watched(command.current_dir(lab.folder.path()));
    assert_eq!(status, 1, "{said}");
    // A peer may occupy at most 64 KiB of headers, a window, and the kept part of a body.
    assert!(peak > 0 && peak < 96, "{peak} MiB for {PEERS} peers");
}
