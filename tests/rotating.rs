//! The rotation of the cluster's CA: every phase proven on a simulated cluster, with a prober that connects every pair of
//! hosts all the time.

use std::collections::BTreeMap;

use clusterctl::cluster::profile::CaRole;
use clusterctl::config;
use clusterctl::fake_cluster::cluster::{FakeCluster, Reserved, reserve};
use clusterctl::pki::rotation::Phase;
use clusterctl::store::ca;
use clusterctl::store::layout::Layout;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::support::live::serve;
use crate::support::rotation::{Files, Hosts, bundle_files, roots_in};
use crate::support::{Lab, Ran, forms};

/// A cluster directory, the running cluster, and what is installed on its hosts.
pub(super) struct Fleet {
    pub(super) lab: Lab,
    pub(super) running: FakeCluster,
    pub(super) hosts: Hosts,
    pub(super) names: Vec<String>,
    backups: usize,
}

impl Fleet {
    pub(super) fn start(masters: usize, nodes: usize) -> Self {
        Self::at(reserve(masters, nodes).expect("loopback has addresses"))
    }

    /// Starts a cluster at these addresses.
    pub(super) fn at(reserved: Reserved) -> Self {
        Self::with(reserved, |lab| {
            lab.good(&["init-ca", "--plaintext-ca-key"]);
            lab.good(&["apply"]);
        })
    }

    /// Starts a cluster whose CAs, certificates and bundles `prepare` makes.
    pub(super) fn with(reserved: Reserved, prepare: impl FnOnce(&Lab)) -> Self {
        let mut lab = Lab::empty();
        lab.now = OffsetDateTime::now_utc();
        let (masters, nodes) = (reserved.addresses().masters.len(), reserved.addresses().nodes.len());
        let addresses = reserved.addresses().clone();
        let draft = addresses.draft("live");
        lab.write("cluster.yaml", &config::write(&draft));
        prepare(&lab);
        let running = serve(&lab, draft.check().expect("a good draft"), reserved, None);
        let names = (1..=masters).map(|i| format!("master-{i}")).chain((1..=nodes).map(|i| format!("node-{i}")));
        let fleet = Self { lab, running, hosts: Hosts::new(addresses), names: names.collect(), backups: 0 };
        fleet.install(|_| true);
        fleet
    }

    pub(super) fn trust(&self) -> clusterctl::pki::trust_bundle::TrustBundle {
        self.trust_of(CaRole::Cluster)
    }

    pub(super) fn trust_of(&self, role: CaRole) -> clusterctl::pki::trust_bundle::TrustBundle {
        ca::trust(&Layout::new(self.lab.dir().to_owned()), role).expect("the CAs")
    }

    pub(super) fn phase(&self) -> Option<Phase> {
        self.trust().rotation().map(|rotation| rotation.phase)
    }

    fn files(&self) -> BTreeMap<String, Files> {
        self.names.iter().map(|name| (name.clone(), bundle_files(&self.lab, name))).collect()
    }

    /// Installs the present bundles of the hosts.
    pub(super) fn install(&self, is_chosen: impl Fn(&str) -> bool) {
        for name in self.names.iter().filter(|name| is_chosen(name)) {
            self.hosts.install(&self.running, name, &bundle_files(&self.lab, name));
        }
    }

    /// Lets each API server believe the front proxies of its present bundle.
    pub(super) fn trust_proxies(&self) {
        for name in self.names.iter().filter(|name| name.starts_with("master")) {
            let files = bundle_files(&self.lab, name);
            self.running.trust_proxies(name, &roots_in(&files, "etc/kubernetes/pki/front-proxy-ca.crt"));
        }
    }

    pub(super) fn backup(&mut self) {
        self.backups += 1;
        let file = format!("{}.age", self.backups);
        self.lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
        self.lab.good(&["backup", &file, "--passphrase-file", "passphrase"]);
    }

    pub(super) fn run(&mut self, args: &[&str]) -> Ran {
        self.lab.now = OffsetDateTime::now_utc();
        self.lab.run(args)
    }

