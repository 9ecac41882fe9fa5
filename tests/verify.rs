//! `verify` on real sockets: against the stand-in cluster, whole and with each of its faults, and against servers that
//! nobody here wrote.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration as StdDuration, Instant};

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
    running: StandIn,
    /// The first node's client credential.
    client: Credential,
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn draft(addresses: &Addresses) -> Draft {
    let host = |name: String, at: &std::net::SocketAddr| DraftHost {
        name: Some(name),
        addresses: vec![at.ip().to_string()],
        port: Some(at.port().to_string()),
        ..DraftHost::default()
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
    let leaves = leaves.chain(cluster.nodes.iter().flat_map(|host| cluster.node_leaves(host)));
    for leaf in leaves.chain([cluster.verifier_leaf()]) {
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
    let client = take(&cluster.nodes[0].name, Profile::KubeletClient);
    if let Some(fault) = fault
        && let Some(broken) = fault.serving_credential(&cluster, &root, now).expect("a broken credential")
    {
        nodes[Fault::node(cluster.nodes.len())] = broken;
    }
    let config = Config { cluster: cluster.clone(), root: root.certificate, masters, nodes, fault, now };
    let running = reserved.start(config).expect("a running cluster");
    Lab { cluster, target, now, running, client }
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
    let calls = ["caller", "anonymous", "stranger", "neighbour", "readonly", "listed", "config"];
    let asked = ["caller", "whoami", "scope", "anonymous", "stranger", "flags"];
    let expected = std::iter::once("trust.anchor".to_owned())
        .chain(node.iter().chain(&calls).map(|aspect| format!("node.{aspect}")))
        .chain(node[..9].iter().chain(&asked).map(|a| format!("master.{a}")));
    assert_eq!(ids, expected.collect());
    // Every node is known at the endpoint and at each master, and every master at each node.
    let count = |id: &str| findings.iter().filter(|finding| finding.id.to_string() == id).count();
    assert_eq!((count("master.whoami"), count("node.caller")), (3 * 3, 3 * 2));
    assert_eq!((count("master.scope"), count("master.flags"), count("node.listed")), (3 * 3, 3, 3));
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
    let not_proven = [
        "node.caller at node-2",
        "node.anonymous at node-2",
        "node.stranger at node-2",
        "node.neighbour at node-2",
        "node.config at node-2",
    ];
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
    let rest =
        rest.iter().chain(&["anonymous", "stranger", "neighbour", "config"]).map(|a| format!("node.{a} at node-2"));
    let rest: Vec<String> = rest.collect();
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    expect(Fault::Plaintext, &[("fail", &["node.tls at node-2"]), ("not-proven", &rest)]);
    let lab = lab(1, 2, Some(Fault::Plaintext));
    let findings = lab.judge(&lab.observe());
    let tls = findings.iter().find(|f| f.status == Status::Fail).expect("a failure");
    assert_eq!(tls.observed, "it answers plain HTTP");
    // All that follows from it is told with it, not beside it.
    let text = lab.text(&findings);
    assert!(!text.contains("\nnot-proven"), "{text}");
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

#[test]
fn two_hundred_nodes_take_seconds() {
    let lab = lab(1, 200, None);
    let began = Instant::now();
    let findings = lab.judge(&lab.observe());
    let took = began.elapsed();
    assert_eq!(faults(&findings), BTreeMap::new());
    assert!(took < StdDuration::from_secs(30), "{took:?}");
    let text = lab.text(&findings);
    assert!(text.contains("200 nodes pass") && text.lines().count() < 20, "{text}");
}

/// A cluster of one master and two nodes, of which the first node is somebody else's server.
struct Foreign {
    folder: tempfile::TempDir,
    cluster: Cluster,
    root: Credential,
    target: Target,
    port: u16,
    now: OffsetDateTime,
}

impl Foreign {
    fn new() -> Self {
        let now = now();
        let port = free_port();
        let host = |name: &str, address: &str, port: u16| DraftHost {
            name: Some(name.into()),
            addresses: vec![address.into()],
            port: Some(port.to_string()),
            ..DraftHost::default()
        };
        let draft = Draft {
            name: Some("lab".into()),
            masters: vec![host("master-1", "127.0.0.2", 1)],
            nodes: vec![host("node-1", "127.0.0.1", port), host("node-2", "127.0.0.12", 1)],
            ..Draft::default()
        };
        let cluster = draft.check().expect("a good draft");
        let root = create_root(RootKind::Cluster, &cluster.name, cluster.keys, cluster.validity.ca, now);
        let root = root.expect("a root").into_inner();
        let authority = Authority::open(&root, now).expect("a fit root");
        let held = |leaf: &Leaf| {
            let credential = authority.issue(leaf, cluster.keys).expect("a credential").into_inner();
            Held { issued: None, identity: Some(Identity::of(&credential).expect("an identity")), missing: None }
        };
        let target = Target::of(&cluster, vec![root.certificate.clone()], held);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.crt"), root.certificate.to_pem()).expect("written");
        std::fs::write(folder.path().join("ca.key"), root.key.to_pem().as_bytes()).expect("written");
        Self { folder, cluster, root, target, port, now }
    }

    /// The leaf that the first node should serve.
    fn leaf(&self) -> Leaf {
        let leaves = self.cluster.node_leaves(&self.cluster.nodes[0]);
        leaves.into_iter().find(|leaf| leaf.profile == Profile::KubeletServer).expect("in the table")
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn write(&self, credential: &Credential) {
        std::fs::write(self.path("server.crt"), credential.certificate.to_pem()).expect("written");
        std::fs::write(self.path("server.key"), credential.key.to_pem().as_bytes()).expect("written");
    }

    fn openssl(&self, arguments: &[&str]) {
        let done = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().expect("openssl");
        assert!(done.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn s_server(&self, arguments: &[&str]) -> Server {
        let at = format!("127.0.0.1:{}", self.port);
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", &at, "-cert", "server.crt", "-key", "server.key"]).args(arguments);
        Server::start(command.current_dir(self.folder.path()), self.port)
    }

    /// The status and the observation of each check of the first node.
    fn verdicts(&self) -> BTreeMap<String, (&'static str, String)> {
        let options = Options { timeout: StdDuration::from_secs(5), readonly_port: None, ..Options::default() };
        let target = Arc::new(self.target.clone());
        // OpenSSL dates its certificates by the clock, and the test may have waited for it.
        let now = now();
        let seen = run(&target, &options, now, &|_, _| {}).expect("a network");
        let findings = judge(&target, &seen, Clock { now, expires_within: Duration::days(30) });
        let of_node = findings.into_iter().filter(|finding| finding.host == "node-1");
        of_node.map(|f| (f.id.to_string().replace("node.", ""), (f.status.as_str(), f.observed))).collect()
    }

    fn expect(&self, expected: &[(&str, &'static str)]) {
        let verdicts = self.verdicts();
        for (check, status) in expected {
            assert_eq!(verdicts[*check].0, *status, "{check}: {verdicts:#?}");
        }
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A server that nobody here wrote; it ends with the test.
struct Server(Child);

impl Server {
    fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let server = Self(child.expect("the program is installed"));
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < StdDuration::from_secs(30), "the server does not listen");
            std::thread::sleep(StdDuration::from_millis(50));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn etcd_is_judged_by_what_it_does_in_the_handshake() {
    let lab = Foreign::new();
    let authority = Authority::open(&lab.root, lab.now).expect("a fit root");
    lab.write(authority.issue(&lab.leaf(), lab.cluster.keys).expect("a credential").get());
    let client = format!("https://127.0.0.1:{}", lab.port);
    let peer = format!("http://127.0.0.1:{}", free_port());
    let cluster = format!("default={peer}");
    let mut command = Command::new("etcd");
    let files = [
        ("--data-dir", "data"),
        ("--cert-file", "server.crt"),
        ("--key-file", "server.key"),
        ("--trusted-ca-file", "ca.crt"),
    ];
    for (flag, file) in files {
        command.arg(flag).arg(lab.path(file));
    }
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client, "--client-cert-auth"]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer, "--initial-cluster", &cluster]);
    let _etcd = Server::start(&mut command, lab.port);
    lab.expect(&[
        ("connect", "pass"),
        ("tls", "pass"),
        ("protocol", "pass"),
        ("chain", "pass"),
        ("possession", "pass"),
        ("dates", "pass"),
        ("name", "pass"),
        ("usage", "pass"),
        // etcd is no kubelet: its 404 proves nothing, whoever asks.
        ("caller", "not-proven"),
        ("anonymous", "pass"),
        ("stranger", "pass"),
        // To etcd every client of its CA is as good as another: this is why it has a root of its own.
        ("neighbour", "not-proven"),
    ]);
    let verdicts = lab.verdicts();
    assert!(verdicts["anonymous"].1.contains("alert"), "{verdicts:#?}");
    assert!(verdicts["caller"].1.contains("404"), "{verdicts:#?}");
}

#[test]
fn a_web_server_that_greets_everybody_fails_the_refusals_and_passes_for_no_kubelet() {
    let lab = Foreign::new();
    let authority = Authority::open(&lab.root, lab.now).expect("a fit root");
    lab.write(authority.issue(&lab.leaf(), lab.cluster.keys).expect("a credential").get());
    let _server = lab.s_server(&["-www"]);
    lab.expect(&[
        ("chain", "pass"),
        ("name", "pass"),
        ("caller", "not-proven"),
        ("anonymous", "fail"),
        ("stranger", "fail"),
        ("neighbour", "fail"),
    ]);
}

#[test]
fn a_sha1_signature_by_the_right_root_is_no_chain() {
    let lab = Foreign::new();
    lab.openssl(&[
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "server.key",
        "-subj",
        "/CN=node-1",
        "-out",
        "csr",
    ]);
    std::fs::write(lab.path("ext"), "subjectAltName=IP:127.0.0.1,DNS:node-1\nextendedKeyUsage=serverAuth\n")
        .expect("written");
    let sign =
        ["x509", "-req", "-in", "csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-out", "server.crt", "-extfile", "ext"];
    lab.openssl(&[&sign[..], &["-days", "90", "-sha256"]].concat());
    let server = lab.s_server(&["-www"]);
    lab.expect(&[("chain", "pass"), ("name", "pass"), ("dates", "pass"), ("usage", "pass")]);
    drop(server);
    lab.openssl(&[&sign[..], &["-days", "90", "-sha1"]].concat());
    let _server = lab.s_server(&["-www", "-cipher", "ALL:@SECLEVEL=0"]);
    lab.expect(&[("chain", "fail"), ("name", "pass"), ("anonymous", "not-proven"), ("caller", "not-proven")]);
}

#[test]
fn tls_1_1_is_not_tls_and_the_alert_is_told() {
    let lab = Foreign::new();
    let authority = Authority::open(&lab.root, lab.now).expect("a fit root");
    lab.write(authority.issue(&lab.leaf(), lab.cluster.keys).expect("a credential").get());
    let _server = lab.s_server(&["-www", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    lab.expect(&[("connect", "pass"), ("tls", "fail"), ("chain", "not-proven"), ("anonymous", "not-proven")]);
    assert!(lab.verdicts()["tls"].1.contains("ProtocolVersion"), "{:#?}", lab.verdicts());
}

#[test]
fn tls_1_2_alone_is_enough() {
    let lab = Foreign::new();
    let authority = Authority::open(&lab.root, lab.now).expect("a fit root");
    lab.write(authority.issue(&lab.leaf(), lab.cluster.keys).expect("a credential").get());
    let _server = lab.s_server(&["-www", "-tls1_2", "-Verify", "1", "-verify_return_error", "-CAfile", "ca.crt"]);
    lab.expect(&[
        ("tls", "pass"),
        ("protocol", "pass"),
        ("chain", "pass"),
        ("possession", "pass"),
        ("caller", "not-proven"),
        ("anonymous", "pass"),
        ("stranger", "pass"),
    ]);
}

/// A server of ten lines that misbehaves in one way, for as many connections as come.
fn misbehave(how: fn(std::net::TcpStream)) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || how(stream));
        }
    });
    port
}

/// What is said of TLS, and how long it took.
fn told(port: u16) -> (&'static str, String, StdDuration) {
    let mut lab = Foreign::new();
    lab.target.nodes[0].port = port;
    let options = Options { timeout: StdDuration::from_millis(600), readonly_port: None, ..Options::default() };
    let target = Arc::new(lab.target.clone());
    let began = Instant::now();
    let seen = run(&target, &options, lab.now, &|_, _| {}).expect("a network");
    let took = began.elapsed();
    let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
    assert!(
        findings.iter().all(|f| f.host != "node-1" || f.status != Status::Pass || f.id.to_string() == "node.connect")
    );
    let tls = findings.into_iter().find(|f| f.host == "node-1" && f.id.to_string() == "node.tls").expect("judged");
    (tls.status.as_str(), tls.observed, took)
}

#[test]
fn hostile_peers_cost_their_own_deadline_and_are_called_what_they_are() {
    use std::io::{Read, Write};
    let silent = told(misbehave(|mut stream| drop(stream.read_to_end(&mut Vec::new()))));
    assert_eq!((silent.0, silent.1.as_str()), ("fail", "no end within 600 ms"));
    let closes = told(misbehave(drop));
    assert_eq!((closes.0, closes.1.as_str()), ("fail", "the connection was closed"));
    let http = told(misbehave(|mut stream| drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"))));
    assert_eq!((http.0, http.1.as_str()), ("fail", "it answers plain HTTP"));
    let ssh = told(misbehave(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\x1b[31m\r\n");
        let _ = stream.read(&mut [0; 1000]);
    }));
    assert!(ssh.0 == "fail" && ssh.1.starts_with("what came is not TLS: SSH-2.0"), "{}", ssh.1);
    let drip = told(misbehave(|mut stream| {
        for byte in [0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc].into_iter().chain(std::iter::repeat_n(0, 50)) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(StdDuration::from_millis(100));
        }
    }));
    assert_eq!((drip.0, drip.1.as_str()), ("fail", "no end within 600 ms"));
    for (_, observed, took) in [silent, closes, http, ssh, drip] {
        assert!(took < StdDuration::from_secs(3), "{observed}: {took:?}");
    }
}

#[test]
fn a_deadline_ends_the_run_and_proves_nothing() {
    let lab = lab(1, 3, None);
    let options = Options { deadline: Some(StdDuration::ZERO), ..Options::default() };
    let seen = run(&lab.target, &options, lab.now, &|_, _| {}).expect("a network");
    let findings = lab.judge(&seen);
    assert!(findings.iter().all(|f| f.status == Status::NotProven || f.id.to_string() == "trust.anchor"));
    assert_eq!(verdict(&findings, Strictness::default()), Verdict::NothingJudged);
}

#[test]
fn pinned_names_are_dialled_and_unknown_ones_are_told() {
    let mut lab = Foreign::new();
    let name = clusterctl::cluster::address::Address::parse("node-1").expect("an address");
    lab.target.nodes[0].addresses = vec![name];
    let authority = Authority::open(&lab.root, lab.now).expect("a fit root");
    lab.write(authority.issue(&lab.leaf(), lab.cluster.keys).expect("a credential").get());
    let _server = lab.s_server(&["-www"]);
    let mut options = Options { readonly_port: None, ..Options::default() };
    options.pin("node-1:127.0.0.1").expect("a pin");
    let target = Arc::new(lab.target.clone());
    let seen = run(&target, &options, lab.now, &|_, _| {}).expect("a network");
    let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
    let status = |id: &str| findings.iter().find(|f| f.host == "node-1" && f.id.to_string() == id).expect(id).status;
    for id in ["node.resolve", "node.connect", "node.tls", "node.chain", "node.name"] {
        assert_eq!(status(id), Status::Pass, "{id}");
    }
    assert_eq!(status("node.anonymous"), Status::Fail);
}

#[test]
fn the_environment_is_not_asked_whom_to_trust_or_where_to_go() {
    // A child of its own, because the environment belongs to the whole process.
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "verify::a_good_cluster_is_proven_in_all_six_properties"])
        .envs([
            ("HTTPS_PROXY", "http://127.0.0.1:9"),
            ("ALL_PROXY", "http://127.0.0.1:9"),
            ("https_proxy", "http://127.0.0.1:9"),
        ])
        .envs([("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")])
        .output()
        .expect("a child");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

#[test]
fn curl_and_kubectl_take_the_stand_in_for_a_cluster() {
    let lab = lab(1, 2, None);
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, lab.target.roots[0].to_pem()).expect("written");
    let at = |address: &std::net::SocketAddr, path: &str| format!("https://{address}{path}");
    let curl = |url: &str| {
        let output = Command::new("curl").args(["-sS", "-i", "--cacert"]).arg(&ca).arg(url).output().expect("curl");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let addresses = &lab.running.addresses;
    let kubelet = curl(&at(&addresses.nodes[0], "/pods"));
    assert!(kubelet.contains(" 401") && kubelet.ends_with("Unauthorized"), "{kubelet}");
    let master = curl(&at(&addresses.masters[0], "/api/v1/nodes"));
    assert!(master.contains("HTTP/2 401") && master.contains("\"reason\": \"Unauthorized\""), "{master}");
    let plain = Command::new("curl").arg("-sS").arg(format!("http://{}/", addresses.nodes[0])).output().expect("curl");
    assert_eq!(String::from_utf8_lossy(&plain.stdout), "Client sent an HTTP request to an HTTPS server.\n");
    let (cert, key) = (folder.path().join("node.crt"), folder.path().join("node.key"));
    std::fs::write(&cert, lab.client.certificate.to_pem()).expect("written");
    std::fs::write(&key, lab.client.key.to_pem().as_bytes()).expect("written");
    let kubectl = |path: &str| {
        let mut command = Command::new("kubectl");
        command.args(["--server", &at(&addresses.endpoint, ""), "--certificate-authority"]).arg(&ca);
        command.arg("--client-certificate").arg(&cert).arg("--client-key").arg(&key);
        let output = command.args(["get", "--raw", path]).env("HOME", folder.path()).env_remove("KUBECONFIG").output();
        let output = output.expect("kubectl");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    assert!(kubectl("/api/v1/nodes/node-1").contains("\"kind\": \"Node\""), "{}", kubectl("/api/v1/nodes/node-1"));
    let other = kubectl("/api/v1/nodes/node-2");
    assert!(other.contains("nodes \"node-2\" is forbidden: User \"kubelet:node-1\" cannot get resource"), "{other}");
}

#[test]
fn the_junit_form_is_xml_with_a_case_for_each_check() {
    let lab = lab(1, 2, Some(Fault::Plaintext));
    let findings = lab.judge(&lab.observe());
    let report = Report::new(&lab.target, findings, Strictness::default(), lab.now, lab.now);
    let script = "import sys, xml.etree.ElementTree as e; t = e.parse(sys.stdin).getroot(); \
                  print(len(t.findall('.//testcase')), len(t.findall('.//failure')), len(t.findall('.//error')))";
    let mut python = Command::new("python3");
    let mut child = python.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
    let mut stdin = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, report.to_junit().as_bytes()).expect("written");
    drop(stdin);
    let said = child.wait_with_output().expect("ended").stdout;
    let counts = report.counts();
    let expected = format!("{} {} {}\n", counts.total, counts.fail, counts.not_proven);
    assert_eq!(String::from_utf8_lossy(&said), expected);
    assert!(counts.fail == 1 && counts.not_proven > 5);
}

/// A TLS server that shows `certificate`, signs with `key` and says whatever `speak` writes once it was asked something.
fn speaker(
    certificate: &Credential,
    key: &Credential,
    speak: fn(&mut dyn std::io::Write) -> std::io::Result<()>,
) -> u16 {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.key.expose_pkcs8()));
    let signing = rustls::crypto::ring::sign::any_supported_type(&der).expect("a key");
    let chain = vec![CertificateDer::from(certificate.certificate.der().to_vec())];
    let resolver = SingleCertAndKey::from(CertifiedKey::new(chain, signing));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = config.clone();
            std::thread::spawn(move || -> std::io::Result<()> {
                let connection = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
                let mut tls = rustls::StreamOwned::new(connection, stream);
                let mut asked = [0; 4096];
                if std::io::Read::read(&mut tls, &mut asked)? > 0 {
                    speak(&mut tls)?;
                    tls.conn.send_close_notify();
                    std::io::Write::flush(&mut tls)?;
                }
                Ok(())
            });
        }
    });
    port
}

