//! Policies: the three words, rules, and programs that judge.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use clusterctl::app::enrol::signer::SignerEvent;
use clusterctl::enrol::request::State;
use serde_json::Value;

use super::site::{Ask, Site};
use crate::support::PATIENCE;

/// A site whose rule asks a program with this text.
fn with_program(kind: &str, text: &str) -> Site {
    let site = Site::with(&format!(
        "{{policy: [{{name: asked, require: [inventory, {{{kind}: [./check, --flag]}}], then: approve}}]}}"
    ));
    program(&site, text);
    site
}

fn program(site: &Site, text: &str) {
    site.lab.write("check", text);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(site.lab.path("check"), mode).expect("a file");
}

#[test]
fn insecure_approval_still_takes_names_from_the_cluster_file() {
    let site = Site::with("{policy: insecure-always-approve, until: \"2026-11-24T11:00:00Z\"}");
    site.mailbox.put(Ask::client("a", "kubelet:on").make());
    site.mailbox.put(Ask::serving("b", "kubelet:on", &["api.prod.example.net"]).make());
    site.mailbox.put(Ask::client("c", "kubelet:unknown").make());
    let events = site.sign();
    assert!(events.iter().any(|event| matches!(event, SignerEvent::Insecure { .. })), "{events:?}");
    assert_eq!((site.state("a"), site.state("b"), site.state("c")), (State::Issued, State::Denied, State::Pending));
    let late = Site::with("{policy: insecure-always-approve, until: \"2026-11-30T11:00:00Z\"}");
    late.mailbox.put(Ask::client("a", "kubelet:on").make());
    late.sign();
    assert_eq!(late.state("a"), State::Pending, "a day is the longest");
}

#[test]
fn a_program_gets_the_review_and_may_shorten_the_certificate() {
    let answer = r#"{"verdict":"approve","reason":"seen","validity":"12h"}"#;
    let site = with_program("exec", &format!("#!/bin/sh\ncat > review.json\necho '{answer}'\n"));
    site.mailbox.put(Ask::client("a", "kubelet:on").make());
    site.sign();
    let certificate = site.certificate("a");
    assert_eq!(certificate.not_after, site.lab.now + time::Duration::hours(12));
    let review: Value = serde_json::from_str(&site.lab.read("review.json")).expect("JSON");
    assert_eq!(review["kind"], "ApprovalReview");
    assert_eq!(review["request"]["host"], "on");
    assert_eq!(review["grant"]["user"], "kubelet:on");
    assert_eq!(review["host"]["addresses"][0], "10.20.4.1");
    let wider = r#"{"verdict":"approve","reason":"seen","validity":"10y"}"#;
    program(&site, &format!("#!/bin/sh\necho '{wider}'\n"));
    site.mailbox.put(Ask::client("b", "kubelet:worker-b1").make());
    site.sign();
    assert_eq!(site.certificate("b").not_after, site.lab.now + time::Duration::days(365), "the cluster file's");
}

#[test]
fn a_program_that_every_user_can_change_is_reported() {
    let site = with_program("exec", "#!/bin/sh\necho '{\"verdict\":\"approve\",\"reason\":\"seen\"}'\n");
    let reported = |name: &str, user: &str, mode| {
        std::fs::set_permissions(site.lab.path("check"), std::fs::Permissions::from_mode(mode)).expect("a file");
        site.mailbox.put(Ask::client(name, user).make());
        let events = site.sign();
        assert_eq!(site.state(name), State::Issued, "it decides nevertheless");
        events
            .iter()
            .filter(|event| matches!(event, SignerEvent::OpenProgram { mode: found, .. } if *found == mode))
            .count()
    };
    assert_eq!(reported("a", "kubelet:on", 0o755), 0);
    assert_eq!(reported("b", "kubelet:worker-b1", 0o757), 1, "once");
}

