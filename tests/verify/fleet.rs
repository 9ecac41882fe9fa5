//! Many nodes, and nodes that never answer.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration as StdDuration, Instant};

use clusterctl::verify::checks::{Clock, Detail, judge, judge_in};
use clusterctl::verify::finding::{Finding, Status};
use clusterctl::verify::observation::Outcome;
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use time::Duration;

use super::lab::lab;

#[test]
fn what_peers_answer_alike_is_kept_once() {
    let lab = lab(1, 4, None);
    let seen = lab.observe();
    let dials: Vec<_> = seen.peers.iter().flat_map(|peer| &peer.locations).flat_map(|at| &at.dials).collect();
    let outcomes = dials.iter().flat_map(|dial| &dial.exchanges).flat_map(|exchange| {
        std::iter::once(&exchange.outcome).chain(exchange.more.iter().map(|further| &further.outcome))
    });
    let (mut first, mut again): (HashMap<&str, &Arc<str>>, usize) = (HashMap::new(), 0);
    for outcome in outcomes {
        let Outcome::Answer(answer) = outcome else { continue };
        for text in [&answer.version, &answer.body].into_iter().chain(&answer.content_type) {
            if let Some(known) = first.insert(text, text) {
                assert!(Arc::ptr_eq(known, text), "{text}");
                again += 1;
            }
        }
    }
    assert!(again > first.len(), "{again} of {}", first.len());
    for dial in dials {
        let shown = &dial.tls.as_ref().expect("it speaks TLS").server_chain;
        assert!(dial.exchanges.iter().all(|exchange| Arc::ptr_eq(&exchange.server_chain, shown)), "{}", dial.to);
    }
}

#[test]
fn what_is_dropped_once_it_is_judged_changes_no_finding() {
    let lab = lab(1, 3, None);
    let mut seen = lab.observe();
    // Not every node was seen whole.
    seen.peers[2].locations.clear();
    let kept = lab.judge(&seen);
    assert!(kept.iter().any(|finding| finding.status == Status::NotProven));
    let clock = Clock { now: lab.now, expires_within: Duration::days(30) };
    assert_eq!(judge_in(Detail::Everything, &lab.target, seen, clock), kept);
}

/// Nodes that accept a connection and never answer, beside others that are sound: four hundred do not cost a timeout each. How little
/// they cost is measured by `cargo bench --bench verify`.
#[test]
fn hosts_that_never_answer_do_not_hold_up_the_others() {
    const GOOD: usize = 150;
    const SILENT: usize = 400;
    let lab = lab(1, GOOD, None);
    let limit = StdDuration::from_secs(4);
    let options = Options { timeout: limit, readonly_port: None, ..Options::default() };
    let run_beside = |silent: usize| {
        let mut target = (*lab.target).clone();
        // Nobody accepts: the kernel completes the handshake of TCP, and that is all that ever happens.
        let holes: Vec<std::net::TcpListener> =
            (0..silent).map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        for (i, hole) in holes.iter().enumerate() {
            let mut peer = target.nodes[0].clone();
            (peer.name, peer.port) = (format!("hole-{i}"), hole.local_addr().expect("an address").port());
            peer.addresses = vec![clusterctl::cluster::address::Address::parse("127.0.0.1").expect("an address")];
            peer.account_checked = false;
            target.nodes.insert(i * target.nodes.len() / silent, peer);
        }
        let began = Instant::now();
        let seen = run(&Arc::new(target.clone()), &options, lab.now, &|_, _| {}).expect("a network");
        (began.elapsed(), target, seen)
    };
    let (all, target, seen) = run_beside(SILENT);
    assert!(all < limit * u32::try_from(SILENT).expect("few") / 4, "{all:?}");
    let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
    let count = |hole: bool, id: &str, status: Status| {
        let wanted = |f: &&Finding| f.id.to_string() == id && f.status == status && f.host.starts_with("hole-") == hole;
        findings.iter().filter(wanted).count()
    };
    assert_eq!((count(true, "node.tls", Status::Fail), count(true, "node.connect", Status::Pass)), (SILENT, SILENT));
    assert_eq!((count(false, "node.caller", Status::Pass), count(false, "node.config", Status::Pass)), (GOOD, GOOD));
}

#[test]
#[ignore = "a measurement: run it alone, in a release build"]
#[expect(clippy::print_stdout, reason = "a measurement is there to be read")]
fn measured_1000_black_holes_beside_1000_good_nodes_and_10_000_nodes() {
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        status.lines().find(|line| line.starts_with("VmHWM")).expect("there").to_owned()
    };
    let nodes: usize = std::env::var("NODES").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let holes: usize = std::env::var("HOLES").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let lab = lab(1, nodes, None);
    let mut target = (*lab.target).clone();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    for i in 0..holes {
        let mut peer = target.nodes[0].clone();
        // Half are silent after TCP opened, until the backlog is full; the other half then do not even open.
        (peer.name, peer.port) = (format!("hole-{i}"), listener.local_addr().expect("an address").port());
        peer.addresses = vec![clusterctl::cluster::address::Address::parse("127.0.0.1").expect("an address")];
        peer.account_checked = false;
        target.nodes.insert((2 * i + 1).min(target.nodes.len()), peer);
    }
    println!("before: {}", peak());
    let began = Instant::now();
    let target = Arc::new(target);
    let seen = run(&target, &Options::default(), lab.now, &|_, _| {}).expect("a network");
    println!("asked in {:?}: {}", began.elapsed(), peak());
    let began = Instant::now();
    let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
    println!("{} findings in {:?}: {}", findings.len(), began.elapsed(), peak());
    let well = findings.iter().filter(|f| f.id.to_string() == "node.caller" && f.status == Status::Pass).count();
    let bad: BTreeSet<String> = findings
        .iter()
        .filter(|f| f.status != Status::Pass && !f.host.starts_with("hole-"))
        .map(|f| format!("{} {} {}", f.id, f.status.as_str(), f.observed))
        .take(5)
        .collect();
    println!("{well} nodes answered; {bad:#?}");
    let text = lab.text(&findings);
    println!("text of {} lines: {}", text.lines().count(), peak());
}
