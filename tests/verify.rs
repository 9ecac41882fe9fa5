//! `verify` on real sockets: against the stand-in cluster, whole and with each of its faults, and against servers that
//! nobody here wrote.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration as StdDuration, Instant};

use clusterctl::cluster::address::Address;
use clusterctl::cluster::name::HostName;
use clusterctl::cluster::profile::{Leaf, Profile, RootKind};
use clusterctl::cluster::spec::{Cluster, Draft, DraftHost};
use clusterctl::pki::authority::{Authority, Credential, create_root};
use clusterctl::standin::cluster::{Addresses, Config, StandIn, reserve};
use clusterctl::standin::fault::Fault;
use clusterctl::verify::checks::{Clock, judge};
use clusterctl::verify::finding::{Finding, Status, Strictness, Verdict, verdict};
use clusterctl::verify::observation::Observations;
use clusterctl::verify::options::Options;
use clusterctl::verify::probe::run;
use clusterctl::verify::report::{Report, TextStyle};
use clusterctl::verify::target::{Held, Identity, Target};
use time::{Duration, OffsetDateTime};

/// A stand-in cluster and the target that describes it.
struct Lab {
    cluster: Cluster,
    target: Arc<Target>,
    now: OffsetDateTime,
    _running: StandIn,
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn draft(addresses: &Addresses) -> Draft {
    let host = |name: String, at: &std::net::SocketAddr| DraftHost {
        name: Some(name),
        addresses: vec![at.ip().to_string()],
        port: Some(at.port().to_string()),
    };
    let numbered = |kind: &str, list: &[std::net::SocketAddr]| -> Vec<DraftHost> {
        list.iter().enumerate().map(|(i, at)| host(format!("{kind}-{}", i + 1), at)).collect()
    };
    Draft {
        name: Some("lab".into()),
        endpoint: Some(format!("https://{}", addresses.endpoint)),
        masters: numbered("master", &addresses.masters),
        nodes: numbered("node", &addresses.nodes),
        ..Draft::default()
    }
}

fn lab(masters: usize, nodes: usize, fault: Option<Fault>) -> Lab {
    let now = now();
    // The root that has expired was made two years ago, for one, and everything under it ends with it.
    let issued_at = if fault == Some(Fault::ExpiredRoot) { now - Duration::days(366) } else { now };
    let reserved = reserve(masters, nodes).expect("loopback has addresses");
    let mut draft = draft(reserved.addresses());
    if fault == Some(Fault::ExpiredRoot) {
        draft.validity_ca = Some("1y".into());
    }
    let cluster = draft.check().expect("a good draft");
    let root = create_root(RootKind::Cluster, &cluster.name, cluster.keys, cluster.validity.ca, issued_at);
    let root = root.expect("a root").into_inner();
    let authority = Authority::open(&root, issued_at).expect("a fit root");
    let mut made: HashMap<(Option<HostName>, Profile), Credential> = HashMap::new();
    let leaves = cluster.masters.iter().flat_map(|host| cluster.master_leaves(host));
    for leaf in leaves.chain(cluster.nodes.iter().flat_map(|host| cluster.node_leaves(host))) {
        let credential = authority.issue(&leaf, cluster.keys).expect("a credential").into_inner();
        made.insert((leaf.host, leaf.profile), credential);
    }
    let held = |leaf: &Leaf| {
        let credential = &made[&(leaf.host.clone(), leaf.profile)];
        let identity = Identity::of(credential).expect("an identity");
        Held { issued: Some(credential.certificate.fingerprint()), identity: Some(identity), missing: None }
    };
    let target = Arc::new(Target::of(&cluster, vec![root.certificate.clone()], held));
    let mut take = |host: &HostName, profile| made.remove(&(Some(host.clone()), profile)).expect("issued");
    let masters: Vec<_> = cluster.masters.iter().map(|host| take(&host.name, Profile::Apiserver)).collect();
    let mut nodes: Vec<_> = cluster.nodes.iter().map(|host| take(&host.name, Profile::KubeletServer)).collect();
    if let Some(fault) = fault
        && let Some(broken) = fault.serving_credential(&cluster, &root, now).expect("a broken credential")
    {
        nodes[Fault::node(cluster.nodes.len())] = broken;
    }
    let config = Config { cluster: cluster.clone(), root: root.certificate, masters, nodes, fault, now };
    let running = reserved.start(config).expect("a running cluster");
    Lab { cluster, target, now, _running: running }
}

impl Lab {
    fn observe(&self) -> Observations {
        run(&self.target, &Options::default(), self.now, &|_, _| {}).expect("a network")
    }

