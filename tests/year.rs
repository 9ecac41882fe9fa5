//! A year in the life of a cluster, and half of the next: three masters and twelve nodes over 80 weeks of the laboratory's
//! clock, from the first issue to the second renewal. Each week asks `status`; what it does not tell in time would be
//! found expired.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use clusterctl::config;
use clusterctl::fake_cluster::cluster::{Reserved, reserve};
use clusterctl::pki::fingerprint::Fingerprint;
use serde_json::Value;
use time::Duration;

use crate::support::live::serve;
use crate::support::offline::offline;
use crate::support::{Lab, forms};

const LEDGER: &str = "pki/ledger.sqlite3";
const RULES: &str = "policy/masters/authorization.yaml";
/// The states of a row that asks for something, before anything has expired.
const TOLD: [&str; 3] = ["due", "expiring", "outdated"];

/// A cluster and its directory.
struct Year {
    lab: Lab,
    /// Listeners at all addresses that a host ever has.
    reserved: Reserved,
    /// The nodes of the cluster file, each with the number of its listener.
    nodes: Vec<(String, usize)>,
    /// What `status` told to do about something: the thing, its state and the remedy.
    told: BTreeSet<(String, String, String)>,
    /// The serial numbers that it told something about.
    told_of: BTreeSet<String>,
}

impl Year {
    /// Creates the CAs, issues and packs everything.
    fn begin() -> Self {
        let reserved = reserve(3, 14).expect("loopback has addresses");
        let nodes = (0..12).map(|i| (format!("node-{}", i + 1), i)).collect();
        let year = Self { lab: Lab::empty(), reserved, nodes, told: BTreeSet::new(), told_of: BTreeSet::new() };
        year.write_cluster_file();
        year.lab.good(&["init-ca", "--plaintext-ca-key"]);
        year.lab.good(&["issue-master", "--all"]);
        year.lab.good(&["issue-node", "--all"]);
        year.lab.good(&["issue-admin", "alice", "--validity", "180d"]);
        year.lab.good(&["issue-admin", "bob", "--validity", "180d"]);
        year.lab.good(&["crl", "renew"]);
        year.pack();
        year.verify();
        year
    }

    fn write_cluster_file(&self) {
        let at = self.reserved.addresses();
        let host = |name: &str, at: &SocketAddr, port: &str| {
            format!("- {{name: {name}, addresses: [{}], {port}: {}}}\n", at.ip(), at.port())
        };
        let master = |(i, at)| host(&format!("master-{i}"), at, "apiServerPort");
        let masters: String = (1..).zip(&at.masters).map(master).collect();
        let nodes: String = self.nodes.iter().map(|(name, i)| host(name, &at.nodes[*i], "kubeletPort")).collect();
        self.lab.write(
            "cluster.yaml",
            &format!(
                "apiVersion: clusterctl/v1\nkind: Cluster\nname: year\nendpoint: https://{}\nmasters:\n{masters}nodes:\n{nodes}",
                at.endpoint
            ),
        );
    }

    /// Packs what every change ends with, and delivers it: the simulated cluster serves the directory.
    fn pack(&self) {
        self.lab.good(&["policy"]);
        self.lab.good(&["bundle", "--all"]);
    }

    /// Verifies the directory and the running cluster.
    #[track_caller]
    fn verify(&self) {
        let found = offline(&self.lab, &[]);
        assert_eq!(found.status, 0, "{found:#?}");
        let nodes: Vec<usize> = self.nodes.iter().map(|(_, listener)| *listener).collect();
        let cluster = config::read(self.lab.read("cluster.yaml").as_bytes()).expect("a cluster file");
        let running = serve(&self.lab, cluster, self.reserved.select(&nodes).expect("descriptors"), None);
        let rules = self.lab.read(RULES);
        running.deny(rules.split("X509SHA256=").skip(1).filter_map(|rest| Fingerprint::parse(rest.get(..64)?)));
        let ran = self.lab.run(&["verify", "--allow-skipped", "--output", "json"]);
        assert_eq!(ran.status, 0, "{ran}");
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        // No client certificate can be shown whose key is on its host alone.
        let skipped =
            report["results"].as_array().expect("results").iter().filter(|result| result["status"] == "skipped");
        assert!(skipped.clone().all(|result| result["caller"] == "node-13"), "{:#?}", skipped.collect::<Vec<_>>());
        running.stop();
    }