    pub(super) fn good(&mut self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.status, 0, "{args:?}: {ran}");
        ran
    }

    pub(super) fn next(&mut self) -> Ran {
        self.run(&["rotate-ca", "next", "--no-wait", "--yes"])
    }
}

/// The hosts' names in an error of `next`.
pub(super) fn names<'r>(ran: &Ran, all: &'r [String]) -> Vec<&'r str> {
    let is_named = |name: &&String| ran.err.split([' ', ',', '\n', ':']).any(|word| word == name.as_str());
    all.iter().filter(is_named).map(String::as_str).collect()
}

#[test]
fn every_pair_of_hosts_connects_in_every_phase() {
    let mut fleet = Fleet::start(3, 20);
    let old = fleet.trust().into_active();
    let prober = fleet.hosts.probe(old.root());
    fleet.good(&["rotate-ca", "start"]);
    let new = fleet.trust().rotation().map(|rotation| rotation.new).expect("a rotation");
    fleet.backup();
    let nothing: Vec<String> = Vec::new();
    for phase in [Phase::TrustBoth, Phase::Canary, Phase::Servers, Phase::Clients, Phase::DropOld] {
        let ran = fleet.next();
        assert_eq!((ran.status, fleet.phase()), (0, Some(phase)), "{ran}");
        fleet.good(&["apply"]);
        // One host is left out: the gate names it, and the others go on working.
        let left_out = match phase {
            Phase::Canary => "master-1",
            _ => "node-7",
        };
        let (first, second) = if phase == Phase::Servers { ("node", "master") } else { ("master", "node") };
        fleet.install(|name| name.starts_with(first) && name != left_out);
        assert_eq!(prober.round(), nothing, "{phase:?}: {first}s are installed");
        fleet.install(|name| name.starts_with(second) && name != left_out);
        assert_eq!(prober.round(), nothing, "{phase:?}: all but {left_out} are installed");
        let ran = fleet.next();
        assert_eq!((ran.status, fleet.phase()), (1, Some(phase)), "{ran}");
        assert_eq!(names(&ran, &fleet.names), [left_out], "{ran}");
        fleet.install(|name| name == left_out);
        assert_eq!(prober.round(), nothing, "{phase:?}: all are installed");
    }
    let ran = fleet.next();
    assert_eq!((ran.status, fleet.phase()), (0, None), "{ran}");
    let trust = fleet.trust();
    assert_eq!((trust.active().certificate().fingerprint(), trust.anchors().len()), (new, 1));
    assert!(!fleet.lab.path("pki/rotation").exists());
    // The key that signs now is the new one, and everything is of it.
    fleet.good(&["issue-node", "node-1", "--reissue"]);
    fleet.good(&["apply"]);
    fleet.good(&["verify", "--offline"]);
    let (connections, wrong) = prober.stop();
    assert!(wrong.is_empty() && connections > 1000, "{connections}: {wrong:?}");
    fleet.install(|_| true);
    fleet.good(&["verify"]);
}

