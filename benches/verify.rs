//! How fast `verify` dials, beside a bare TLS client that makes as many handshakes with the same servers in the same run.
//!
//! `cargo bench --bench verify -- [NODES]`; the ratio should be at least 0.8. Then: 1,000 nodes that answer nothing beside
//! 1,000 that do, counted in timeouts; and how much memory a run takes at its peak.

#![expect(clippy::print_stdout, reason = "a bench is there to be read")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clusterctl::cluster::name::HostName;
use clusterctl::cluster::profile::{Leaf, Profile, RootKind};
use clusterctl::cluster::spec::{Cluster, Draft, DraftHost};
use clusterctl::pki::authority::{Authority, Credential, create_root};
use clusterctl::pki::certificate::Certificate;
use clusterctl::standin::cluster::{Config, StandIn, reserve};
use clusterctl::verify::checks::{Clock, judge};
use clusterctl::verify::finding::{Finding, Status, Strictness};
use clusterctl::verify::observation::Observations;
use clusterctl::verify::options::Options;
use clusterctl::verify::probe;
use clusterctl::verify::recording::Recording;
use clusterctl::verify::target::{Held, Identity, Target};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use time::OffsetDateTime;
use tokio_rustls::TlsConnector;

const CONCURRENCY: usize = 128;
/// Short, so that the bench is: what counts is how many of them a run takes.
const TIMEOUT: Duration = Duration::from_secs(3);

fn main() {
    let nodes = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(2000);
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard }).expect("the hard limit is ours");
    let began = Instant::now();
    let site = Site::start(nodes, 0);
    println!("a stand-in of 1 master and {nodes} nodes on loopback, ready in {:.1} s\n", began.elapsed().as_secs_f64());
    // Of a very large fleet only the memory is of interest.
    if nodes <= 5000 {
        rates(&site, nodes);
    }
    let recording = memory(&site);
    drop(site);
    replay(&recording);
    if nodes > 5000 {
        return;
    }
    holes(1000, 1000, CONCURRENCY);
    holes(1000, 1000, 4096);
}

/// Ours and the bare loop in turn, three times, so that neither has the quieter machine; the median counts.
fn rates(site: &Site, nodes: usize) {
    let options = Options { concurrency: CONCURRENCY, readonly_port: None, ..Options::default() };
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let (seen, took) = timed(|| probe::run(&site.target, &options, site.now, &|_, _| {}).expect("a network"));
        let count = handshakes(&seen);
        let ours = count as f64 / took.as_secs_f64();
        println!("verify      {count} handshakes in {:.2} s   {ours:.0}/s", took.as_secs_f64());
        assert!(count >= 5 * nodes, "every call is made");
        let (done, took) = timed(|| site.bare(count));
        assert_eq!(done, count, "every bare handshake succeeds");
        let bare = count as f64 / took.as_secs_f64();
        println!(
            "bare loop   {count} handshakes in {:.2} s   {bare:.0}/s   ratio {:.2}",
            took.as_secs_f64(),
            ours / bare
        );
        ratios.push(ours / bare);
        let (findings, took) = timed(|| judge(&site.target, &seen, site.clock()));
        let good = findings.iter().all(|finding| finding.status == Status::Pass);
        println!("judging     {} findings in {:.2} s, all pass: {good}\n", findings.len(), took.as_secs_f64());
        assert!(good, "{:?}", findings.iter().find(|finding| finding.status != Status::Pass));
    }
    ratios.sort_by(f64::total_cmp);
    println!("ratio {:.2} (wanted: at least 0.8)\n", ratios[1]);
}

fn memory(site: &Site) -> Vec<u8> {
    let options = Options { concurrency: CONCURRENCY, readonly_port: None, ..Options::default() };
    // The kernel forgets the peak so far (proc(5), clear_refs).
    let forgotten = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = status("VmRSS");
    let seen = probe::run(&site.target, &options, site.now, &|_, _| {}).expect("a network");
    let recording = Recording::new(&site.target, Vec::new(), seen, site.clock(), Strictness::default(), site.now);
    let text = recording.report().to_text(Default::default());
    let peak = status("VmHWM");
    println!(
        "memory      {before} MiB before, {peak} MiB at the peak of asking and judging{}; the servers' side is in it",
        if forgotten { "" } else { " (since the start: the peak cannot be reset here)" }
    );
    println!("report      {} lines", text.lines().count());
    recording.to_bytes().expect("it can be recorded")
}