    /// Asks what is due, and asserts that nothing has expired of which nothing was told before.
    #[track_caller]
    fn due(&mut self) -> Vec<Value> {
        let ran = self.lab.run(&["status", "--output", "json"]);
        forms::conforms("status", &ran.out);
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        let rows = report["rows"].as_array().expect("rows").iter().filter(|row| row["state"] != "valid");
        let rows: Vec<Value> = rows.cloned().collect();
        assert_eq!(ran.status == 0, rows.is_empty(), "{rows:#?}");
        for row in &rows {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let told = self.told_of.contains(&text("serial"));
            assert!(row["state"] != "expired" || told, "nothing was told of it before: {row:#}");
            if TOLD.contains(&text("state").as_str()) {
                self.told_of.insert(text("serial"));
            }
            let whose = if row["host"].is_null() { text("person") } else { text("host") };
            self.told.insert((
                format!("{whose} {}", text("credential")).trim().to_owned(),
                text("state"),
                text("remedy"),
            ));
        }
        rows
    }

    /// Lets weeks pass. Every fourth week a timer renews what is due.
    #[track_caller]
    fn weeks(&mut self, count: usize) {
        for week in 1..=count {
            self.lab.now += Duration::WEEK;
            let before = self.due();
            let is_of_a_host = |row: &&Value| !row["host"].is_null();
            assert!(before.iter().filter(is_of_a_host).all(|row| row["state"] != "expired"), "{before:#?}");
            // The kubeconfig of a person who left, of which it was told in time.
            for row in before.iter().filter(|row| row["person"] == "bob" && row["state"] == "expired") {
                fs::remove_file(self.lab.path("pki/admins/bob.conf")).unwrap_or_else(|_| panic!("{row:#}"));
            }
            if week % 4 == 0 {
                self.renew();
            }
        }
        self.verify();
    }

    /// Renews as the timer does, and asks the hosts that alone have their keys for requests.
    fn renew(&mut self) {
        let ran = self.lab.good(&["renew", "--all", "--output", "json"]);
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        for host in report["hostsToRequest"].as_array().expect("hosts") {
            self.request(host.as_str().expect("a name"));
        }
        self.pack();
        let due = self.due();
        assert!(due.iter().all(|row| !row["person"].is_null()), "only persons' are left: {due:#?}");
    }

    /// A host makes its keys, if it has none, and a request, which is signed.
    fn request(&self, host: &str) {
        let root = format!("hosts/{host}");
        fs::create_dir_all(self.lab.path(&root)).expect("a root");
        self.lab.good(&["request", host, "--root", &root]);
        self.lab.good(&["sign", &format!("{host}.request")]);
    }