#[test]
fn an_abort_gives_back_the_bundles_of_before() {
    let mut fleet = Fleet::start(2, 3);
    let before = fleet.files();
    let prober = fleet.hosts.probe(fleet.trust().active().root());
    let (mut roots, mut both) = (Vec::new(), BTreeMap::new());
    for last in [Phase::Prepare, Phase::TrustBoth, Phase::Canary, Phase::Servers] {
        fleet.good(&["rotate-ca", "start"]);
        fleet.backup();
        roots.push(fleet.trust().rotation().map(|rotation| rotation.new));
        while fleet.phase() != Some(last) {
            let ran = fleet.next();
            assert_eq!(ran.status, 0, "{ran}");
            fleet.good(&["apply"]);
            fleet.install(|_| true);
            if fleet.phase() == Some(Phase::TrustBoth) {
                both = fleet.files();
            }
        }
        let aborted = fleet.good(&["rotate-ca", "abort", "--output", "json"]);
        forms::conforms("rotation", &aborted.out);
        if last >= Phase::Canary {
            // Hosts trust both roots until all of them present the certificates of before.
            assert_eq!(fleet.phase(), Some(Phase::TrustBoth));
            fleet.good(&["apply"]);
            assert!(fleet.files() == both, "{last:?}");
            fleet.install(|name| name != "node-2");
            let ran = fleet.run(&["rotate-ca", "abort"]);
            assert_eq!(ran.status, if last == Phase::Canary { 0 } else { 1 }, "{ran}");
            fleet.install(|_| true);
            if last != Phase::Canary {
                fleet.good(&["rotate-ca", "abort"]);
            }
        }
        assert_eq!(fleet.phase(), None);
        fleet.good(&["apply"]);
        assert!(fleet.files() == before, "{last:?}");
        fleet.install(|_| true);
        fleet.good(&["verify", "--offline"]);
        assert_eq!(fleet.run(&["rotate-ca", "abort"]).status, 3);
    }
    // Each rotation had a CA of its own.
    roots.dedup();
    assert_eq!(roots.len(), 4);
    let (_, wrong) = prober.stop();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Returns the report of a run with the expectations of the phase.
fn report(fleet: &mut Fleet, args: &[&str]) -> Value {
    let ran = fleet.run(&[&["verify", "--phase", "--output", "json"], args].concat());
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran}"))
}

#[test]
fn a_report_of_another_run_is_a_proof_only_of_its_own_phase() {
    let mut fleet = Fleet::start(1, 2);
    assert_eq!(fleet.run(&["verify", "--phase"]).status, 2);
    fleet.good(&["rotate-ca", "start"]);
    fleet.backup();
    let first = report(&mut fleet, &[]).to_string();
    fleet.lab.write("first.json", &first);
    fleet.good(&["rotate-ca", "next", "--report", "first.json"]);
    fleet.good(&["apply"]);
    fleet.install(|_| true);
    // It is of an earlier phase, of a part of the cluster, without the expectations, or altered.
    assert_eq!(fleet.run(&["rotate-ca", "next", "--report", "first.json"]).status, 2);
    let part = report(&mut fleet, &["--node", "node-1"]).to_string();
    fleet.lab.write("part.json", &part);
    let ran = fleet.run(&["rotate-ca", "next", "--no-wait", "--report", "part.json"]);
    assert_eq!((ran.status, names(&ran, &fleet.names)), (1, vec!["node-2"]), "{ran}");
    let plain = fleet.run(&["verify", "--output", "json"]).out;
    let good = report(&mut fleet, &[]);
    for (name, text) in [
        ("plain.json", plain),
        ("cluster.json", good.to_string().replacen("\"cluster\":\"live\"", "\"cluster\":\"other\"", 1)),
        ("cut.json", good.to_string()[..1000].to_owned()),
    ] {
        fleet.lab.write(name, &text);
        assert_eq!(fleet.run(&["rotate-ca", "next", "--no-wait", "--report", name]).status, 2, "{name}");
    }
    // A proof is waited for: programs read their files again later.
    fleet.lab.write("good.json", &good.to_string());
    let ran = fleet.run(&["rotate-ca", "next", "--report", "good.json"]);
    assert_eq!((ran.status, fleet.phase()), (3, Some(Phase::TrustBoth)), "{ran}");
    let later = OffsetDateTime::now_utc() + Duration::minutes(6);
    fleet.lab.now = later;
    assert_eq!(fleet.lab.run(&["rotate-ca", "next", "--report", "good.json"]).status, 3, "an old report");
    fleet.lab.good(&["rotate-ca", "next"]);
    assert_eq!(fleet.phase(), Some(Phase::Canary));
}

