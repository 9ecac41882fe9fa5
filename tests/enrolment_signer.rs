//! The signer and the review of requests at the enrolment CA's server, each as a process of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::pem;
use clusterctl::store::ledger::Ledger;
use clusterctl::store::ledger::certificates::CertificateQuery;
use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::enrolment::{CSRS, Served, clusterctl, csr, directory, object, program};
use crate::support::forms;

/// Replaces the policy in the cluster file.
fn with_policy(dir: &Path, policy: &str) {
    let file = dir.join("cluster.yaml");
    let text = fs::read_to_string(&file).expect("a cluster file");
    let others: String =
        text.lines().filter(|line| !line.starts_with("enrolment:")).map(|line| format!("{line}\n")).collect();
    fs::write(&file, format!("{others}enrolment: {{policy: {policy}}}\n")).expect("written");
    // With enrolment, masters have a serving certificate of the enrolment CA, too.
    clusterctl(dir, &["issue-master", "--all"]);
}

/// Returns the kubeconfig of an account, changed to connect to the server.
fn kubeconfig(served: &Served, admin: &str) -> PathBuf {
    let text = fs::read_to_string(served.dir.join(format!("pki/admins/{admin}.conf"))).expect("a kubeconfig");
    let path = served.dir.join(format!("{admin}-at-the-server.conf"));
    fs::write(&path, text.replace("https://127.0.0.1:6443", &served.url)).expect("written");
    path
}

/// Runs the signer once, with the account `office`, and returns its output.
fn sign(served: &Served) -> String {
    let office = kubeconfig(served, "office").display().to_string();
    clusterctl(&served.dir, &["signer", "--kubeconfig", &office, "--once"])
}

fn certificate(object: &Value) -> Certificate {
    let text = object["status"]["certificate"].as_str().unwrap_or_else(|| panic!("no certificate: {object}"));
    let pem_text = Base64::decode_vec(text).expect("base64");
    Certificate::from_der(pem::certificates(&pem_text).expect("PEM").swap_remove(0)).expect("a certificate")
}

/// Returns the fingerprints of a host's certificates in the ledger.
fn issued(dir: &Path, host: &str) -> Vec<String> {
    let ledger = Ledger::open_read_only(&dir.join("pki/ledger.sqlite3")).expect("a ledger");
    let all = ledger.by_host(host).and_then(CertificateQuery::all).expect("rows");
    all.into_iter().map(|one| one.fingerprint.to_string()).collect()
}