    /// Loses the machine with the directory, and restores it from the backup in `safe`. What hosts have stays.
    fn lose_and_restore(&self, safe: &Path) {
        fs::rename(self.lab.path("hosts"), safe.join("hosts")).expect("moved");
        for entry in fs::read_dir(self.lab.dir()).expect("a folder") {
            let path = entry.expect("an entry").path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        let text = |name: &str| safe.join(name).display().to_string();
        self.lab.good(&["restore", &text("prod.age"), "--passphrase-file", &text("passphrase")]);
        fs::rename(safe.join("hosts"), self.lab.path("hosts")).expect("moved");
    }

    /// Returns true if `status` told this.
    fn told(&self, what: &str, state: &str, remedy: &str) -> bool {
        self.told.contains(&(what.to_owned(), state.to_owned(), remedy.to_owned()))
    }
}

#[test]
fn a_year_and_a_half_in_the_life_of_a_cluster() {
    let mut year = Year::begin();
    assert_eq!(year.due(), Vec::<Value>::new(), "what was just issued is valid");

    // A node gets another address.
    year.weeks(8);
    year.nodes[2].1 = 12;
    year.write_cluster_file();
    assert_eq!(offline(&year.lab, &[]).status, 1, "its certificate has the old address");
    year.lab.good(&["issue-node", "--all"]);
    year.pack();
    year.verify();

    // A node leaves.
    year.weeks(8);
    let (left, _) = year.nodes.remove(6);
    year.write_cluster_file();
    assert_eq!(left, "node-7");
    year.due();
    assert!(year.told("node-7 kubelet-client", "left", "remove-host"), "{:#?}", year.told);
    year.lab.good(&["remove", "node-7", "--yes"]);
    year.pack();
    assert!(year.due().iter().all(|row| row["host"] != "node-7"));
    year.verify();

    // A node joins, whose keys never leave it.
    year.weeks(4);
    year.nodes.push(("node-13".to_owned(), 13));
    year.write_cluster_file();
    year.due();
    assert!(year.told("node-13 kubelet-client", "missing", "issue"), "{:#?}", year.told);
    year.request("node-13");
    year.pack();
    year.verify();

    // Administrators' kubeconfigs expire: alice gets a new one in time, bob left.
    year.weeks(4);
    assert!(year.told("alice admin", "due", "reissue-admin"), "{:#?}", year.told);
    year.lab.good(&["issue-admin", "alice", "--reissue", "--validity", "2y"]);
    year.weeks(4);
    assert!(year.told.iter().any(|(what, state, _)| what == "bob admin" && state == "expired"), "{:#?}", year.told);
    assert!(!year.lab.path("pki/admins/bob.conf").exists());
    assert_eq!(year.due(), Vec::<Value>::new());

    // A node's key is stolen.
    year.lab.good(&["revoke", "node-2", "--reason", "keyCompromise", "--yes"]);
    year.due();
    assert!(year.told("node-2 kubelet-client", "revoked", "issue"), "{:#?}", year.told);
    year.lab.good(&["issue-node", "node-2"]);
    year.pack();
    year.verify();

    // The first renewal of masters and nodes, after two thirds of a year.
    year.weeks(12);
    for host in ["master-1 apiserver", "node-1 kubelet-server", "node-12 kubelet-client"] {
        assert!(year.told(host, "due", "issue") || year.told(host, "due", "renew-host"), "{host}: {:#?}", year.told);
    }

    // The machine with the directory is lost. A backup exists, and what was revoked after it is in the rules of a master.
    let safe = tempfile::tempdir().expect("a folder");
    let file = |name: &str| safe.path().join(name).display().to_string();
    fs::write(file("passphrase"), "three in the morning\n").expect("written");
    year.lab.good(&["backup", &file("prod.age"), "--passphrase-file", &file("passphrase")]);
    year.lab.now += Duration::DAY;
    year.lab.good(&["revoke", "node-5", "--reason", "keyCompromise", "--yes"]);
    year.lab.good(&["issue-node", "node-5"]);
    year.pack();
    fs::copy(year.lab.path(RULES), file("authorization.yaml")).expect("a copy");
    let revoked = year.lab.read(RULES).matches("X509SHA256=").count();
    year.lab.now += Duration::DAY;
    year.lose_and_restore(safe.path());
    year.lab.good(&["ledger", "check"]);
    assert!(year.lab.read(RULES).matches("X509SHA256=").count() < revoked, "the backup is older");
    year.lab.good(&["revoke", "--from", &file("authorization.yaml"), "--yes"]);
    assert_eq!(year.lab.read(RULES).matches("X509SHA256=").count(), revoked);
    year.due();
    assert!(year.told("node-5 kubelet-client", "revoked", "issue"), "{:#?}", year.told);
    year.lab.good(&["issue-node", "--all"]);
    year.pack();
    year.verify();
    year.weeks(4);

    // The ledger is lost.
    fs::remove_file(year.lab.path(LEDGER)).expect("removed");
    assert_ne!(year.lab.run(&["issue-node", "--all"]).status, 0);
    year.lab.good(&["ledger", "rebuild"]);
    year.lab.good(&["ledger", "check"]);
    year.pack();
    year.verify();
    assert!(year.lab.read(RULES).matches("X509SHA256=").count() >= 2, "revocations are kept");

    // The node that joined asks again, and everything is renewed a second time.
    year.weeks(36);
    assert!(year.told("node-13 kubelet-client", "due", "send-request"), "{:#?}", year.told);
    assert_eq!(year.due(), Vec::<Value>::new());
    year.lab.good(&["ledger", "check"]);
    let log: Value = serde_json::from_str(&year.lab.good(&["log", "-o", "json"]).out).expect("JSON");
    let issued = log["entries"].as_array().expect("entries").iter().filter(|entry| entry["host"] == "master-1");
    assert!(issued.count() >= 2 * 9, "twice");
}