#[test]
fn api_servers_that_cannot_name_the_certificate_prove_a_phase_without_it() {
    let mut fleet = Fleet::start(1, 1);
    fleet.good(&["rotate-ca", "start"]);
    fleet.backup();
    let mut old = report(&mut fleet, &[]);
    old["verdict"] = "unproven".into();
    let answers = |report: &mut Value, remedy: &str| {
        let lines = report["results"].as_array_mut().expect("lines").iter_mut();
        let mut answers = lines.filter(|line| line["id"] == "master.whoami").collect::<Vec<_>>();
        assert!(!answers.is_empty());
        for line in &mut answers {
            line["status"] = "not-proven".into();
            line["remedy"] = remedy.into();
        }
    };
    answers(&mut old, "upgrade-for-credential-id");
    let mut refused = old.clone();
    answers(&mut refused, "allow-self-review");
    fleet.lab.write("old.json", &old.to_string());
    fleet.lab.write("refused.json", &refused.to_string());
    let cluster = fleet.lab.read("cluster.yaml");
    let mut next = |version: &str, report: &str| {
        fleet.lab.write("cluster.yaml", &format!("{cluster}kubernetes: {{version: {version}}}\n"));
        let ran = fleet.run(&["rotate-ca", "next", "--no-wait", "--report", report]);
        (ran.status, fleet.phase())
    };
    let behind = (1, Some(Phase::Prepare));
    assert_eq!(next("v1.32.0", "old.json"), behind);
    assert_eq!(next("v1.31.14", "refused.json"), behind);
    assert_eq!(next("v1.31.14", "old.json"), (0, Some(Phase::TrustBoth)));
}

#[test]
fn what_has_to_be_in_place_before_hosts_get_the_new_root_is_demanded() {
    let mut fleet = Fleet::start(1, 1);
    fleet.good(&["rotate-ca", "start", "--canary", "node-1", "--key-kind", "ecdsa-p384"]);
    assert_eq!(fleet.run(&["rotate-ca", "start"]).status, 3, "one at a time");
    let ran = fleet.next();
    assert_eq!((ran.status, fleet.phase()), (3, Some(Phase::Prepare)), "no backup: {ran}");
    let status = fleet.run(&["status", "--output", "json"]);
    let shown: Value = serde_json::from_str(&status.out).expect("JSON");
    let rows = shown["rows"].as_array().expect("rows");
    assert!(rows.iter().any(|row| row["kind"] == "rotation" && row["state"] == "due"), "{shown:#}");
    assert_eq!(status.status, 1, "a rotation that is under way is due");
    fleet.backup();
    // Nothing is shipped yet.
    let ran = fleet.good(&["plan", "--exit-code"]);
    assert_eq!(ran.status, 0);
    let status = fleet.good(&["rotate-ca", "status", "--output", "json"]).out;
    forms::conforms("rotation", &status);
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let phases: Vec<&str> = status["rotations"][0]["next"]
        .as_array()
        .expect("plans")
        .iter()
        .map(|plan| plan["phase"].as_str().expect("a phase"))
        .collect();
    assert_eq!(phases, ["trust-both", "canary", "servers", "clients", "drop-old", "retire"]);
    let dry = fleet.good(&["rotate-ca", "next", "--dry-run", "--output", "json"]);
    forms::conforms("rotation", &dry.out);
    let dry: Value = serde_json::from_str(&dry.out).expect("JSON");
    assert_eq!((&dry["plan"]["phase"], fleet.phase()), (&Value::from("trust-both"), Some(Phase::Prepare)));
}

#[test]
fn older_readers_refuse_the_trust_file_of_a_rotation() {
    let lab = Lab::issued();
    lab.good(&["rotate-ca", "start"]);
    let text: Value = serde_json::from_str(&lab.read("pki/trust.json")).expect("JSON");
    assert_eq!(text["schemaVersion"], 2);
    let layout = Layout::new(lab.dir().to_owned());
    let good = lab.read("pki/trust.json");
    for (from, to) in [
        ("\"prepare\"", "\"trust-both\""),
        ("\"prepared\"", "\"retired\""),
        ("\"prepare\"", "\"begin\""),
        ("\"canaries\"", "\"hosts\""),
    ] {
        assert!(good.contains(from), "{from}");
        lab.write("pki/trust.json", &good.replacen(from, to, 1));
        assert!(ca::trust(&layout, CaRole::Cluster).is_err(), "{from}");
    }
}

