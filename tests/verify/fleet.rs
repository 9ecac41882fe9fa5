//! Many nodes, and nodes that never answer.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration as StdDuration, Instant};

use clusterctl::verify::checks::{Clock, Detail, judge, judge_in};
use clusterctl::verify::finding::{Finding, Status};
use clusterctl::verify::observation::{Handshake, Outcome};
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use time::Duration;

use super::lab::lab;

#[test]
fn equal_answers_share_memory() {
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
fn dropping_observations_changes_no_finding() {
    let lab = lab(1, 3, None);
    let mut seen = lab.observe();
    // Not every node was checked completely.
    seen.peers[2].locations.clear();
    let kept = lab.judge(&seen);
    assert!(kept.iter().any(|finding| finding.status == Status::NotProven));
    let clock = Clock { now: lab.now, expires_within: Duration::days(30) };
    assert_eq!(judge_in(Detail::Everything, &lab.target, seen, clock), kept);
}

const GOOD: usize = 150;
const SILENT: usize = 400;

#[derive(Default)]
struct Counts {
    /// The number of open connections to silent servers.
    open: usize,
    /// The maximum number of open connections.
    most: usize,
    /// The number of other hosts that the run has finished.
    done: usize,
}

/// Servers that accept and never answer. They close their connections when all of them have one and all other hosts are done.
struct SilentServers {
    ports: Vec<u16>,
    counts: Arc<Mutex<Counts>>,
    released: tokio::sync::watch::Sender<bool>,
    runtime: tokio::runtime::Runtime,
}

impl SilentServers {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
        let mut servers =
            Self { ports: Vec::new(), counts: Arc::default(), released: tokio::sync::watch::channel(false).0, runtime };
        for _ in 0..SILENT {
            let bound = servers.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
            let listener = bound.expect("a free port");
            servers.ports.push(listener.local_addr().expect("an address").port());
            let (counts, released) = (servers.counts.clone(), servers.released.clone());
            servers.runtime.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(Self::hold(stream, counts.clone(), released.clone()));
                }
            });
        }
        servers
    }

    /// Holds a connection until the client or the release ends it.
    async fn hold(
        mut stream: tokio::net::TcpStream,
        counts: Arc<Mutex<Counts>>,
        released: tokio::sync::watch::Sender<bool>,
    ) {
        Self::count(&counts, &released, |counts| counts.open += 1);
        let (mut release, mut sink) = (released.subscribe(), tokio::io::sink());
        tokio::select! {
            _ = tokio::io::copy(&mut stream, &mut sink) => {}
            _ = release.wait_for(|released| *released) => {}
        }
        Self::count(&counts, &released, |counts| counts.open -= 1);
    }

    fn count(counts: &Mutex<Counts>, released: &tokio::sync::watch::Sender<bool>, change: impl FnOnce(&mut Counts)) {
        let mut counts = counts.lock().expect("no panic");
        change(&mut counts);
        counts.most = counts.most.max(counts.open);
        if counts.open >= SILENT && counts.done >= GOOD {
            released.send_replace(true);
        }
    }
}

/// Nodes that accept a connection and never answer, beside valid ones. No clock is used: the silent servers close only
/// when all of them are connected at once and the valid hosts are done, so a run that waits for some hosts before it
/// connects to others would run into the timeout.
#[test]
fn silent_hosts_do_not_delay_others() {
    let lab = lab(1, GOOD, None);
    let servers = SilentServers::start();
    let options = Options { timeout: StdDuration::from_secs(60), readonly_port: None, ..Options::default() };
    let mut target = (*lab.target).clone();
    for (i, port) in servers.ports.iter().enumerate() {
        let mut peer = target.nodes[0].clone();
        (peer.name, peer.port) = (format!("hole-{i}"), *port);
        peer.addresses = vec![clusterctl::cluster::address::Address::parse("127.0.0.1").expect("an address")];
        peer.account_checked = false;
        target.nodes.insert(i * target.nodes.len() / SILENT, peer);
    }
    let progress = |done, _| SilentServers::count(&servers.counts, &servers.released, |counts| counts.done = done);
    let seen = run(&Arc::new(target.clone()), &options, lab.now, &progress).expect("a network");
    assert_eq!(servers.counts.lock().expect("no panic").most, SILENT, "as many are waited for at once");
    let silent = seen.peers.iter().filter(|peer| peer.host.starts_with("hole-"));
    let dials = silent.flat_map(|peer| &peer.locations).flat_map(|location| &location.dials);
    let outcomes: Vec<&Handshake> = dials.filter_map(|dial| dial.tls.as_ref()).map(|tls| &tls.outcome).collect();
    assert_eq!(outcomes.len(), SILENT);
    assert!(outcomes.iter().all(|outcome| **outcome == Handshake::Closed), "none ran into the timeout: {outcomes:?}");
    let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
    let count = |hole: bool, id: &str, status: Status| {
        let wanted = |f: &&Finding| f.id.to_string() == id && f.status == status && f.host.starts_with("hole-") == hole;
        findings.iter().filter(wanted).count()
    };
    assert_eq!((count(true, "node.tls", Status::Fail), count(true, "node.connect", Status::Pass)), (SILENT, SILENT));
    assert_eq!((count(false, "node.caller", Status::Pass), count(false, "node.config", Status::Pass)), (GOOD, GOOD));
    servers.runtime.shutdown_background();
}

#[test]
#[ignore = "a measurement: run it alone, in a release build"]
#[expect(clippy::print_stdout, reason = "a measurement is there to be read")]
fn measured_1000_silent_hosts_and_10000_nodes() {
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
        // Half are silent after TCP opens; once the backlog is full, the others do not open at all.
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
