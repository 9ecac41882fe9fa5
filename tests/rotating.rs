//! The rotation of the cluster's CA: every phase proven on a simulated cluster, with a prober that connects every pair of
//! hosts all the time.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use clusterctl::cluster::profile::CaRole;
use clusterctl::config;
use clusterctl::fake_cluster::cluster::{FakeCluster, Reserved, reserve};
use clusterctl::pki::rotation::Phase;
use clusterctl::store::ca;
use clusterctl::store::layout::Layout;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::support::live::serve;
use crate::support::outside::needs;
use crate::support::rotation::{Files, Hosts, bundle_files, roots_in};
use crate::support::{Lab, Ran, forms, good_tool};

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

/// Returns a report that proves the phase.
pub(crate) fn proof(lab: &Lab) -> String {
    let trust = ca::trust(&Layout::new(lab.dir().to_owned()), CaRole::Cluster).expect("the CAs");
    let rotation = trust.rotation().expect("a rotation");
    let (masters, nodes) = (["master-1", "master-2"], ["worker-a1.fra1.example.net", "on", "worker-b1"]);
    let checks = ["connect", "new-root", "old-root", "served-root", "installed"];
    let of = |kind: &str, host: &str| checks.map(|check| json!({"id": format!("{kind}.{check}"), "host": host}));
    let of_masters = masters.iter().flat_map(|host| of("master", host));
    let results = of_masters.chain(nodes.iter().flat_map(|host| of("node", host))).map(|mut result| {
        result["status"] = "pass".into();
        result["severity"] = "error".into();
        result["observed"] = "as expected".into();
        result
    });
    let now = OffsetDateTime::now_utc().format(&Rfc3339).expect("a time");
    let document = json!({
        "schemaVersion": 1, "cluster": "prod", "started": now, "finished": now, "lookedAt": "wire", "verdict": "proven",
        "rotation": {"role": "cluster", "phase": rotation.phase.as_str(), "new": rotation.new.to_string()},
        "results": results.collect::<Vec<Value>>(),
    });
    document.to_string()
}

/// Runs a command and kills it at its `nth` system call that changes names of files or syncs them. Returns false if it
/// ended before.
pub(crate) fn killed(lab: &Lab, args: &[&str], nth: usize) -> bool {
    const CALLS: &str =
        "rename,renameat,renameat2,unlink,unlinkat,rmdir,fsync,fdatasync,syncfs,link,linkat,mkdir,mkdirat";
    let (trace, inject) = (format!("trace={CALLS}"), format!("inject={CALLS}:signal=SIGKILL:when={nth}"));
    let strace = ["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject, env!("CARGO_BIN_EXE_clusterctl")];
    let mut command = Command::new("strace");
    command.args(strace).args(args).current_dir(lab.dir()).env_remove("CLUSTERCTL_DIR").envs(&lab.env);
    let ran = command.output().expect("strace runs");
    match ran.status.code() {
        Some(0) => false,
        None => true,
        Some(137) => true,
        Some(other) => panic!("{args:?}: {other}: {}", String::from_utf8_lossy(&ran.stderr)),
    }
}

/// Kills a command at every write, one after the other, each time from the state before, and returns how often. After
/// each, the same command has to do what it would have done.
fn kill_everywhere(lab: &mut Lab, args: &[&str], expected: Option<Phase>) -> usize {
    // Links of the many files of credentials are alike.
    const STEP: usize = 3;
    let phase = |lab: &Lab| {
        let trust = ca::trust(&Layout::new(lab.dir().to_owned()), CaRole::Cluster).expect("readable at any time");
        trust.rotation().map(|rotation| rotation.phase)
    };
    let before = phase(lab);
    let saved = tempfile::tempdir().expect("a folder");
    let copy = |from: &Path, to: &Path| {
        let _ = std::fs::remove_dir_all(to);
        good_tool("cp", &["-a", &from.display().to_string(), &to.display().to_string()]);
    };
    copy(&lab.path("pki"), &saved.path().join("pki"));
    for nth in (1..).step_by(STEP) {
        copy(&saved.path().join("pki"), &lab.path("pki"));
        lab.now = OffsetDateTime::now_utc();
        if !killed(lab, args, nth) {
            return nth / STEP;
        }
        // Readers see one of the two states, and other commands can work.
        let now = phase(lab);
        assert!(now == before || now == expected, "{args:?}, {nth}: {now:?}");
        assert_eq!(lab.run(&["plan"]).status, 0, "{args:?}, {nth}");
        if now != expected || lab.path("pki/rotation").exists() != expected.is_some() {
            lab.good(args);
        }
        assert_eq!(phase(lab), expected, "{args:?}, {nth}");
        assert_eq!(lab.path("pki/rotation").exists(), expected.is_some(), "{args:?}, {nth}");
        lab.good(&["ledger", "check"]);
    }
    unreachable!("the command ends")
}

#[test]
fn a_step_that_was_killed_at_any_write_is_continued() {
    needs!("strace");
    let mut lab = Lab::issued();
    lab.now = OffsetDateTime::now_utc();
    lab.write("passphrase", "eleven plain words of a backup that nobody will ever guess\n");
    let mut kills = kill_everywhere(&mut lab, &["rotate-ca", "start"], Some(Phase::Prepare));
    lab.now = OffsetDateTime::now_utc();
    lab.good(&["backup", "1.age", "--passphrase-file", "passphrase"]);
    let next = ["rotate-ca", "next", "--no-wait", "--yes", "--report", "proof.json"];
    let phases = [Phase::TrustBoth, Phase::Canary, Phase::Servers, Phase::Clients, Phase::DropOld];
    for phase in phases {
        lab.now = OffsetDateTime::now_utc();
        lab.write("proof.json", &proof(&lab));
        if phase != Phase::Canary {
            // They write as little as the abort below.
            lab.good(&next);
        } else {
            kills += kill_everywhere(&mut lab, &next, Some(phase));
        }
        lab.now = OffsetDateTime::now_utc();
        lab.good(&["apply"]);
        if phase == Phase::Servers {
            let saved = tempfile::tempdir().expect("a folder");
            let (pki, copy) = (lab.path("pki").display().to_string(), saved.path().join("pki").display().to_string());
            good_tool("cp", &["-a", &pki, &copy]);
            kills += kill_everywhere(&mut lab, &["rotate-ca", "abort"], Some(Phase::TrustBoth));
            lab.write("proof.json", &proof(&lab));
            kills += kill_everywhere(&mut lab, &["rotate-ca", "abort", "--report", "proof.json"], None);
            std::fs::remove_dir_all(&pki).expect("removed");
            good_tool("cp", &["-a", &copy, &pki]);
        }
    }
    lab.write("proof.json", &proof(&lab));
    kills += kill_everywhere(&mut lab, &next, None);
    assert!(kills > 10, "{kills}");
    lab.good(&["apply"]);
    lab.good(&["verify", "--offline"]);
}