#[test]
fn requests_are_reviewed_approved_and_signed() {
    let dir = directory();
    with_policy(
        dir.path(),
        "[{name: renewals, when: {kind: renewal}, require: [inventory, same-host], then: approve}]",
    );
    let served = Served::start(dir.path());
    let (anonymous, node) = (served.api(None), served.api_of_node("node-1"));
    let before = issued(dir.path(), "node-2").len();
    assert_eq!(anonymous.post(CSRS, &object("first", &csr("kubelet:node-2").0)).0, 201);
    assert_eq!(node.post(CSRS, &object("renewal", &csr("kubelet:node-1").0)).0, 201);
    let done = sign(&served);
    assert!(done.contains("queued") && done.contains("issued"), "{done}");
    let renewed = certificate(&node.get(&format!("{CSRS}/renewal")).1);
    assert_eq!(renewed.account().user, "kubelet:node-1");
    assert!(issued(dir.path(), "node-1").contains(&renewed.fingerprint().to_string()));

    let alice = kubeconfig(&served, "alice").display().to_string();
    let list = clusterctl(dir.path(), &["csr", "list", "--kubeconfig", &alice, "-o", "json"]);
    forms::conforms("csr", &list);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list["requests"].as_array().map(Vec::len), Some(1), "the open ones: {list}");
    assert_eq!((&list["requests"][0]["name"], &list["requests"][0]["verdict"]), (&"first".into(), &"queue".into()));
    let explained = clusterctl(dir.path(), &["csr", "explain", "first", "--kubeconfig", &alice]);
    assert!(explained.contains("rule renewals") && explained.contains("kubelet:node-2"), "{explained}");
    clusterctl(dir.path(), &["csr", "approve", "first", "--reason", "asset 4711", "--kubeconfig", &alice]);
    sign(&served);
    let first = certificate(&anonymous.get(&format!("{CSRS}/first")).1);
    assert_eq!(first.account().user, "kubelet:node-2");
    assert_eq!(issued(dir.path(), "node-2").len(), before + 1);
    let list = clusterctl(dir.path(), &["csr", "list", "--all", "--kubeconfig", &alice, "-o", "json"]);
    forms::conforms("csr", &list);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let made: BTreeMap<&str, [&Value; 2]> = list["requests"]
        .as_array()
        .expect("requests")
        .iter()
        .map(|one| (one["name"].as_str().expect("a name"), [&one["verdict"], &one["rule"]]))
        .collect();
    assert_eq!(made["renewal"], [&Value::from("approve"), &Value::from("renewals")], "as it was decided");
    assert_eq!(made["first"], [&Value::Null, &Value::Null], "a person decided");
    let log = clusterctl(dir.path(), &["log", "node-2"]);
    assert!(log.contains("request first") && log.contains("asset 4711"), "{log}");

    let other = dir.path().join("other.yaml");
    let text = fs::read_to_string(dir.path().join("cluster.yaml")).expect("a file");
    let (cluster, _) = text.split_once("enrolment:").expect("a policy");
    fs::write(&other, format!("{cluster}enrolment: {{policy: always-reject}}\n")).expect("written");
    let other = other.display().to_string();
    let replay = clusterctl(dir.path(), &["csr", "replay", "--policy", &other, "--kubeconfig", &alice]);
    assert!(replay.contains("deny (always-reject)"), "{replay}");
}

/// The response to a dry run has the rule, but only for authenticated clients.
#[test]
fn a_dry_run_says_which_rule_would_decide() {
    let dir = directory();
    with_policy(
        dir.path(),
        "[{name: renewals, when: {kind: renewal}, require: [inventory, same-host], then: approve}]",
    );
    let served = Served::start(dir.path());
    let ask = |api: &crate::support::enrolment::Api, host: &str| -> Value {
        let body = object("dry", &csr(&format!("kubelet:{host}")).0);
        let (status, object) = api.post(&format!("{CSRS}?dryRun=All"), &body);
        assert_eq!(status, 201, "{object}");
        let preview =
            object["metadata"]["annotations"]["clusterctl.io/preview"].as_str().expect("a preview").to_owned();
        serde_json::from_str(&preview).expect("JSON")
    };
    let own = ask(&served.api_of_node("node-1"), "node-1");
    assert_eq!(
        (&own["decision"]["verdict"], &own["decision"]["rule"]),
        (&"approve".into(), &"renewals".into()),
        "{own}"
    );
    let requirement = &own["decision"]["rules"][0]["requirements"][1];
    assert_eq!((&requirement["name"], &requirement["answer"]), (&"same-host".into(), &"ok".into()), "{own}");
    let other = ask(&served.api(Some("alice")), "node-2");
    assert_eq!((&other["decision"]["verdict"], &other["proven"]), (&"queue".into(), &false.into()), "{other}");
    assert!(other["decision"]["rules"][0]["isAboutAnother"].is_string(), "{other}");
    assert!(ask(&served.api(None), "node-2")["decision"].is_null(), "anonymous clients do not see the policy");
    assert_eq!(served.api(Some("alice")).get(CSRS).1["items"], Value::Array(Vec::new()), "nothing is written");
}

