//! The speed of `verify`'s connections, beside a bare TLS client that makes as many handshakes with the same servers in the
//! same run; the cost of hosts that never answer; the memory for a large fleet.
//!
//! `cargo bench --bench verify` (two to three minutes). Servers and clients are separate processes, so that only the
//! client side is measured, with its memory.

#![expect(clippy::print_stdout, reason = "a bench is there to be read")]

mod bare;
mod dialling;
mod site;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::site::Site;

/// The program's allocator, for servers and clients.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A short timeout: the bench counts how many of them a run takes.
const TIMEOUT: Duration = Duration::from_secs(3);

fn main() {
    // Other arguments are from cargo.
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["dial", dir, timeout, ..] => {
            return dialling::dial(Path::new(dir), Duration::from_secs(timeout.parse().expect("seconds")));
        }
        // Only the servers, to profile one client: `-- serve 2000`, then `-- dial DIRECTORY 5`.
        ["serve", nodes, ..] => return serve(nodes.parse().expect("a number")),
        // Only one round: `-- memory 20000`.
        ["memory", nodes, ..] => return memory(nodes.parse().expect("a number")),
        ["rates", nodes, ..] => return rates(nodes.parse().expect("a number")),
        ["holes", each, ..] => return holes(each.parse().expect("a number"), each.parse().expect("a number")),
        ["bare", dir, count, ..] => return bare::shake(Path::new(dir), count.parse().expect("a number")),
        _ => {}
    }
    // A smaller round, as a smoke test: `-- 100`.
    let small: Option<usize> = args.iter().find_map(|arg| arg.parse().ok());
    rates(small.unwrap_or(2000));
    holes(small.unwrap_or(1000), small.unwrap_or(1000));
    memory(small.unwrap_or(10_000));
}

/// Serves until its standard input ends.
fn serve(nodes: usize) {
    let site = Site::start(nodes, 0);
    println!("{}", site.dir());
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

/// Alternates between ours and the bare loop, so that both see the same load; the median counts.
fn rates(nodes: usize) {
    const TURNS: usize = 5;
    let site = Site::start(nodes, 0);
    let mut ratios = Vec::new();
    for _ in 0..TURNS {
        let ours = child(&["dial", &site.dir(), "5"]);
        assert!(ours.number("failed") == 0.0, "{}", ours.0);
        let count = ours.number("handshakes");
        assert!(count >= (6 * nodes) as f64, "every call is made: {}", ours.0);
        let bare = child(&["bare", &site.dir(), &format!("{count}")]);
        assert_eq!(bare.number("handshakes"), count, "every bare handshake succeeds");
        let rate = |of: &Said| of.number("handshakes") / of.number("seconds");
        let (ours, bare) = (rate(&ours), rate(&bare));
        println!(
            "{nodes} nodes, {count} handshakes: verify {ours:.0}/s, bare loop {bare:.0}/s, ratio {:.2}",
            ours / bare
        );
        ratios.push(ours / bare);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "ratio {:.2}, from {:.2} to {:.2} (wanted: at least 0.8)\n",
        ratios[TURNS / 2],
        ratios[0],
        ratios[TURNS - 1]
    );
}

/// Nodes that never answer beside as many valid ones. The time that the silent ones add counts: the processor time of the
/// valid ones depends on the machine.
fn holes(good: usize, holes: usize) {
    let seconds = |silent: usize| {
        let site = Site::start(good, silent);
        let said = child(&["dial", &site.dir(), &TIMEOUT.as_secs().to_string()]);
        assert_eq!((said.number("open"), said.number("silent")), (good as f64, silent as f64), "{}", said.0);
        said.number("seconds")
    };
    let (alone, beside) = (seconds(0), seconds(holes));
    let timeouts = (beside - alone) / TIMEOUT.as_secs_f64();
    println!(
        "{good} good nodes: {alone:.1} s, with {holes} silent ones beside {beside:.1} s: {timeouts:.2} timeouts more (wanted: at most 2)\n"
    );
}

/// The command itself, as it is run.
fn memory(nodes: usize) {
    let site = Site::start(nodes, 0);
    let began = Instant::now();
    let mut verify = Command::new(env!("CARGO_BIN_EXE_clusterctl"))
        .args(["--dir", &site.dir(), "verify"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let status = format!("/proc/{}/status", verify.id());
    let mut peak = 0;
    let ended = loop {
        // The kernel keeps the peak, so that only the very last moments can be missed.
        peak = peak_of(&status).unwrap_or(peak);
        if let Some(ended) = verify.try_wait().expect("its child") {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(ended.success(), "{ended}");
    let (peak, took) = (peak as f64 / 1024.0, began.elapsed().as_secs_f64());
    println!("{nodes} nodes, clusterctl verify: {peak:.0} MiB at the peak (wanted: below 200), {took:.1} s");
}

/// Parses a child's output of `name value` lines.
struct Said(String);

impl Said {
    fn number(&self, name: &str) -> f64 {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is not in {}", self.0))
    }
}

/// Returns this program in another role.
fn child(args: &[&str]) -> Said {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).args(args).stderr(Stdio::inherit()).output().expect("a child");
    assert!(output.status.success(), "{args:?}: {}", output.status);
    Said(String::from_utf8(output.stdout).expect("text"))
}

/// In KiB.
fn peak_of(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