    fn judge(&self, seen: &Observations) -> Vec<Finding> {
        judge(&self.target, seen, Clock { now: self.now, expires_within: Duration::days(30) })
    }

    fn text(&self, findings: &[Finding]) -> String {
        let strictness = Strictness::default();
        Report::new(&self.target, findings.to_vec(), strictness, self.now, self.now).to_text(TextStyle::default())
    }
}

/// `check at host` of everything that is not a pass, by status.
fn faults(findings: &[Finding]) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut found: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.status != Status::Pass) {
        let caller = finding.caller.as_ref().filter(|_| finding.id.to_string().starts_with("master."));
        let caller = caller.map(|caller| format!(" by {caller}")).unwrap_or_default();
        let host = if finding.host.starts_with("127.") { "endpoint" } else { &finding.host };
        found.entry(finding.status.as_str()).or_default().insert(format!("{} at {host}{caller}", finding.id));
    }
    found
}

fn expect(fault: Fault, expected: &[(&'static str, &[&str])]) {
    let lab = lab(2, 3, Some(fault));
    let findings = lab.judge(&lab.observe());
    let expected: BTreeMap<&'static str, BTreeSet<String>> =
        expected.iter().map(|(status, list)| (*status, list.iter().map(ToString::to_string).collect())).collect();
    assert_eq!(faults(&findings), expected, "{}", lab.text(&findings));
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Unproven);
}

#[test]
fn a_good_cluster_is_proven_in_all_six_properties() {
    let lab = lab(2, 3, None);
    let findings = lab.judge(&lab.observe());
    assert_eq!(faults(&findings), BTreeMap::new(), "{}", lab.text(&findings));
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Proven);
    let ids: BTreeSet<String> = findings.iter().map(|finding| finding.id.to_string()).collect();
    let node = ["connect", "tls", "protocol", "chain", "possession", "dates", "expiry", "name", "usage", "identity"];
    let calls = ["caller", "anonymous", "stranger", "neighbour", "readonly"];
    let expected = std::iter::once("trust.anchor".to_owned())
        .chain(node.iter().chain(&calls).map(|aspect| format!("node.{aspect}")))
        .chain(node[..9].iter().chain(&["caller", "whoami", "anonymous", "stranger"]).map(|a| format!("master.{a}")));
    assert_eq!(ids, expected.collect());
    // Every node is known at the endpoint and at each master, and every master at each node.
    let count = |id: &str| findings.iter().filter(|finding| finding.id.to_string() == id).count();
    assert_eq!((count("master.whoami"), count("node.caller")), (3 * 3, 3 * 2));
    let text = lab.text(&findings);
    assert!(text.lines().all(|line| line.chars().count() <= 88), "{text}");
    assert_eq!(lab.cluster.nodes.len(), 3);
}

