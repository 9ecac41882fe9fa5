//! The rotation of etcd's CA with the real etcd: three members with the flags and files of their bundles, and API servers
//! that write all the time and never lose a write.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clusterctl::cluster::profile::CaRole;
use clusterctl::fake_cluster::cluster::reserve_from;
use clusterctl::pki::rotation::Phase;
use serde_json::Value;

use super::rotating::{Fleet, names};
use crate::support::outside::needs;
use crate::support::rotation::{bundle_files, restarted_by};
use crate::support::{forms, good_tool};

const CA: &str = "etc/kubernetes/pki/etcd/ca.crt";
const CLIENT: &str = "etc/kubernetes/pki/apiserver-etcd-client";
const NEXT: [&str; 6] = ["rotate-ca", "next", "--role", "etcd", "--no-wait", "--yes"];
/// The longest time for which members and writers are waited for.
const PATIENCE: Duration = Duration::from_secs(90);

/// The folder of what is installed on hosts, and the members that run there.
struct Etcd {
    folder: PathBuf,
    addresses: BTreeMap<String, Ipv4Addr>,
    members: BTreeMap<String, Child>,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in self.members.values_mut() {
            // It may already have exited.
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}

impl Etcd {
    fn new(fleet: &Fleet) -> Self {
        let masters = fleet.names.iter().filter(|name| name.starts_with("master")).cloned();
        let at = fleet.running.addresses.masters.iter().map(|address| match address.ip() {
            std::net::IpAddr::V4(ip) => ip,
            std::net::IpAddr::V6(ip) => unreachable!("{ip}"),
        });
        Self { folder: fleet.lab.path("hosts"), addresses: masters.zip(at).collect(), members: BTreeMap::new() }
    }

    fn path(&self, host: &str, path: &str) -> String {
        self.folder.join(host).join(path).display().to_string()
    }

    /// Writes the files of the present bundle, each in one step, as install.sh does.
    fn install(&self, fleet: &Fleet, host: &str) {
        fleet.install(|name| name == host);
        for (path, bytes) in bundle_files(&fleet.lab, host) {
            let place = self.folder.join(host).join(path);
            std::fs::create_dir_all(place.parent().expect("a folder")).expect("made");
            let new = place.with_extension("new");
            std::fs::write(&new, bytes).expect("written");
            std::fs::rename(&new, &place).expect("renamed");
        }
    }