impl Foreign {
    fn issue(&self) -> Credential {
        let authority = Authority::open(&self.root, self.now).expect("a fit root");
        authority.issue(&self.leaf(), self.cluster.keys).expect("a credential").into_inner()
    }

    /// What a node is found to be that is ours by its certificate and speaks like this.
    fn spoken(speak: fn(&mut dyn std::io::Write) -> std::io::Result<()>) -> BTreeMap<String, (&'static str, String)> {
        let mut lab = Self::new();
        let credential = lab.issue();
        lab.target.nodes[0].port = speaker(&credential, &credential, speak);
        lab.verdicts()
    }
}

#[test]
fn a_peer_without_the_key_of_its_certificate_proves_nothing() {
    let mut lab = Foreign::new();
    let (certificate, other) = (lab.issue(), lab.issue());
    let pods = |out: &mut dyn std::io::Write| {
        let body = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}"#;
        write!(out, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    lab.target.nodes[0].port = speaker(&certificate, &other, pods);
    lab.expect(&[
        ("chain", "pass"),
        ("possession", "fail"),
        ("caller", "not-proven"),
        ("anonymous", "not-proven"),
        ("stranger", "not-proven"),
    ]);
    // The same peer with its key is believed, and found to be open to everybody.
    lab.target.nodes[0].port = speaker(&certificate, &certificate, pods);
    lab.expect(&[("possession", "pass"), ("caller", "pass"), ("anonymous", "fail"), ("stranger", "fail")]);
}

#[test]
fn redirects_are_not_followed_and_garbage_is_no_answer() {
    let statuses = |found: &BTreeMap<String, (&'static str, String)>| [found["caller"].0, found["anonymous"].0];
    let moved = Foreign::spoken(|out| {
        write!(out, "HTTP/1.1 302 Found\r\nlocation: https://127.0.0.1:1/pods\r\ncontent-length: 0\r\n\r\n")
    });
    assert_eq!(statuses(&moved), ["not-proven"; 2]);
    assert!(moved["caller"].1.contains("302"), "{moved:#?}");
    let garbage = Foreign::spoken(|out| out.write_all(b"\x00\x01 not http at all\r\n\r\n"));
    assert_eq!(statuses(&garbage), ["not-proven"; 2]);
    let nothing = Foreign::spoken(|_| Ok(()));
    assert_eq!(statuses(&nothing), ["not-proven"; 2]);
    let lying = Foreign::spoken(|out| write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{{\"kind\":\"Pod"));
    assert_eq!(statuses(&lying), ["not-proven", "fail"]);
}

#[test]
fn endless_headers_and_bodies_end_and_deep_json_is_no_pod_list() {
    let began = Instant::now();
    let headers = Foreign::spoken(|out| {
        write!(out, "HTTP/1.1 200 OK\r\n")?;
        (0..).try_for_each(|i| write!(out, "x-{i}: {}\r\n", "y".repeat(1000)))
    });
    assert_eq!(headers["caller"].0, "not-proven", "{headers:#?}");
    let body = Foreign::spoken(|out| {
        write!(out, "HTTP/1.1 200 OK\r\n\r\n")?;
        (0..).try_for_each(|_: u64| out.write_all(&[b'['; 4096]))
    });
    assert_eq!([body["caller"].0, body["anonymous"].0], ["not-proven", "fail"], "{body:#?}");
    assert!(began.elapsed() < StdDuration::from_secs(20));
}

#[test]
fn what_a_peer_says_is_escaped_in_the_report() {
    let mut lab = Foreign::new();
    let credential = lab.issue();
    lab.target.nodes[0].port = speaker(&credential, &credential, |out| {
        write!(out, "HTTP/1.1 403 \x1b[31mForbidden\r\ncontent-length: 20\r\n\r\n\x1b]0;pwned\x07\u{202e}x\n.....")
    });
    let target = Arc::new(lab.target.clone());
    let seen = run(&target, &Options::default(), lab.now, &|_, _| {}).expect("a network");
    let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
    let report = Report::new(&target, findings, Strictness::default(), lab.now, lab.now);
    for text in [report.to_text(TextStyle { color: false, verbose: true }), report.to_json(), report.to_junit()] {
        assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text}");
    }
}

#[test]
fn a_server_that_wants_a_certificate_and_takes_anybodys_is_found_out_by_the_stranger() {
    for version in ["-tls1_2", "-tls1_3"] {
        let lab = Foreign::new();
        lab.write(&lab.issue());
        // Without -verify_return_error OpenSSL demands a certificate and then overlooks that it chains to nothing.
        let _server = lab.s_server(&["-www", version, "-Verify", "1", "-CAfile", "ca.crt"]);
        lab.expect(&[("chain", "pass"), ("anonymous", "pass"), ("stranger", "fail"), ("neighbour", "fail")]);
    }
}

#[test]
fn a_run_can_be_restricted_to_a_node_or_to_the_masters() {
    let lab = lab(1, 3, None);
    let hosts = |target: &Target| {
        let target = Arc::new(target.clone());
        let seen = run(&target, &Options::default(), lab.now, &|_, _| {}).expect("a network");
        let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
        assert_eq!(verdict(&findings, Strictness::default()), Verdict::Proven);
        let named = |pick: fn(&Finding) -> Option<&str>| -> BTreeSet<String> {
            findings.iter().filter_map(pick).map(str::to_owned).collect()
        };
        let dialled = named(|f| Some(f.host.as_str()).filter(|host| host.starts_with("node")));
        let whoami = named(|f| f.caller.as_deref().filter(|_| f.id.to_string() == "master.whoami"));
        let neighbours = named(|f| f.caller.as_deref().filter(|_| f.id.to_string() == "node.neighbour"));
        [dialled, whoami, neighbours].map(|set| set.into_iter().collect::<Vec<_>>().join(" "))
    };
    let mut one = (*lab.target).clone();
    one.only_nodes(|name| name == "node-2");
    assert_eq!(hosts(&one), ["node-2", "node-2", "node-3"]);
    let mut masters = (*lab.target).clone();
    masters.only_masters();
    assert_eq!(hosts(&masters), ["", "node-1 node-2 node-3", ""]);
}

/// A stranger's timing: nodes that take a connection and never say a word, beside others that are well.
#[test]
fn hosts_that_never_answer_do_not_hold_up_the_others() {
    const GOOD: usize = 150;
    const SILENT: usize = 400;
    let lab = lab(1, GOOD, None);
    let mut target = (*lab.target).clone();
    // Nobody accepts: the kernel completes the handshake of TCP, and that is all that ever happens.
    let holes: Vec<std::net::TcpListener> =
        (0..SILENT).map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    for (i, hole) in holes.iter().enumerate() {
        let mut peer = target.nodes[0].clone();
        (peer.name, peer.port) = (format!("hole-{i}"), hole.local_addr().expect("an address").port());
        peer.addresses = vec![clusterctl::cluster::address::Address::parse("127.0.0.1").expect("an address")];
        peer.asked_for = false;
        target.nodes.insert(i * target.nodes.len() / SILENT, peer);
    }
    let limit = StdDuration::from_secs(4);
    let options = Options { timeout: limit, readonly_port: None, ..Options::default() };
    let began = Instant::now();
    let seen = run(&Arc::new(target.clone()), &options, lab.now, &|_, _| {}).expect("a network");
    let took = began.elapsed();
    assert!(took < 2 * limit + StdDuration::from_secs(2), "{took:?}");
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
        peer.asked_for = false;
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

#[test]
fn old_versions_that_are_spoken_too_are_warned_of() {
    let lab = Foreign::new();
    lab.write(&lab.issue());
    let _server = lab.s_server(&["-www", "-min_protocol", "TLSv1", "-cipher", "ALL:@SECLEVEL=0"]);
    lab.expect(&[("tls", "pass"), ("protocol", "warn"), ("chain", "pass")]);
    assert!(lab.verdicts()["protocol"].1.contains("but TLS 1.1 is spoken too"), "{:#?}", lab.verdicts());
}

#[test]
fn a_server_that_wants_another_group_first_is_a_server() {
    let lab = Foreign::new();
    lab.write(&lab.issue());
    let _server = lab.s_server(&["-www", "-groups", "P-384"]);
    lab.expect(&[("tls", "pass"), ("protocol", "pass"), ("possession", "pass"), ("anonymous", "fail")]);
    assert!(lab.verdicts()["protocol"].1.contains("older versions are refused"), "{:#?}", lab.verdicts());
}

impl Foreign {
    /// Signs `server.crt` for the first node with `ca` (its files), after the fashion of many a script.
    fn sign(&self, ca: &str, extensions: &str, out: &str) {
        let key = format!("{out}.key");
        let curve = "ec_paramgen_curve:P-256";
        let subject = format!("/CN={out}");
        self.openssl(&[
            "req", "-newkey", "ec", "-pkeyopt", curve, "-nodes", "-keyout", &key, "-subj", &subject, "-out", "csr",
        ]);
        std::fs::write(self.path("ext"), extensions).expect("written");
        let (crt, ca_crt, ca_key) = (format!("{out}.crt"), format!("{ca}.crt"), format!("{ca}.key"));
        self.openssl(&[
            "x509", "-req", "-in", "csr", "-CA", &ca_crt, "-CAkey", &ca_key, "-out", &crt, "-extfile", "ext", "-days",
            "90", "-sha256",
        ]);
    }
}

const SERVER: &str = "subjectAltName=IP:127.0.0.1,DNS:node-1\nextendedKeyUsage=serverAuth\n";

#[test]
fn a_leaf_used_as_a_ca_and_a_path_that_is_too_long_are_no_chains() {
    let lab = Foreign::new();
    // A node's own certificate signs another: the oldest trick against careless verifiers (CVE-2002-0862).
    lab.sign("ca", SERVER, "leaf");
    lab.sign("leaf", SERVER, "server");
    let server = lab.s_server(&["-www", "-cert_chain", "leaf.crt"]);
    lab.expect(&[("chain", "fail"), ("name", "pass"), ("anonymous", "not-proven")]);
    drop(server);
    // Our roots allow no intermediates.
    lab.sign("ca", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n", "between");
    lab.sign("between", SERVER, "server");
    let server = lab.s_server(&["-www", "-cert_chain", "between.crt"]);
    lab.expect(&[("chain", "fail")]);
    drop(server);
    std::fs::copy(lab.path("ca.crt"), lab.path("server.crt")).expect("copied");
    std::fs::copy(lab.path("ca.key"), lab.path("server.key")).expect("copied");
    let _server = lab.s_server(&["-www"]);
    lab.expect(&[("chain", "fail"), ("usage", "fail"), ("anonymous", "not-proven")]);
}

#[test]
fn an_intermediate_that_is_not_sent_is_missed_and_one_that_is_sent_is_used() {
    let mut lab = Foreign::new();
    let config = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90"];
    let authority =
        ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"];
    let files = ["req", "-x509", "-keyout", "open.key", "-out", "open.crt", "-subj", "/CN=open root"];
    lab.openssl(&[&files[..], &config, &authority[..2], &authority[2..]].concat());
    lab.sign("open", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n", "between");
    lab.sign("between", SERVER, "server");
    let pem = std::fs::read(lab.path("open.crt")).expect("a root");
    let der = clusterctl::pki::pem::certificates(&pem).expect("PEM").remove(0);
    // Trust is being rotated: two roots in the file, and a chain to either is one.
    lab.target.roots.push(clusterctl::pki::certificate::Certificate::from_der(der).expect("a root"));
    let server = lab.s_server(&["-www"]);
    lab.expect(&[("chain", "fail"), ("name", "pass")]);
    drop(server);
    let server = lab.s_server(&["-www", "-cert_chain", "between.crt"]);
    lab.expect(&[("chain", "pass"), ("dates", "pass"), ("possession", "pass")]);
    drop(server);
    lab.write(&lab.issue());
    let _server = lab.s_server(&["-www"]);
    lab.expect(&[("chain", "pass"), ("dates", "pass")]);
}

#[test]
fn a_chain_of_a_hundred_and_ten_thousand_names_cost_nothing_and_prove_nothing() {
    let lab = Foreign::new();
    lab.write(&lab.issue());
    let ours = std::fs::read_to_string(lab.path("ca.crt")).expect("a root");
    lab.sign("ca", "basicConstraints=critical,CA:TRUE\n", "between");
    let one = std::fs::read_to_string(lab.path("between.crt")).expect("written");
    std::fs::write(lab.path("many.crt"), ours + &one.repeat(99)).expect("written");
    let server = lab.s_server(&["-www", "-cert_chain", "many.crt"]);
    let began = Instant::now();
    lab.expect(&[("tls", "pass"), ("chain", "pass"), ("possession", "pass")]);
    assert!(began.elapsed() < StdDuration::from_secs(20), "{:?}", began.elapsed());
    drop(server);
    let names: Vec<String> = (0..10_000).map(|i| format!("DNS:name-{i}.example.net")).collect();
    lab.sign("ca", &format!("subjectAltName={}\nextendedKeyUsage=serverAuth\n", names.join(",")), "server");
    let _server = lab.s_server(&["-www"]);
    // rustls reads no handshake message of more than 64 KiB, and this one has 300.
    lab.expect(&[("tls", "fail"), ("chain", "not-proven"), ("anonymous", "not-proven")]);
}

#[test]
fn a_revoked_certificate_fails_by_list_and_by_ledger_and_a_bad_list_is_no_list() {
    use clusterctl::pki::certificate::Serial;
    use clusterctl::pki::forge::revocation_list;
    let mut lab = Foreign::new();
    let credential = lab.issue();
    lab.write(&credential);
    let _server = lab.s_server(&["-www"]);
    assert!(!lab.verdicts().contains_key("revoked"), "nothing to judge by, nothing judged");
    let (now, day) = (lab.now, Duration::DAY);
    let serial = credential.certificate.serial.clone();
    let other = Serial(vec![7; 16]);
    let list =
        |root: &Credential, serials: &[Serial], from, to| revocation_list(root, serials, from, to).expect("a list");
    let twin = create_root(RootKind::Cluster, &lab.cluster.name, lab.cluster.keys, lab.cluster.validity.ca, now);
    let twin = twin.expect("a root").into_inner();
    let root = &lab.root;
    let fresh = list(root, std::slice::from_ref(&other), now - day, now + day);
    let cases = [
        (vec![fresh.clone()], "pass", "not among the revoked"),
        (vec![list(root, &[other, serial.clone()], now - day, now + day)], "fail", "is in the list of"),
        (vec![fresh.clone(), list(root, &[serial], now - day, now + day)], "fail", "is in the list of"),
        (vec![list(root, &[], now - 2 * day, now - day)], "fail", "the list expired 1 day ago"),
        (vec![list(root, &[], now + day, now + 2 * day)], "fail", "the list is of"),
        (vec![list(&twin, &[], now - day, now + day)], "fail", "whose key did not sign it"),
        (vec![b"no list".to_vec()], "fail", "not a certificate revocation list"),
        (vec![list(root, &[], now - 2 * day, now - day), fresh], "pass", "not among the revoked"),
    ];
    for (crls, status, told) in cases {
        lab.target.crls = crls;
        let found = lab.verdicts().remove("revoked").expect("judged");
        assert!(found.0 == status && found.1.contains(told), "{told}: {found:?}");
    }
    lab.target.crls.clear();
    for (known, status) in [(BTreeSet::new(), "pass"), ([credential.certificate.fingerprint()].into(), "fail")] {
        lab.target.revoked = Some(known);
        assert_eq!(lab.verdicts()["revoked"].0, status);
    }
}

#[test]
fn openssls_own_list_is_understood() {
    let mut lab = Foreign::new();
    let credential = lab.issue();
    lab.write(&credential);
    for (name, text) in [
        ("index.txt", ""),
        ("number", "01\n"),
        (
            "cnf",
            "[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=2\n",
        ),
    ] {
        std::fs::write(lab.path(name), text).expect("written");
    }
    let ca = ["ca", "-config", "cnf", "-cert", "ca.crt", "-keyfile", "ca.key"];
    let _server = lab.s_server(&["-www"]);
    for (revoke, status) in [(false, "pass"), (true, "fail")] {
        if revoke {
            lab.openssl(&[&ca[..], &["-revoke", "server.crt"]].concat());
        }
        lab.openssl(&[&ca[..], &["-gencrl", "-out", "crl.pem"]].concat());
        let pem = std::fs::read(lab.path("crl.pem")).expect("a list");
        lab.target.crls = clusterctl::pki::crl::lists(&pem).expect("a list");
        assert_eq!(lab.verdicts()["revoked"].0, status, "{:#?}", lab.verdicts()["revoked"]);
    }
}

#[test]
fn floods_drips_and_wrong_types_are_bounded_and_an_open_door_stays_one() {
    let began = Instant::now();
    let flood = Foreign::spoken(|out| {
        loop {
            out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
    });
    assert_eq!([flood["caller"].0, flood["anonymous"].0], ["not-proven"; 2], "{flood:#?}");
    let html = Foreign::spoken(|out| {
        let body = "<html>{\"kind\":\"PodList\"}</html>";
        write!(out, "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    });
    assert_eq!([html["caller"].0, html["anonymous"].0], ["not-proven", "fail"], "{html:#?}");
    let drip = Foreign::spoken(|out| {
        write!(out, "HTTP/1.1 200 OK\r\n\r\n")?;
        for _ in 0..60 {
            out.write_all(b"{")?;
            out.flush()?;
            std::thread::sleep(StdDuration::from_secs(1));
        }
        Ok(())
    });
    // The first question took all of its time; no other is asked.
    assert_eq!([drip["caller"].0, drip["anonymous"].0, drip["stranger"].0], ["not-proven"; 3], "{drip:#?}");
    assert!(began.elapsed() < StdDuration::from_secs(25), "{:?}", began.elapsed());
}

#[test]
fn a_peer_that_refuses_or_resets_is_told_from_one_that_is_silent() {
    let mut lab = Foreign::new();
    lab.target.nodes[0].port = free_port();
    lab.expect(&[("connect", "fail"), ("tls", "not-proven"), ("caller", "not-proven")]);
    assert!(lab.verdicts()["connect"].1.starts_with("connection refused"), "{:#?}", lab.verdicts());
    // What was sent and not read makes the kernel reset.
    let resets = told(misbehave(|stream| {
        std::thread::sleep(StdDuration::from_millis(100));
        drop(stream);
    }));
    assert_eq!((resets.0, resets.1.as_str()), ("fail", "the connection was closed"));
}

#[test]
fn a_name_with_a_bad_address_among_good_ones_is_told_of_that_address_alone() {
    let mut lab = Foreign::new();
    let address = |text: &str| clusterctl::cluster::address::Address::parse(text).expect("an address");
    lab.target.nodes[0].addresses = vec![address("node-1")];
    lab.write(&lab.issue());
    let _server = lab.s_server(&["-www"]);
    let mut options = Options { readonly_port: None, ..Options::default() };
    for pin in ["node-1:127.0.0.1", "node-1:127.0.0.99"] {
        options.pin(pin).expect("a pin");
    }
    let target = Arc::new(lab.target.clone());
    let seen = run(&target, &options, lab.now, &|_, _| {}).expect("a network");
    let findings = judge(&target, &seen, Clock { now: lab.now, expires_within: Duration::days(30) });
    let connects: Vec<(String, Status)> = findings
        .iter()
        .filter(|f| f.host == "node-1" && f.id.to_string() == "node.connect")
        .map(|f| (f.address.clone().unwrap_or_default(), f.status))
        .collect();
    let at = |ip: &str| format!("{ip}:{}", lab.port);
    assert_eq!(connects, [(at("127.0.0.1"), Status::Pass), (at("127.0.0.99"), Status::Fail)]);
}

#[test]
fn every_spelling_of_an_address_and_wildcards_are_names() {
    let lab = Foreign::new();
    let address = |text: &str| clusterctl::cluster::address::Address::parse(text).expect("an address");
    lab.sign("ca", "subjectAltName=IP:fd00:0:0:0:0:0:0:1,IP:10.0.0.1,DNS:*.example.net\n", "server");
    let pem = std::fs::read(lab.path("server.crt")).expect("written");
    let der = clusterctl::pki::pem::certificates(&pem).expect("PEM").remove(0);
    let leaf = clusterctl::pki::certificate::Certificate::from_der(der).expect("a certificate");
    for named in ["fd00::1", "FD00:0::0:1", "[fd00::1]", "::ffff:10.0.0.1", "10.0.0.1", "a.example.net"] {
        assert!(leaf.names_address(&address(named)), "{named}");
    }
    for other in ["fd00::2", "10.0.0.2", "example.net", "a.b.example.net", "server"] {
        assert!(!leaf.names_address(&address(other)), "{other}");
    }
}