#[test]
fn two_runs_find_the_same_and_a_recording_replays_to_it() {
    let lab = lab(1, 2, Some(Fault::WrongName));
    let (first, second) = (lab.observe(), lab.observe());
    let timeless = |findings: Vec<Finding>| -> Vec<String> {
        let text = |f: Finding| format!("{} {} {:?} {:?}", f.id, f.host, f.caller, f.status);
        findings.into_iter().map(text).collect()
    };
    assert_eq!(timeless(lab.judge(&first)), timeless(lab.judge(&second)));
    let recording = serde_json::to_string(&first).expect("a recording");
    assert!(!recording.contains("PRIVATE KEY"));
    let replayed: Observations = serde_json::from_str(&recording).expect("the same");
    assert_eq!(replayed, first);
    assert_eq!(lab.judge(&replayed), lab.judge(&first));
}

#[test]
fn an_expired_certificate_fails_its_dates_alone() {
    expect(
        Fault::ExpiredNode,
        &[
            ("fail", &["node.dates at node-2"]),
            ("not-proven", &["node.expiry at node-2"]),
            ("warn", &["node.identity at node-2"]),
        ],
    );
}

#[test]
fn another_ca_of_the_same_name_fails_the_chain_and_proves_nothing_else() {
    let not_proven =
        ["node.caller at node-2", "node.anonymous at node-2", "node.stranger at node-2", "node.neighbour at node-2"];
    expect(
        Fault::OtherCa,
        &[("fail", &["node.chain at node-2"]), ("not-proven", &not_proven), ("warn", &["node.identity at node-2"])],
    );
}

#[test]
fn a_wrong_name_fails_the_name_alone() {
    expect(Fault::WrongName, &[("fail", &["node.name at node-2"]), ("warn", &["node.identity at node-2"])]);
}

#[test]
fn a_kubelet_that_lets_everybody_in_fails_every_refusal() {
    expect(
        Fault::AnonymousNode,
        &[("fail", &["node.anonymous at node-2", "node.stranger at node-2", "node.neighbour at node-2"])],
    );
}

#[test]
fn api_servers_that_let_everybody_in_fail_every_refusal() {
    let mut failed = Vec::new();
    for host in ["endpoint", "master-1", "master-2"] {
        failed.extend([format!("master.anonymous at {host}"), format!("master.stranger at {host}")]);
    }
    let failed: Vec<&str> = failed.iter().map(String::as_str).collect();
    expect(Fault::AnonymousMaster, &[("fail", &failed)]);
}

#[test]
fn a_swapped_account_fails_whoami_of_that_node_at_every_master() {
    let failed = ["endpoint", "master-1", "master-2"].map(|host| format!("master.whoami at {host} by node-1"));
    let failed: Vec<&str> = failed.iter().map(String::as_str).collect();
    expect(Fault::SwappedAccount, &[("fail", &failed)]);
}

#[test]
fn plain_http_is_called_by_its_name() {
    let rest = ["protocol", "chain", "possession", "dates", "expiry", "name", "usage", "identity", "caller"];
    let rest = rest.iter().chain(&["anonymous", "stranger", "neighbour"]).map(|a| format!("node.{a} at node-2"));
    let rest: Vec<String> = rest.collect();
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    expect(Fault::Plaintext, &[("fail", &["node.tls at node-2"]), ("not-proven", &rest)]);
    let lab = lab(1, 2, Some(Fault::Plaintext));
    let findings = lab.judge(&lab.observe());
    let tls = findings.iter().find(|f| f.status == Status::Fail).expect("a failure");
    assert_eq!(tls.observed, "it answers plain HTTP");
}

#[test]
fn an_expired_root_is_found_though_every_chain_leads_to_it() {
    let lab = lab(1, 2, Some(Fault::ExpiredRoot));
    let findings = lab.judge(&lab.observe());
    let failed = &faults(&findings)["fail"];
    for check in ["trust.anchor at lab", "node.dates at node-1", "master.dates at master-1", "node.caller at node-1"] {
        assert!(failed.contains(check), "{check}: {}", lab.text(&findings));
    }
    let passes = |id: &str| findings.iter().filter(|f| f.id.to_string() == id).all(|f| f.status == Status::Pass);
    assert!(passes("node.chain") && passes("node.name") && passes("node.tls"));
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::Unproven);
}