/// Requests that are no longer listed are replayed as they were at their time.
#[test]
fn another_policy_is_replayed_on_the_past() {
    let dir = directory();
    with_policy(
        dir.path(),
        "[{name: renewals, when: {kind: renewal}, require: [inventory, same-host], then: approve}]",
    );
    let served = Served::start(dir.path());
    let alice = kubeconfig(&served, "alice").display().to_string();
    let node = served.api_of_node("node-1");
    assert_eq!(node.post(CSRS, &object("renewal", &csr("kubelet:node-1").0)).0, 201);
    sign(&served);
    served.api(Some("alice")).send("DELETE", &format!("{CSRS}/renewal"), "", Vec::new());
    // The certificate that proved the renewal is revoked now, but was valid then.
    clusterctl(dir.path(), &["revoke", "node-1", "--reason", "superseded", "--yes"]);
    let other = dir.path().join("other.yaml");
    let text = fs::read_to_string(dir.path().join("cluster.yaml")).expect("a file");
    let (cluster, _) = text.split_once("enrolment:").expect("a policy");
    fs::write(&other, format!("{cluster}enrolment: {{policy: always-reject}}\n")).expect("written");
    let other = other.display().to_string();
    let replay = || clusterctl(dir.path(), &["csr", "replay", "--policy", &other, "--kubeconfig", &alice]);
    assert!(!clusterctl(dir.path(), &["csr", "list", "--all", "--kubeconfig", &alice]).contains("renewal"));
    let replayed = replay();
    assert!(replayed.contains("renewal") && replayed.contains("deny (always-reject)"), "{replayed}");
    let page = |query: &str| served.api(Some("alice")).get(&format!("/clusterctl/v1/requests/{query}"));
    assert_eq!(page("0").1["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(page("4000000000").1["items"].as_array().map(Vec::len), Some(0), "none since then");
    assert_eq!(page("yesterday").0, 400);
    assert_eq!(served.api(None).get("/clusterctl/v1/requests/0").0, 403);
    for i in 0..3 {
        assert_eq!(served.api(None).post(CSRS, &object(&format!("r{i}"), &csr("kubelet:node-2").0)).0, 201);
    }
    let first = page("0?limit=2").1;
    let next = first["metadata"]["continue"].as_str().expect("more").to_owned();
    let second = page(&format!("0?limit=2&continue={next}")).1;
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("items");
        items.iter().map(|item| item["metadata"]["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!([names(&first), names(&second)].concat(), ["renewal", "r0", "r1", "r2"]);
}

#[test]
fn a_denied_request_says_why_and_stays_denied() {
    let dir = directory();
    with_policy(dir.path(), "queue");
    let served = Served::start(dir.path());
    let alice = kubeconfig(&served, "alice").display().to_string();
    let anonymous = served.api(None);
    assert_eq!(anonymous.post(CSRS, &object("one", &csr("kubelet:node-2").0)).0, 201);
    clusterctl(dir.path(), &["csr", "deny", "one", "--reason", "unknown asset", "--kubeconfig", &alice]);
    let denied = anonymous.get(&format!("{CSRS}/one")).1;
    assert_eq!(denied["status"]["conditions"][0]["type"], "Denied");
    let again = program(dir.path()).args(["csr", "approve", "one", "--kubeconfig", &alice]).output().expect("it runs");
    assert_eq!(again.status.code(), Some(3), "{}", String::from_utf8_lossy(&again.stderr));
    let none = program(dir.path()).args(["csr", "show", "none", "--kubeconfig", &alice]).output().expect("it runs");
    assert_eq!(none.status.code(), Some(2), "{}", String::from_utf8_lossy(&none.stderr));
    // An approver does not sign.
    let signer = program(dir.path()).args(["signer", "--once", "--kubeconfig", &alice]).output().expect("it runs");
    assert_eq!(signer.status.code(), Some(3), "{}", String::from_utf8_lossy(&signer.stderr));
}

#[test]
fn a_queue_has_one_server() {
    let dir = directory();
    let served = Served::start(dir.path());
    let second = program(dir.path()).args(["serve", "ca", "--listen", "127.0.0.1:0"]).output().expect("it ends");
    let text = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(4), "{text}");
    assert!(text.contains("--state"), "the remedy is a folder of its own: {text}");
    assert_eq!(served.api(None).get("/readyz").0, 200, "the first one works on");
}

#[test]
fn a_signer_that_runs_once_takes_over_from_one_that_was_killed() {
    let dir = directory();
    with_policy(dir.path(), "[{name: renewals, require: [inventory, same-host], then: approve}]");
    let served = Served::start(dir.path());
    let office = kubeconfig(&served, "office").display().to_string();
    let node = served.api_of_node("node-1");
    let mut signer = program(dir.path())
        .args(["signer", "--kubeconfig", &office])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/clusterctl-signer";
    let has_lease = || served.api(Some("office")).get(lease).1["spec"]["holderIdentity"].is_string();
    for _ in 0..100 {
        if has_lease() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    signer.kill().expect("killed");
    signer.wait().expect("ended");
    assert!(has_lease(), "the Lease is the killed signer's");
    assert_eq!(node.post(CSRS, &object("one", &csr("kubelet:node-1").0)).0, 201);
    sign(&served);
    certificate(&node.get(&format!("{CSRS}/one")).1);
}

/// Returns how often the signer is killed, which `CLUSTERCTL_KILLS` can change.
fn kills() -> u64 {
    std::env::var("CLUSTERCTL_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

#[test]
fn a_signer_that_is_killed_at_any_moment_issues_nothing_twice() {
    let dir = directory();
    with_policy(dir.path(), "[{name: renewals, require: [inventory, same-host], then: approve}]");
    let served = Served::start(dir.path());
    let office = kubeconfig(&served, "office").display().to_string();
    let nodes = [served.api_of_node("node-1"), served.api_of_node("node-2")];
    let before: BTreeMap<&str, usize> = ["node-1", "node-2"].map(|host| (host, issued(dir.path(), host).len())).into();
    let mut sent = Vec::new();
    for round in 0..kills() {
        for (api, host) in nodes.iter().zip(["node-1", "node-2"]) {
            let name = format!("r{round}-{host}");
            // A host with too many open requests is refused.
            if api.post(CSRS, &object(&name, &csr(&format!("kubelet:{host}")).0)).0 == 201 {
                sent.push((name, host));
            }
        }
        let mut signer = program(dir.path())
            .args(["signer", "--kubeconfig", &office, "--lease-name", &format!("l{round}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        // Kills it at different times, from before its first connection until after the delivery.
        std::thread::sleep(Duration::from_millis(40 + (round * 97) % 500));
        signer.kill().expect("killed");
        signer.wait().expect("ended");
    }
    sign(&served);
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, host) in &sent {
        let api = if *host == "node-1" { &nodes[0] } else { &nodes[1] };
        let (status, object) = api.get(&format!("{CSRS}/{name}"));
        assert_eq!(status, 200, "{name}");
        let conditions = &object["status"]["conditions"];
        // A later request may have superseded it, if the host had too many open ones.
        if conditions[0]["reason"] == "Superseded" {
            assert!(object["status"]["certificate"].is_null(), "{name}");
            continue;
        }
        assert_eq!(conditions[0]["type"], "Approved", "{name}: {conditions}");
        found.entry(host).or_default().push(certificate(&object).fingerprint().to_string());
    }
    for (host, delivered) in found {
        let known = issued(dir.path(), host);
        assert!(delivered.iter().all(|one| known.contains(one)), "{host}: a certificate outside of the ledger");
        assert_eq!(known.len(), before[host] + delivered.len(), "{host}: one certificate for each request");
    }
}

#[test]
fn sigterm_ends_a_signer_after_its_batch_and_frees_the_lease() {
    let dir = directory();
    with_policy(dir.path(), "[{name: renewals, require: [inventory, same-host], then: approve}]");
    let served = Served::start(dir.path());
    let office = kubeconfig(&served, "office").display().to_string();
    let node = served.api_of_node("node-1");
    let mut command = program(dir.path());
    command.args(["signer", "--kubeconfig", &office]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut signer = command.spawn().expect("it starts");
    assert_eq!(node.post(CSRS, &object("one", &csr("kubelet:node-1").0)).0, 201);
    let began = std::time::Instant::now();
    while node.get(&format!("{CSRS}/one")).1["status"]["certificate"].is_null() {
        assert!(began.elapsed() < PATIENCE, "no certificate");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&signer);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
    assert_eq!(signer.wait().expect("it ends").code(), Some(0));
    sign(&served);
}