#[test]
fn checks_that_another_failure_prevents_are_not_named_beside_it() {
    let mut fleet = Fleet::start(1, 2);
    fleet.good(&["rotate-ca", "start"]);
    fleet.backup();
    assert_eq!(fleet.next().status, 0);
    fleet.good(&["apply"]);
    fleet.install(|_| true);
    let mut report = report(&mut fleet, &[]);
    let mut set = |host: &str, id: &str, status: &str| {
        let results = report["results"].as_array_mut().expect("results");
        let found = results.iter_mut().filter(|one| one["host"] == host && one["id"] == id);
        let changed = found.map(|one| one["status"] = status.into()).count();
        assert_eq!(changed, 1, "{host} {id}");
    };
    set("node-1", "node.new-root", "fail");
    set("node-1", "node.old-root", "skipped");
    set("node-2", "node.installed", "skipped");
    report["verdict"] = "failed".into();
    fleet.lab.write("red.json", &report.to_string());
    let ran = fleet.run(&["rotate-ca", "next", "--no-wait", "--report", "red.json"]);
    assert_eq!((ran.status, names(&ran, &fleet.names)), (1, vec!["node-1", "node-2"]), "{ran}");
    let named = |check: &str| ran.err.contains(check);
    assert!(named("node-1 node.new-root:") && named("node-2 node.installed:"), "{ran}");
    assert!(!named("node.old-root"), "{ran}");
}

#[test]
fn a_host_with_keys_of_its_own_that_does_not_follow_is_named() {
    let mut fleet = Fleet::start(1, 2);
    let root = fleet.lab.path("hosts/node-2");
    std::fs::create_dir_all(&root).expect("made");
    let request = |fleet: &mut Fleet| {
        fleet.good(&["request", "node-2", "--root", "hosts/node-2"]);
        fleet.good(&["sign", "node-2.request"]);
        fleet.good(&["apply"]);
    };
    // Its bundle lacks the keys, which stay on the host.
    let install = |fleet: &Fleet| {
        let mut files = bundle_files(&fleet.lab, "node-2");
        for name in ["client", "server"].map(|name| format!("var/lib/kubelet/pki/kubelet-{name}.key")) {
            assert!(files.insert(name.clone(), std::fs::read(root.join(&name)).expect("a key")).is_none());
        }
        fleet.hosts.install(&fleet.running, "node-2", &files);
    };
    request(&mut fleet);
    install(&fleet);
    let next = ["rotate-ca", "next", "--no-wait", "--yes", "--allow-skipped"];
    fleet.good(&["rotate-ca", "start"]);
    fleet.backup();
    for phase in [Phase::TrustBoth, Phase::Canary, Phase::Servers, Phase::Clients, Phase::DropOld] {
        let ran = fleet.run(&next);
        assert_eq!((ran.status, fleet.phase()), (0, Some(phase)), "{ran}");
        let applied = fleet.good(&["apply", "--output", "json"]).out;
        let applied: Value = serde_json::from_str(&applied).expect("JSON");
        let asks = matches!(phase, Phase::Servers | Phase::Clients);
        let asked = applied["hostsToRequest"].as_array().expect("hosts").iter().any(|host| *host == "node-2");
        assert_eq!(asked, asks, "{phase:?}: {applied:#}");
        fleet.install(|name| name != "node-2");
        // In phase 4 both of its certificates are issued by the new CA already: nothing of the old one is left.
        if !matches!(phase, Phase::Canary | Phase::Clients) {
            let ran = fleet.run(&next);
            assert_eq!((ran.status, names(&ran, &fleet.names)), (1, vec!["node-2"]), "{phase:?}: {ran}");
        }
        if asks {
            request(&mut fleet);
        }
        install(&fleet);
    }
    let ran = fleet.run(&next);
    assert_eq!((ran.status, fleet.phase()), (0, None), "{ran}");
}
