//! The whole way, with the enrolment CA's own server and signer: join, queue or policy, certificate, renewal, revocation.

use std::fs;
use std::path::Path;

use clusterctl::server::Server;
use serde_json::Value;
use time::OffsetDateTime;

use super::proof::served;
use crate::support::encryption::ssh_key;
use crate::support::joining::Joinable;
use crate::support::outside::needs;
use crate::support::{Lab, PATIENCE, Ran};

/// A cluster whose own server takes the requests.
struct Whole {
    on: Joinable,
    _server: Server,
}

impl Whole {
    fn start(policy: &str, seal_to: &str) -> Self {
        let mut lab = Lab::with(&format!(
            "apiVersion: clusterctl/v1\nkind: Cluster\nname: prod\nendpoint: https://127.0.0.1:6443\n\
             masters: [{{name: master-1, addresses: [127.0.0.1]}}]\n\
             nodes:\n- {{name: on, addresses: [127.0.0.11], sealTo: [{seal_to}]}}\n\
             - {{name: worker-b1, addresses: [127.0.0.12]}}\nenrolment:\n  policy:\n{policy}"
        ));
        lab.now = OffsetDateTime::now_utc();
        let mut on = Joinable::of(lab);
        for args in [["issue-admin", "alice", "--approver"], ["issue-admin", "office", "--signer"]] {
            on.lab.good(&args);
        }
        let (server, url) = served(&on.lab);
        for name in ["alice", "office"] {
            let path = format!("pki/admins/{name}.conf");
            let text = on.lab.read(&path).replace("https://127.0.0.1:6443", &url);
            on.lab.write(&path, &text);
        }
        on.enrolment = url;
        on.lab.now = OffsetDateTime::now_utc() + time::Duration::seconds(2);
        on.announce();
        Self { on, _server: server }
    }

    /// Returns the server's metrics, as an approver gets them.
    fn metrics(&self) -> String {
        use clusterctl::config::kubeconfig::{self, Credential};
        use clusterctl::https::{Client, ClientCertificate, ClientOptions, Request, Trust};
        use clusterctl::pki::certificate::Certificate;
        let config = kubeconfig::read(self.on.lab.read("pki/admins/alice.conf").as_bytes()).expect("a kubeconfig");
        let user = config.resolve(None).expect("a context").user.expect("a user");
        let data = |credential: &Option<Credential>| match credential {
            Some(Credential::Data(bytes)) => bytes.to_vec(),
            _ => panic!("no data"),
        };
        let (chain, key) = (data(&user.certificate), data(&user.key));
        let ders = clusterctl::pki::pem::certificates(self.on.lab.read("pki/ca.crt").as_bytes()).expect("a root");
        let roots: Vec<Certificate> = ders.into_iter().map(|der| Certificate::from_der(der).expect("a root")).collect();
        let options = ClientOptions {
            trust: Trust::Roots(&roots),
            certificate: Some(ClientCertificate { chain: &chain, key: &key }),
            now: self.on.lab.now,
            limit: PATIENCE,
        };
        let url = format!("{}/metrics", self.on.enrolment);
        let answer = Client::new(&options).and_then(|client| client.send(&Request::get(&url, 1 << 20)));
        String::from_utf8(answer.expect("an answer").body).expect("text")
    }

    fn sign(&self) {
        self.on.lab.good(&["signer", "--once", "--kubeconfig", "pki/admins/office.conf"]);
    }

    /// Joins, lets the signer judge and sign, packs the bundle, and joins again.
    fn joined(&self, args: &[&str]) -> Ran {
        let first = self.on.join(args);
        assert_eq!(first.status, 5, "{first}");
        self.sign();
        if self.on.lab.path("pki/nodes/on/kubelet-client.crt").exists() {
            let by_token = args.first() == Some(&"--token-file");
            self.on.lab.good(&["bundle", "on", "--unencrypted"][..if by_token { 3 } else { 2 }]);
        }
        self.on.join(args)
    }

    fn has_certificate(&self) -> bool {
        Path::new(&self.on.lab.path("hosts/on/var/lib/kubelet/pki/kubelet-client.crt")).exists()
    }
}

const BY_KEY: &str = "  - {name: keys, require: [inventory, ssh-host-key], then: approve}\n";
const BY_TOKEN: &str = "  - {name: tokens, require: [inventory, token], then: approve}\n";

