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
use crate::support::{Lab, Ran};

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

#[test]
fn a_token_serves_its_own_host_once() {
    needs!("dash", "python3", "ssh-keygen");
    let keys = Lab::empty();
    let public = ssh_key(&keys, "own", "ed25519", "");
    let whole = Whole::start(BY_TOKEN, &public);
    let create = |host: &str, file: &str| {
        let token = whole.on.lab.good(&["token", "create", host]).out;
        whole.on.lab.write(file, &token);
        // The server reads the file of tokens again within a second.
        std::thread::sleep(std::time::Duration::from_millis(1500));
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