#[test]
fn a_program_denies_or_queues_with_its_reason() {
    for (verdict, state) in [("deny", State::Denied), ("queue", State::Pending), ("retry", State::Pending)] {
        let site =
            with_program("exec", &format!("#!/bin/sh\necho '{{\"verdict\":\"{verdict}\",\"reason\":\"why\"}}'\n"));
        site.mailbox.put(Ask::client("a", "kubelet:on").make());
        let events = site.sign();
        assert_eq!(site.state("a"), state, "{verdict}");
        let said = format!("{events:?}");
        assert!(said.contains("why"), "{said}");
    }
}

#[test]
fn a_program_that_hangs_floods_or_dies_denies_nothing_and_holds_up_nobody() {
    for (name, text) in [
        ("garbage", "#!/bin/sh\necho approve\n"),
        ("empty", "#!/bin/sh\n"),
        ("floods", "#!/bin/sh\nyes '{\"verdict\":\"deny\"}' | head -c 1000000\n"),
        ("fails", "#!/bin/sh\necho '{\"verdict\":\"deny\"}'; exit 1\n"),
        ("dies", "#!/bin/sh\nkill -9 $$\n"),
        ("is missing", ""),
        ("hangs", "#!/bin/sh\nsleep 60\n"),
    ] {
        let rules = "[{name: known, when: {hosts: worker-b1}, require: [{exec: [./good]}], then: approve}, \
                     {name: asked, require: [{exec: [./check]}], then: approve}, {name: none, then: deny}]";
        let site = Site::with(&format!("{{policy: {rules}}}"));
        if text.is_empty() {
            site.lab.write("check", "")
        } else {
            program(&site, text)
        }
        site.lab.write("good", "#!/bin/sh\necho '{\"verdict\":\"approve\"}'\n");
        std::fs::set_permissions(site.lab.path("good"), std::fs::Permissions::from_mode(0o755)).expect("a file");
        site.mailbox.put(Ask::client("a", "kubelet:on").make());
        site.mailbox.put(Ask::client("b", "kubelet:worker-b1").make());
        let start = Instant::now();
        let events = site.sign();
        assert_eq!((site.state("a"), site.state("b")), (State::Pending, State::Issued), "{name}: {events:?}");
        assert!(start.elapsed() < PATIENCE, "{name}");
        assert!(events.iter().any(|event| matches!(event, SignerEvent::Retry { .. })), "{name}: {events:?}");
    }
}

/// The example of Puppet's documentation, in shell: it compares a challenge and the name.
const AUTOSIGN: &str = "#!/bin/sh\n# Puppet: certname is $1 of the master's call, the CSR is on standard input.\n\
    for name; do :; done\nopenssl req -noout -verify -in /dev/stdin >/dev/null 2>&1 || exit 2\ncase \"$name\" in worker-*) exit 0 ;; esac\nexit 1\n";

#[test]
fn a_puppet_autosign_script_decides_as_it_is() {
    crate::support::outside::needs!("openssl");
    let site = with_program("puppet-autosign", AUTOSIGN);
    site.mailbox.put(Ask::client("a", "kubelet:on").make());
    site.mailbox.put(Ask::client("b", "kubelet:worker-b1").make());
    site.sign();
    assert_eq!((site.state("a"), site.state("b")), (State::Pending, State::Issued));
}