#[test]
fn a_host_joins_by_its_ssh_key_is_renewed_and_after_a_revocation_refused() {
    needs!("ssh-keygen", "dash", "python3");
    let keys = Lab::empty();
    let public = ssh_key(&keys, "own", "ed25519", "");
    let whole = Whole::start(BY_KEY, &public);
    fs::copy(keys.path("own"), whole.on.lab.path("own")).expect("copied");
    let ran = whole.joined(&["--ssh-host-key", "own"]);
    assert_eq!(ran.status, 0, "{ran}");
    let log = whole.on.lab.good(&["log", "on"]).out;
    assert!(log.contains("clusterctl-on-client-"), "who and why: {log}");
    let renew =
        || whole.on.lab.run(&["join", "--renew", "--force", "--root", "hosts/on", "--wait", "2s", "-o", "json"]);
    assert_eq!(renew().status, 5);
    whole.sign();
    let renewed = renew();
    assert_eq!(renewed.status, 0, "{renewed}");
    let renewed: Value = serde_json::from_str(&renewed.out).expect("JSON");
    assert_eq!(renewed["replaced"].as_array().map(Vec::len), Some(2));
    whole.on.lab.good(&["revoke", "on", "--yes"]);
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let refused = renew();
    assert_ne!(refused.status, 0, "{refused}");
    assert_ne!(refused.status, 5, "a revoked host is not even queued: {refused}");
    assert!(refused.err.contains("log HOST"), "the remedy is about its certificate: {refused}");
}