fn replay(bytes: &[u8]) {
    let (recording, took) = timed(|| Recording::from_bytes(bytes).expect("our own"));
    let (_, judged) = timed(|| recording.report());
    let (mib, read, judged) = (bytes.len() as f64 / f64::from(1 << 20), took.as_secs_f64(), judged.as_secs_f64());
    println!("recording   {mib:.1} MiB, read in {read:.2} s, judged in {judged:.2} s\n");
}

/// `holes` nodes that answer nothing at all beside `good` ones.
fn holes(good: usize, holes: usize, concurrency: usize) {
    let site = Site::start(good, holes);
    let options = Options { concurrency, timeout: TIMEOUT, readonly_port: None, ..Options::default() };
    let (seen, took) = timed(|| probe::run(&site.target, &options, site.now, &|_, _| {}).expect("a network"));
    let findings = judge(&site.target, &seen, site.clock());
    let of = |finding: &&Finding, status| finding.status == status && finding.id.to_string() == "node.connect";
    let silent = findings.iter().filter(|finding| of(finding, Status::Fail)).count();
    let open = findings.iter().filter(|finding| of(finding, Status::Pass)).count();
    println!(
        "{silent} silent nodes beside {open} good ones, {concurrency} at once: {:.1} s, {:.1} timeouts",
        took.as_secs_f64(),
        took.as_secs_f64() / TIMEOUT.as_secs_f64()
    );
    assert_eq!((open, silent), (good, holes));
}

/// How many handshakes were completed: one to look, one for each call.
fn handshakes(seen: &Observations) -> usize {
    let dials = seen.peers.iter().flat_map(|peer| &peer.locations).flat_map(|location| &location.dials);
    dials
        .map(|dial| usize::from(dial.tls.is_some()) + dial.exchanges.iter().filter(|e| !e.shown.is_empty()).count())
        .sum()
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = work();
    (done, began.elapsed())
}

/// A line of /proc/self/status, in MiB; 0 where there is none.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

struct Site {
    now: OffsetDateTime,
    target: Arc<Target>,
    root: Certificate,
    caller: Credential,
    at: Vec<SocketAddr>,
    _running: StandIn,
    _silent: Option<(TcpListener, Vec<TcpStream>)>,
}

impl Site {
    fn start(nodes: usize, holes: usize) -> Self {
        let now = OffsetDateTime::now_utc();
        let reserved = reserve(1, nodes).expect("loopback has addresses");
        let addresses = reserved.addresses().clone();
        let host = |name: String, at: &SocketAddr| DraftHost {
            name: Some(name),
            addresses: vec![at.ip().to_string()],
            port: Some(at.port().to_string()),
            ..DraftHost::default()
        };
        let masters = addresses.masters.iter().map(|at| host("master".into(), at)).collect();
        let draft = |silent: &[SocketAddr]| {
            let all = addresses.nodes.iter().chain(silent).enumerate();
            Draft {
                name: Some("bench".into()),
                endpoint: Some(format!("https://{}", addresses.masters[0])),
                masters: Vec::clone(&masters),
                nodes: all.map(|(i, at)| host(format!("node-{i}"), at)).collect(),
                ..Draft::default()
            }
        };
        let served = draft(&[]).check().expect("a good draft");
        let silent = (holes > 0).then(silence);
        let first = Ipv4Addr::new(127, 200, 0, 1).to_bits();
        let silent_at: Vec<SocketAddr> = silent
            .iter()
            .flat_map(|(listener, _)| {
                let port = listener.local_addr().expect("an address").port();
                (first..).take(holes).map(move |bits| (IpAddr::V4(Ipv4Addr::from_bits(bits)), port).into())
            })
            .collect();
        let cluster = draft(&silent_at).check().expect("a good draft");
        let root = create_root(RootKind::Cluster, &cluster.name, cluster.keys, cluster.validity.ca, now);
        let root = root.expect("a root").into_inner();
        let made = issue(&cluster, &root, now);
        let held = |leaf: &Leaf| {
            let credential = &made[&(leaf.host.clone(), leaf.profile)];
            let identity = Identity::of(credential).expect("an identity");
            Held { issued: Some(credential.certificate.fingerprint()), identity: Some(identity), missing: None }
        };
        let target = Arc::new(Target::of(&cluster, vec![root.certificate.clone()], held));
        let mut made = made;
        let mut take = |host: &HostName, profile| made.remove(&(Some(host.clone()), profile)).expect("issued");
        let caller = take(&served.masters[0].name, Profile::ApiserverKubeletClient);
        let masters = served.masters.iter().map(|host| take(&host.name, Profile::Apiserver)).collect();
        let nodes = served.nodes.iter().map(|host| take(&host.name, Profile::KubeletServer)).collect();
        let certificate = root.certificate.clone();
        let config = Config { cluster: served, root: root.certificate, masters, nodes, fault: None, now };
        let running = reserved.start(config).expect("a running cluster");
        Self { now, target, root: certificate, caller, at: addresses.nodes, _running: running, _silent: silent }
    }