#[test]
fn the_example_programs_approve_only_what_they_check() {
    crate::support::outside::needs!("python3");
    let program = |name: &str| format!("{}/examples/policies/{name}", env!("CARGO_MANIFEST_DIR"));
    let (expected, skeleton) = (program("expected-hosts"), program("tpm-skeleton"));
    let site = Site::with(&format!(
        "{{policy: [{{name: expected, require: [inventory, {{exec: [{expected}, expected.txt]}}], then: approve}}]}}"
    ));
    site.mailbox.put(Ask::client("a", "kubelet:on").make());
    assert!(site.sign().iter().any(|event| matches!(event, SignerEvent::Retry { .. })), "there is no list");
    site.lab.write("expected.txt", "# hosts\non 2999-01-01T00:00:00Z\nworker-b1 2020-01-01T00:00:00Z\n");
    site.mailbox.put(Ask::client("b", "kubelet:worker-b1").make());
    // On a slow machine the program may take longer than it has; then it is asked again.
    let start = Instant::now();
    while site.state("a") == State::Pending && start.elapsed() < PATIENCE {
        site.sign();
    }
    assert_eq!((site.state("a"), site.state("b")), (State::Issued, State::Pending));
    site.mailbox.put(Ask::client("c", "kubelet:on").make());
    site.sign();
    assert_eq!(site.state("c"), State::Pending, "it has a certificate");
    let site = Site::with(&format!("{{policy: [{{name: tpm, require: [{{exec: [{skeleton}]}}], then: approve}}]}}"));
    site.mailbox.put(Ask::client("a", "kubelet:on").make());
    site.sign();
    assert_eq!(site.state("a"), State::Pending);
}

/// A service for one host, which requires client certificates of the cluster's CA.
const SERVICE: &str = r#"
import http.server, json, ssl, sys
port, certificate, key, ca = sys.argv[1:]
class Service(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        caller = dict(part[0] for part in self.connection.getpeercert()["subject"])["commonName"]
        good = review["kind"] == "ApprovalReview" and review["request"]["host"] == "on"
        body = json.dumps({"verdict": "approve" if good else "deny", "reason": "asked by " + caller}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
context.load_verify_locations(ca)
context.verify_mode = ssl.CERT_REQUIRED
server = http.server.HTTPServer(("127.0.0.1", int(port)), Service)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
"#;

#[test]
fn a_service_decides_over_mutual_tls_and_another_ca_is_not_trusted() {
    crate::support::outside::needs!("python3");
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("a port").port();
    let hook = |ca: &str| {
        format!(
            "{{url: \"https://127.0.0.1:{port}/review\", ca: {ca}, certificate: pki/nodes/on/kubelet-client.crt, \
             key: pki/nodes/on/kubelet-client.key}}"
        )
    };
    let policy = |ca: &str| {
        format!("enrolment: {{policy: [{{name: asked, require: [{{webhook: {}}}], then: approve}}]}}\n", hook(ca))
    };
    let site = Site::of(&format!("{}{}", crate::support::CLUSTER, policy("pki/ca.crt")));
    site.lab.good(&["issue-master", "--all"]);
    site.lab.good(&["issue-node", "--all"]);
    let folder = site.lab.path("pki/masters/master-1");
    let mut service = std::process::Command::new("python3")
        .args(["-c", SERVICE, &port.to_string()])
        .args([folder.join("apiserver.crt"), folder.join("apiserver.key"), site.lab.path("pki/ca.crt")])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python3");
    let mut line = String::new();
    let out = service.stdout.take().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a line");
    site.mailbox.put(Ask::client("a", "kubelet:worker-b1").make());
    site.mailbox.put(Ask::client("b", "kubelet:on").make());
    let events = format!("{:?}", site.sign());
    let states = (site.state("a"), site.state("b"));
    site.lab.write("cluster.yaml", &format!("{}{}", crate::support::CLUSTER, policy("pki/etcd/ca.crt")));
    site.mailbox.put(Ask::serving("c", "kubelet:worker-b1", &[]).make());
    let untrusted = site.sign();
    service.kill().expect("killed");
    service.wait().expect("ended");
    assert_eq!(states, (State::Denied, State::Issued), "{events}");
    assert!(events.contains("asked by kubelet:on"), "{events}");
    assert_eq!(site.state("c"), State::Pending, "no answer denies nothing");
    assert!(untrusted.iter().any(|event| matches!(event, SignerEvent::Retry { .. })), "{untrusted:?}");
}