/// A host watches its request: it learns the decision without asking again and again.
#[test]
fn a_host_that_waits_watches_its_requests() {
    needs!("dash", "python3", "ssh-keygen");
    let keys = Lab::empty();
    let public = ssh_key(&keys, "own", "ed25519", "");
    let whole = Whole::start(BY_KEY, &public);
    fs::copy(keys.path("own"), whole.on.lab.path("own")).expect("copied");
    let metric = |name: &str| -> f64 {
        let text = whole.metrics();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.trim().parse().expect("a number")
    };
    let lab = &whole.on.lab;
    let args = [
        "join",
        "--cluster",
        &whole.on.cluster,
        "--host",
        "on",
        "--root",
        "hosts/on",
        "--wait",
        "60s",
        "--ssh-host-key",
        "own",
    ];
    let mut join = lab.process(&args).spawn().expect("it starts");
    let began = std::time::Instant::now();
    while metric("clusterctl_enrolment_watches") < 1.0 {
        assert!(began.elapsed() < PATIENCE, "it does not watch");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let answers = || metric("clusterctl_enrolment_http_requests_total{code=\"2xx\"}");
    let before = answers();
    std::thread::sleep(std::time::Duration::from_secs(3));
    // Only those of this test.
    assert!(answers() - before <= 3.0, "it asks while it watches");
    whole.sign();
    lab.good(&["bundle", "on", "--unencrypted"]);
    assert_eq!(join.wait().expect("it ends").code(), Some(0));
}

/// What a host renewed itself is on the host: nothing has to be delivered.
#[test]
fn a_renewal_needs_no_delivery() {
    needs!("ssh-keygen", "dash", "python3");
    let keys = Lab::empty();
    let public = ssh_key(&keys, "own", "ed25519", "");
    let mut whole = Whole::start(BY_KEY, &public);
    fs::copy(keys.path("own"), whole.on.lab.path("own")).expect("copied");
    let by_key = ["--ssh-host-key", "own"];
    assert_eq!(whole.on.join(&by_key).status, 5);
    whole.sign();
    let needs_a_bundle = |lab: &Lab| {
        let status: Value = serde_json::from_str(&lab.run(&["status", "on", "-o", "json"]).out).expect("JSON");
        status["rows"].as_array().expect("rows").iter().any(|row| row["kind"] == "bundle")
    };
    whole.on.lab.good(&["bundle", "on", "--unencrypted"]);
    assert_eq!(whole.on.join(&by_key).status, 0);
    assert!(!needs_a_bundle(&whole.on.lab));
    // A generation is a time in seconds.
    whole.on.lab.now += time::Duration::seconds(5);
    let renew = || whole.on.lab.run(&["join", "--renew", "--force", "--root", "hosts/on", "--wait", "2s"]);
    assert_eq!(renew().status, 5);
    whole.sign();
    assert_eq!(renew().status, 0);
    assert!(!needs_a_bundle(&whole.on.lab), "it has its certificates");
    let audit = whole.on.lab.run(&["verify", "--offline", "--output", "json"]);
    let audit: Value = serde_json::from_str(&audit.out).expect("JSON");
    let of_bundle = |one: &&Value| one["id"] == "trust.match" && one["host"] == "on";
    let found = audit["results"].as_array().expect("results").iter().find(of_bundle);
    assert_eq!(found.map(|one| one["status"].clone()), Some("pass".into()), "{found:?}");
    // With new keys, the host waits for a bundle that has them.
    for name in ["kubelet-client", "kubelet-server"] {
        let base = format!("hosts/on/var/lib/kubelet/pki/{name}");
        fs::remove_file(whole.on.lab.path(&format!("{base}.key"))).expect("removed");
        fs::remove_file(whole.on.lab.path(&format!("{base}.crt"))).expect("removed");
    }
    whole.on.lab.now += time::Duration::seconds(5);
    assert_eq!(whole.on.join(&by_key).status, 5);
    whole.sign();
    assert!(needs_a_bundle(&whole.on.lab), "it has new keys");
}

#[test]
fn another_hosts_ssh_key_proves_nothing() {
    needs!("ssh-keygen", "python3");
    let keys = Lab::empty();
    let public = ssh_key(&keys, "own", "ed25519", "");
    let whole = Whole::start(BY_KEY, &public);
    ssh_key(&whole.on.lab, "other", "ed25519", "");
    let ran = whole.joined(&["--ssh-host-key", "other"]);
    assert_ne!(ran.status, 0, "{ran}");
    assert!(!whole.has_certificate());
}

/// Two hosts of the cluster file have one key, as clones of one image have.
#[test]
fn a_cloned_ssh_key_proves_none_of_its_hosts() {
    needs!("ssh-keygen", "python3");
    let keys = Lab::empty();
    let public = ssh_key(&keys, "own", "ed25519", "");
    let whole = Whole::start(BY_KEY, &public);
    let file = whole.on.lab.read("cluster.yaml");
    let clone = file.replace("{name: worker-b1,", &format!("{{name: worker-b1, sealTo: [{public}],"));
    assert_ne!(clone, file);
    whole.on.lab.write("cluster.yaml", &clone);
    fs::copy(keys.path("own"), whole.on.lab.path("own")).expect("copied");
    let ran = whole.joined(&["--ssh-host-key", "own"]);
    assert_eq!(ran.status, 5, "a person decides: {ran}");
    assert!(!whole.has_certificate());
}

#[test]
fn a_token_serves_its_own_host_once() {
    needs!("dash", "python3", "ssh-keygen");
    let keys = Lab::empty();
    let public = ssh_key(&keys, "own", "ed25519", "");
    let whole = Whole::start(BY_TOKEN, &public);
    let create = |host: &str, file: &str| {
        let token = whole.on.lab.good(&["token", "create", host]).out;
        // The server has to know it at once.
        whole.on.lab.write(file, &token);
    };
    create("worker-b1", "stolen");
    let ran = whole.on.join(&["--token-file", "stolen"]);
    assert_ne!(ran.status, 0, "another host's: {ran}");
    assert!(!whole.has_certificate());
    // The host is set up anew: new keys, and its own token.
    fs::remove_dir_all(whole.on.lab.path("hosts/on")).expect("removed");
    fs::create_dir_all(whole.on.lab.path("hosts/on/etc")).expect("made");
    create("on", "token");
    let ran = whole.joined(&["--token-file", "token"]);
    assert_eq!(ran.status, 0, "{ran}");
    // Somebody copied the token, and asks with other keys.
    fs::remove_dir_all(whole.on.lab.path("hosts/on")).expect("removed");
    fs::create_dir_all(whole.on.lab.path("hosts/on/etc")).expect("made");
    let first = whole.on.join(&["--token-file", "token"]);
    if first.status == 5 {
        whole.sign();
    }
    let ran = whole.on.join(&["--token-file", "token"]);
    assert_ne!(ran.status, 0, "used: {ran}");
    assert!(!whole.has_certificate());
}

#[test]
fn the_demo_shows_the_whole_way_and_catches_every_fault() {
    let lab = || {
        let mut lab = Lab::empty();
        lab.now = OffsetDateTime::now_utc();
        lab
    };
    let ran = lab().run(&["demo", "--dynamic"]);
    assert_eq!(ran.status, 0, "{ran}");
    for fault in ["wrong-id", "stale-record", "forged-record", "other-host-key", "stolen-token", "denied"] {
        let ran = lab().run(&["demo", "--dynamic", "--fault", fault]);
        assert_eq!(ran.status, 1, "{fault}: {ran}");
    }
    assert_eq!(lab().run(&["demo", "--fault", "denied"]).status, 2);
    assert_eq!(lab().run(&["demo", "--dynamic", "--fault", "other-ca"]).status, 2);
}