    fn clock(&self) -> Clock {
        Clock { now: self.now, expires_within: time::Duration::days(30) }
    }

    /// As many handshakes as `count`, as tokio-rustls makes them when nothing else is asked of it: webpki's verification,
    /// the client's certificate shown, no resumption, as many at once as ours.
    fn bare(&self, count: usize) -> usize {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().to_vec().into()).expect("a root");
        let chain = vec![CertificateDer::from(self.caller.certificate.der().to_vec())];
        let key = PrivateKeyDer::try_from(self.caller.key.expose_pkcs8().to_vec()).expect("a key");
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks them")
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .expect("they fit");
        config.resumption = rustls::client::Resumption::disabled();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let at: Arc<[SocketAddr]> = self.at.clone().into();
        let (next, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
        runtime.block_on(async {
            let mut set = tokio::task::JoinSet::new();
            for _ in 0..CONCURRENCY {
                let (connector, at, next, done) = (connector.clone(), at.clone(), next.clone(), done.clone());
                set.spawn(async move {
                    loop {
                        let turn = next.fetch_add(1, Ordering::Relaxed);
                        if turn >= count {
                            return;
                        }
                        let to = at[turn % at.len()];
                        let Ok(stream) = tokio::net::TcpStream::connect(to).await else { continue };
                        let _ = stream.set_nodelay(true);
                        let name = ServerName::from(to.ip());
                        done.fetch_add(usize::from(connector.connect(name, stream).await.is_ok()), Ordering::Relaxed);
                    }
                });
            }
            while set.join_next().await.is_some() {}
        });
        done.load(Ordering::Relaxed)
    }
}

fn issue(
    cluster: &Cluster,
    root: &Credential,
    now: OffsetDateTime,
) -> HashMap<(Option<HostName>, Profile), Credential> {
    let authority = Authority::open(root, now).expect("a fit root");
    let leaves = cluster.masters.iter().flat_map(|host| cluster.master_leaves(host));
    let leaves = leaves.chain(cluster.nodes.iter().flat_map(|host| cluster.node_leaves(host)));
    let issue = |leaf: Leaf| {
        let credential = authority.issue(&leaf, cluster.keys).expect("a credential").into_inner();
        ((leaf.host, leaf.profile), credential)
    };
    leaves.map(issue).collect()
}

/// A port on every address of loopback at which nothing is ever answered: its queue is full, and the kernel drops what
/// comes.
fn silence() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let at: SocketAddr = (Ipv4Addr::LOCALHOST, listener.local_addr().expect("an address").port()).into();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&at, Duration::from_millis(300)) {
        waiting.push(stream);
        assert!(waiting.len() < 10_000, "the queue does not fill");
    }
    (listener, waiting)
}