    /// Starts a member, or starts it again.
    fn restart(&mut self, host: &str) {
        if let Some(mut running) = self.members.remove(host) {
            good_tool("kill", &["-TERM", &running.id().to_string()]);
            running.wait().expect("it ends");
        }
        let environment = self.path(host, "etc/kubernetes/clusterctl/etcd.env");
        let script = r#". "$0"; printf '%s\n' $CLUSTERCTL_ETCD_ARGS"#;
        let folder = self.folder.join(host).display().to_string();
        let ip = self.addresses[host];
        let mut etcd = Command::new("etcd");
        for flag in good_tool("sh", &["-euc", script, &environment]).lines() {
            let flag = flag.replace("=/", &format!("={folder}/")).replace("=https://127.0.0.1:2379,", "=");
            etcd.arg(flag.replace("=http://127.0.0.1:2381", &format!("=http://{ip}:2381")));
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join(format!("{host}.log")));
        etcd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.expect("a log")).current_dir(&self.folder);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ETCD_")) {
            etcd.env_remove(name);
        }
        self.members.insert(host.to_owned(), etcd.spawn().expect("etcd starts"));
    }

    fn hosts(&self) -> Vec<String> {
        self.addresses.keys().cloned().collect()
    }

    fn endpoints(&self) -> Vec<String> {
        self.addresses.values().map(|ip| format!("https://{ip}:2379")).collect()
    }

    /// Runs etcdctl at all endpoints as the API server of a host.
    fn ctl(&self, host: &str, words: &[&str]) -> (bool, String) {
        let ca = self.path(host, CA);
        etcdctl(&self.endpoints(), &ca, &self.path(host, CLIENT), words)
    }

    /// Waits until all members are healthy: what has to be checked before the next one is restarted.
    fn wait_for_quorum(&self) {
        self.wait_for(&self.endpoints());
    }

    fn wait_for(&self, endpoints: &[String]) {
        let (ca, pair) = (self.path("master-1", CA), self.path("master-1", CLIENT));
        let began = Instant::now();
        loop {
            let (is_healthy, said) = etcdctl(endpoints, &ca, &pair, &["endpoint", "health"]);
            if is_healthy {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{said}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Restarts members one after the other, with a quorum before and after each.
    fn restart_one_by_one(&mut self, hosts: &[String]) {
        for host in hosts {
            self.wait_for_quorum();
            self.restart(host);
            self.wait_for_quorum();
        }
    }
}

fn etcdctl(endpoints: &[String], ca: &str, pair: &str, words: &[&str]) -> (bool, String) {
    let mut etcdctl = Command::new("etcdctl");
    etcdctl.env("ETCDCTL_API", "3").arg("--endpoints").arg(endpoints.join(","));
    etcdctl.args(["--dial-timeout=3s", "--command-timeout=5s", "--cacert", ca]);
    etcdctl.args(["--cert", &format!("{pair}.crt"), "--key", &format!("{pair}.key")]);
    let output = etcdctl.args(words).output().expect("etcdctl runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// API servers that write to etcd: each has the trust file that it read when it was started, and reads its client
/// certificate for each connection.
struct Writers {
    stop: Arc<AtomicBool>,
    /// The keys that etcd acknowledged.
    written: Arc<Mutex<Vec<String>>>,
    attempts: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

/// The trust file of an API server since its last start.
fn trust_of(etcd: &Etcd, host: &str) -> PathBuf {
    etcd.folder.join(format!("{host}.etcd-ca.crt"))
}

/// Restarts the API server of a host: it reads its trust file.
fn restart_api_server(etcd: &Etcd, host: &str) {
    let (place, new) = (trust_of(etcd, host), trust_of(etcd, host).with_extension("new"));
    std::fs::copy(etcd.path(host, CA), &new).expect("copied");
    std::fs::rename(new, place).expect("renamed");
}

impl Writers {
    fn start(etcd: &Etcd) -> Self {
        let (stop, written, attempts) = <(Arc<AtomicBool>, Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>)>::default();
        let threads = etcd.hosts().into_iter().enumerate().map(|(i, host)| {
            let (stop, written, attempts) = (stop.clone(), written.clone(), attempts.clone());
            // Its own member comes first.
            let mut endpoints = etcd.endpoints();
            endpoints.rotate_left(i);
            let (ca, pair) = (trust_of(etcd, &host).display().to_string(), etcd.path(&host, CLIENT));
            std::thread::spawn(move || {
                for number in 0.. {
                    let (key, began) = (format!("/registry/{host}/{number}"), Instant::now());
                    loop {
                        attempts.fetch_add(1, Ordering::Relaxed);
                        let (is_written, said) = etcdctl(&endpoints, &ca, &pair, &["put", &key, "x"]);
                        if is_written {
                            break;
                        }
                        // A member that is restarted ends its connections; API servers repeat their requests.
                        assert!(began.elapsed() < PATIENCE, "{host}: {said}");
                    }
                    written.lock().expect("a lock").push(key);
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            })
        });
        let threads = threads.collect();
        Self { threads, stop, written, attempts }
    }

    /// Waits until each writer has written at least once more.
    fn go_on(&self) {
        let count = || self.written.lock().expect("a lock").len();
        let (before, began) = (count(), Instant::now());
        while count() < before + 2 * self.threads.len() {
            assert!(began.elapsed() < PATIENCE, "the writers stopped");
            assert!(self.threads.iter().all(|thread| !thread.is_finished()), "a writer ended");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends the writers, and returns the acknowledged keys and the number of attempts.
    fn stop(self) -> (Vec<String>, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("every write succeeds"));
        let written = self.written.lock().expect("a lock").clone();
        (written, self.attempts.load(Ordering::Relaxed))
    }
}

fn phase(fleet: &Fleet) -> Option<Phase> {
    fleet.trust_of(CaRole::Etcd).rotation().map(|rotation| rotation.phase)
}

/// A cluster with its members, each on a loopback address that no other run has.
fn start() -> (Fleet, Etcd) {
    static STARTED: AtomicU8 = AtomicU8::new(0);
    let last = 21 + 10 * STARTED.fetch_add(1, Ordering::Relaxed);
    let id = std::process::id();
    let block = |part: u32| u8::try_from(part).expect("small");
    let first = Ipv4Addr::new(127, 128 + block(id / 250 % 64), block(id % 250), last);
    let fleet = Fleet::at(reserve_from(first, 3, 1).expect("loopback has addresses"));
    let mut etcd = Etcd::new(&fleet);
    for host in etcd.hosts() {
        etcd.install(&fleet, &host);
        restart_api_server(&etcd, &host);
        etcd.restart(&host);
    }
    etcd.wait_for_quorum();
    (fleet, etcd)
}

#[test]
fn no_write_is_lost_while_the_ca_of_etcd_is_rotated() {
    needs!("etcd", "etcdctl");
    let (mut fleet, mut etcd) = start();
    let writers = Writers::start(&etcd);
    let old = etcd.folder.join("old");
    std::fs::create_dir_all(&old).expect("made");
    for end in ["crt", "key"] {
        std::fs::copy(etcd.path("master-1", &format!("{CLIENT}.{end}")), old.join(format!("client.{end}")))
            .expect("ok");
    }
    let started = fleet.good(&["rotate-ca", "start", "--role", "etcd", "--output", "json"]);
    forms::conforms("rotation", &started.out);
    let started: Value = serde_json::from_str(&started.out).expect("JSON");
    let restarts: Vec<Vec<&str>> = started["rotations"][0]["next"]
        .as_array()
        .expect("plans")
        .iter()
        .map(|plan| plan["restarts"].as_array().expect("restarts"))
        .map(|all| all.iter().map(|one| one["component"].as_str().expect("a program")).collect())
        .collect();
    let both = vec!["etcd", "kube-apiserver"];
    assert_eq!(restarts, [both.clone(), vec![], vec![], vec![], both, vec![]]);
    fleet.backup();
    let hosts = etcd.hosts();
    for present in [Phase::TrustBoth, Phase::Canary, Phase::Servers, Phase::Clients, Phase::DropOld] {
        let ran = fleet.run(&NEXT);
        assert_eq!((ran.status, phase(&fleet)), (0, Some(present)), "{ran}");
        let before = bundle_files(&fleet.lab, "master-3");
        fleet.good(&["apply"]);
        let restarts = matches!(present, Phase::TrustBoth | Phase::DropOld);
        let expected = if restarts { vec!["etcd", "kube-apiserver"] } else { Vec::new() };
        assert!(restarted_by(&fleet.lab, "master-3", &before).iter().eq(&expected), "{present:?}");
        // One host is behind: its bundle is not installed, or its member was not restarted.
        let behind = if present == Phase::Canary { "master-1" } else { "master-3" };
        for host in hosts.iter().filter(|host| restarts || *host != behind) {
            etcd.install(&fleet, host);
            writers.go_on();
        }
        if restarts {
            etcd.restart_one_by_one(&hosts[..2]);
            hosts[..2].iter().for_each(|host| restart_api_server(&etcd, host));
        }
        let ran = fleet.run(&NEXT);
        assert_eq!((ran.status, phase(&fleet)), (1, Some(present)), "{present:?}: {ran}");
        assert_eq!(names(&ran, &fleet.names), [behind], "{present:?}: {ran}");
        if restarts {
            etcd.restart_one_by_one(&hosts[2..]);
            restart_api_server(&etcd, &hosts[2]);
        } else {
            etcd.install(&fleet, behind);
        }
        writers.go_on();
    }
    let report = fleet.run(&["verify", "--phase", "--masters-only", "--output", "json"]);
    forms::conforms("verify-report", &report.out);
    // Without a quorum, nothing goes on.
    let ran = fleet.run(&NEXT);
    assert_eq!((ran.status, phase(&fleet)), (0, None), "{ran}");
    let (written, attempts) = writers.stop();
    let (_, listed) = etcd.ctl("master-2", &["get", "--prefix", "--keys-only", "/registry/"]);
    let kept: std::collections::BTreeSet<&str> = listed.lines().collect();
    let lost: Vec<&String> = written.iter().filter(|key| !kept.contains(key.as_str())).collect();
    assert!(
        lost.is_empty() && written.len() > 30,
        "{} of {} in {attempts} attempts: {lost:?}",
        lost.len(),
        written.len()
    );
    // A client of the old root gets nothing any more.
    let old = old.join("client").display().to_string();
    assert!(!etcdctl(&etcd.endpoints(), &etcd.path("master-1", CA), &old, &["get", "/registry/x"]).0);
    fleet.good(&["apply"]);
    fleet.good(&["verify", "--offline"]);
}

#[test]
fn a_phase_is_not_proven_without_a_quorum() {
    needs!("etcd", "etcdctl");
    let (mut fleet, mut etcd) = start();
    assert_eq!(fleet.run(&["rotate-ca", "start", "--role", "etcd", "--canary", "node-1"]).status, 2);
    fleet.good(&["rotate-ca", "start", "--role", "etcd"]);
    fleet.backup();
    let stop = |etcd: &mut Etcd, host: &str| {
        let mut member = etcd.members.remove(host).expect("it runs");
        member.kill().and_then(|()| member.wait()).expect("it ends");
    };
    stop(&mut etcd, "master-3");
    etcd.wait_for(&etcd.endpoints()[..2]);
    let ran = fleet.run(&NEXT);
    assert_eq!((ran.status, phase(&fleet)), (1, Some(Phase::Prepare)), "{ran}");
    assert_eq!(names(&ran, &fleet.names), ["master-3"], "{ran}");
    stop(&mut etcd, "master-2");
    let report = fleet.run(&["verify", "--phase", "--masters-only", "--timeout", "10", "--output", "json"]);
    let report: Value = serde_json::from_str(&report.out).expect("JSON");
    let results = report["results"].as_array().expect("results");
    let health = results.iter().find(|line| line["id"] == "etcd.health" && line["host"] == "master-1");
    assert_ne!(health.expect("a check")["status"], "pass", "it has no quorum");
    for host in ["master-2", "master-3"] {
        etcd.restart(host);
    }
    etcd.wait_for_quorum();
    fleet.good(&NEXT);
    assert_eq!(phase(&fleet), Some(Phase::TrustBoth));
    // No member presents a certificate issued by the new CA yet: after an abort, none does any more.
    let report = fleet.run(&["verify", "--phase", "--masters-only", "--output", "json"]);
    let report: Value = serde_json::from_str(&report.out).expect("JSON");
    let results = report["results"].as_array().expect("results").iter();
    let served: Vec<&Value> = results.filter(|line| line["id"] == "etcd.served-root").collect();
    assert!(served.len() == 6 && served.iter().all(|line| line["status"] == "pass"), "{served:?}");
}

#[test]
fn a_thief_of_etcds_key_is_refused_after_one_restart_of_all_members() {
    needs!("etcd", "etcdctl");
    let (mut fleet, mut etcd) = start();
    let (is_written, said) = etcd.ctl("master-1", &["put", "/registry/kept", "x"]);
    assert!(is_written, "{said}");
    let thief = etcd.folder.join("thief");
    std::fs::create_dir_all(&thief).expect("made");
    for end in ["crt", "key"] {
        let from = etcd.path("master-1", &format!("{CLIENT}.{end}"));
        std::fs::copy(from, thief.join(format!("client.{end}"))).expect("copied");
    }
    let thief = thief.join("client").display().to_string();
    let stolen = |etcd: &Etcd| {
        let ca = etcd.path("master-1", CA);
        let asks =
            |endpoint: &String| etcdctl(std::slice::from_ref(endpoint), &ca, &thief, &["get", "/registry/kept"]).0;
        etcd.endpoints().iter().filter(|endpoint| asks(endpoint)).count()
    };
    assert_eq!(stolen(&etcd), 3);
    let started = fleet.good(&["rotate-ca", "start", "--role", "etcd", "--emergency", "--yes", "--output", "json"]);
    forms::conforms("rotation", &started.out);
    let started: Value = serde_json::from_str(&started.out).expect("JSON");
    assert_eq!(phase(&fleet), Some(Phase::DropOld));
    assert!(started["revoked"].as_u64().is_some_and(|count| count >= 9), "{started:#}");
    let restarts = started["plan"]["restarts"].as_array().expect("restarts");
    assert!(restarts.iter().all(|one| one["oneByOne"] == false) && restarts.len() == 2, "{started:#}");
    fleet.good(&["apply"]);
    for host in etcd.hosts() {
        etcd.install(&fleet, &host);
        restart_api_server(&etcd, &host);
    }
    for host in etcd.hosts() {
        etcd.restart(&host);
    }
    etcd.wait_for_quorum();
    assert_eq!(stolen(&etcd), 0);
    let (is_there, said) = etcd.ctl("master-2", &["get", "/registry/kept"]);
    assert!(is_there && said.contains("/registry/kept"), "{said}");
    let ran = fleet.run(&NEXT);
    assert_eq!((ran.status, phase(&fleet)), (0, None), "{ran}");
    fleet.good(&["apply"]);
    fleet.good(&["verify", "--offline"]);
}
