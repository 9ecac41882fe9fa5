//! What is recorded about requests of hosts: who asked, who decided, and why, in the status, the log and the metrics.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::enrolment::{CSRS, Served, clusterctl, directory, program, request};
use crate::support::forms;
use crate::support::outside::needs;

fn with_policy() -> tempfile::TempDir {
    let dir = directory();
    let file = dir.path().join("cluster.yaml");
    let text = fs::read_to_string(&file).expect("a file");
    fs::write(&file, text + "enrolment: {policy: queue}\n").expect("written");
    clusterctl(dir.path(), &["issue-master", "--all"]);
    dir
}

fn at_the_server(served: &Served, admin: &str) -> String {
    let text = fs::read_to_string(served.dir.join(format!("pki/admins/{admin}.conf"))).expect("a kubeconfig");
    let path = served.dir.join(format!("{admin}-at-the-server.conf"));
    fs::write(&path, text.replace("https://127.0.0.1:6443", &served.url)).expect("written");
    path.display().to_string()
}

/// Returns the status as JSON.
fn status(dir: &Path, args: &[&str]) -> Value {
    let output = program(dir).args(["status", "-o", "json"]).args(args).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    forms::conforms("status", &text);
    serde_json::from_str(&text).expect("JSON")
}

/// Returns the entries of the log as kind, user and detail.
fn log(dir: &Path, args: &[&str]) -> Vec<[String; 3]> {
    let text = clusterctl(dir, &[&["log", "-o", "json"], args].concat());
    forms::conforms("log", &text);
    let log: Value = serde_json::from_str(&text).expect("JSON");
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let entries = log["entries"].as_array().expect("entries");
    entries.iter().map(|entry| [text(entry, "kind"), text(entry, "by"), text(entry, "detail")]).collect()
}

#[track_caller]
fn promtool_accepts(text: &str) {
    let mut promtool =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn().expect("it runs");
    std::io::Write::write_all(&mut promtool.stdin.take().expect("a pipe"), text.as_bytes()).expect("written");
    assert!(promtool.wait().expect("it ends").success(), "{text}");
}

#[test]
fn requests_and_decisions_are_shown_with_who_and_why() {
    needs!("promtool");
    let dir = with_policy();
    assert!(status(dir.path(), &[])["enrolment"].is_null(), "there is no queue");
    let served = Served::start(dir.path());
    let (alice, office) = (at_the_server(&served, "alice"), at_the_server(&served, "office"));
    let (anonymous, node) = (served.api(None), served.api_of_node("node-1"));
    assert_eq!(node.post(CSRS, &request("renewal", "node-1")).0, 201);
    assert_eq!(anonymous.post(CSRS, &request("first", "node-2")).0, 201);
    assert_eq!(anonymous.post(CSRS, &request("strange", "node-2")).0, 201);

    let found = status(dir.path(), &[]);
    let rows = found["rows"].as_array().expect("rows").iter().filter(|row| row["kind"] == "request");
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
    let rows: Vec<_> =
        rows.map(|row| ["host", "credential", "account", "state", "remedy"].map(|key| text(row, key))).collect();
    let row = |host: &str, name: &str, user: &str| [host, name, user, "due", "review-requests"].map(str::to_owned);
    assert_eq!(
        rows,
        [
            row("node-1", "renewal", "kubelet:node-1"),
            row("node-2", "first", "system:anonymous"),
            row("node-2", "strange", "system:anonymous"),
        ]
    );
    assert_eq!(found["enrolment"]["requests"]["pending"], 3);
    assert_eq!(status(dir.path(), &["node-1"])["summary"]["due"], 1, "of one host");
    let metrics = program(dir.path()).args(["status", "-o", "prometheus"]).output().expect("it runs").stdout;
    let metrics = String::from_utf8(metrics).expect("text");
    assert!(metrics.contains("clusterctl_status_requests{cluster=\"prod\",state=\"pending\"} 3"), "{metrics}");
    promtool_accepts(&metrics);
    let page = program(dir.path()).args(["status", "-o", "html"]).output().expect("it runs").stdout;
    assert!(String::from_utf8(page).expect("text").contains("node-2 (strange)"));

    clusterctl(dir.path(), &["csr", "approve", "first", "--reason", "asset 4711", "--kubeconfig", &alice]);
    clusterctl(dir.path(), &["csr", "deny", "strange", "--reason", "no asset", "--kubeconfig", &alice]);
    let approved = status(dir.path(), &["node-2"]);
    let approved = approved["rows"].as_array().expect("rows").iter().find(|row| row["kind"] == "request");
    assert_eq!(approved.map(|row| text(row, "remedy")).as_deref(), Some("start-signer"));
    let file = dir.path().join("signer.prom").display().to_string();
    let sign = || clusterctl(dir.path(), &["signer", "--kubeconfig", &office, "--once", "--metrics", &file]);
    assert!(sign().contains("denied    node-2  strange"), "a person's denial is recorded");
    let metrics = fs::read_to_string(&file).expect("metrics");
    let of = |name: &str| format!("clusterctl_signer_{name}{{mailbox=\"{}\"}}", served.url);
    for line in [of("issued_total") + " 1", of("waiting_requests") + " 1", of("working") + " 0"] {
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    promtool_accepts(&metrics);
    assert!(!sign().contains("strange"), "it is recorded once");

    let entries = log(dir.path(), &["node-2"]);
    let has = |kind: &str, by: &str, detail: &[&str]| {
        let is_it = |entry: &&[String; 3]| {
            entry[0] == kind && entry[1].starts_with(by) && detail.iter().all(|part| entry[2].contains(part))
        };
        entries.iter().filter(is_it).count()
    };
    assert_eq!(has("request-created", "system:anonymous", &["request first"]), 1, "{entries:?}");
    assert_eq!(has("request-approved", "alice", &["request first", "asset 4711", "(by alice)"]), 1, "{entries:?}");
    assert_eq!(has("request-denied", "alice", &["request strange", "no asset"]), 1, "{entries:?}");
    assert_eq!(has("enrol", "", &["request first", "asset 4711", "(by alice)"]), 1, "the ledger has it: {entries:?}");
    assert_eq!(has("deny", "", &["request strange", "no asset", "(by alice)"]), 1, "the ledger has it: {entries:?}");
    assert!(log(dir.path(), &["-n", "1"]).len() == 1);

    let (_, text) = served.api(Some("alice")).get("/metrics");
    let text = text.as_str().expect("text").to_owned();
    for line in [
        "clusterctl_enrolment_decisions_total{state=\"approved\",by=\"alice\"} 1",
        "clusterctl_enrolment_decisions_total{state=\"denied\",by=\"alice\"} 1",
        "clusterctl_enrolment_decisions_total{state=\"issued\",by=\"office\"} 1",
        "clusterctl_enrolment_oldest_request_seconds",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    promtool_accepts(&text);
    let listed = clusterctl(dir.path(), &["csr", "list", "--all", "--kubeconfig", &alice, "-o", "json"]);
    forms::conforms("csr", &listed);
    assert!(listed.contains("no asset (by alice)"), "{listed}");
}

#[test]
fn a_queue_elsewhere_is_named_and_one_that_cannot_be_read_is_reported() {
    let dir = with_policy();
    let state = tempfile::tempdir().expect("a folder");
    let folder = state.path().display().to_string();
    let served = Served::with_flags(dir.path(), program(dir.path()), &["--state", &folder]);
    assert_eq!(served.api(None).post(CSRS, &request("one", "node-1")).0, 201);
    assert!(status(dir.path(), &[])["enrolment"].is_null());
    assert_eq!(status(dir.path(), &["--state", &folder])["enrolment"]["requests"]["pending"], 1);
    assert!(log(dir.path(), &["--state", &folder]).iter().any(|entry| entry[0] == "request-created"));
    drop(served);
    fs::write(dir.path().join("enrolment.sqlite"), "no database").expect("written");
    let found = status(dir.path(), &[]);
    let queue = found["rows"].as_array().expect("rows").iter().find(|row| row["kind"] == "queue");
    assert_eq!(queue.map(|row| row["state"] == "unreadable"), Some(true), "{found}");
    let output = program(dir.path()).args(["log", "-n", "1"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "the ledger's entries are shown");
    assert!(String::from_utf8_lossy(&output.stderr).contains("enrolment.sqlite"));
}

fn run(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = program(dir).args(args).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn a_signature_that_does_not_count_is_not_written_and_others_are_counted() {
    needs!("ssh-keygen");
    let dir = with_policy();
    let file = dir.path().join("cluster.yaml");
    let rules = "{allowedSigners: approvers, policy: [{name: rest, require: [inventory], then: queue, approvals: 2}]}";
    let text = fs::read_to_string(&file).expect("a file").replace("{policy: queue}", rules);
    let key = |name: &str| {
        let path = dir.path().join(name);
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&path).status();
        assert!(made.expect("ssh-keygen").success());
        let public = fs::read_to_string(dir.path().join(format!("{name}.pub"))).expect("a key");
        (path.display().to_string(), public.trim().to_owned())
    };
    let (ann, bob, eve) = (key("ann"), key("bob"), key("eve"));
    let served = Served::start(dir.path());
    let alice = at_the_server(&served, "alice");
    assert_eq!(served.api(None).post(CSRS, &request("one", "node-1")).0, 201);
    let approve = |key: &str| run(dir.path(), &["csr", "approve", "one", "--sign-with", key, "--kubeconfig", &alice]);
    assert_eq!(approve(&ann.0).0, Some(3), "no keys are allowed");
    fs::write(&file, text).expect("written");
    fs::write(dir.path().join("approvers"), format!("ann {}\nbob {}\n", ann.1, bob.1)).expect("written");
    assert_eq!(approve(&eve.0).0, Some(3), "her key is not among the allowed ones");
    let first = approve(&ann.0);
    assert!(first.0 == Some(0) && first.1.contains("1 of 2"), "{first:?}");
    assert_eq!(approve(&ann.0).0, Some(3), "she decided already");
    let second = approve(&bob.0);
    assert!(second.0 == Some(0) && second.1.contains("2 of 2"), "{second:?}");
    let annotations = served.api(Some("alice")).get(&format!("{CSRS}/one")).1["metadata"]["annotations"].clone();
    let decisions: Value =
        serde_json::from_str(annotations["clusterctl.io/approvals"].as_str().expect("text")).expect("JSON");
    assert_eq!(decisions.as_array().map(Vec::len), Some(2), "only those that count");
}

#[test]
fn an_approval_that_does_not_count_can_still_be_denied() {
    needs!("ssh-keygen");
    let dir = with_policy();
    let file = dir.path().join("cluster.yaml");
    let rules = "{allowedSigners: approvers, policy: [{name: rest, require: [inventory], then: queue, approvals: 2}]}";
    let text = fs::read_to_string(&file).expect("a file").replace("{policy: queue}", rules);
    fs::write(&file, text).expect("written");
    let key = dir.path().join("ann").display().to_string();
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &key]).status();
    assert!(made.expect("ssh-keygen").success());
    let public = fs::read_to_string(dir.path().join("ann.pub")).expect("a key");
    fs::write(dir.path().join("approvers"), format!("ann {public}")).expect("written");
    let served = Served::start(dir.path());
    let alice = at_the_server(&served, "alice");
    assert_eq!(served.api(None).post(CSRS, &request("one", "node-1")).0, 201);
    let decide = |args: &[&str]| run(dir.path(), &[&["csr"], args, &["one", "--kubeconfig", &alice]].concat());
    assert_eq!(decide(&["approve"]).0, Some(0));
    let denied = decide(&["deny"]);
    assert_eq!(denied.0, Some(3));
    for way in ["csr deny one --sign-with", "kubectl delete csr one"] {
        assert!(denied.1.contains(way), "{denied:?}");
    }
    assert_eq!(decide(&["deny", "--sign-with", &key]).0, Some(0), "as the remedy says");
    let office = at_the_server(&served, "office");
    clusterctl(dir.path(), &["signer", "--kubeconfig", &office, "--once"]);
    let conditions = served.api(Some("alice")).get(&format!("{CSRS}/one")).1["status"]["conditions"].clone();
    assert!(conditions.as_array().expect("conditions").iter().any(|one| one["type"] == "Failed"), "{conditions}");
}

#[test]
fn one_name_that_does_not_exist_does_not_keep_others_from_a_decision() {
    let dir = with_policy();
    let served = Served::start(dir.path());
    assert_eq!(served.api(None).post(CSRS, &request("good", "node-1")).0, 201);
    let kubeconfig = dir.path().join("pki/admins/alice.conf").display().to_string();
    let at = ["--kubeconfig", &kubeconfig, "--server", &served.url];
    let ran = run(dir.path(), &[&["csr", "approve", "nope", "good", "gone"], &at[..]].concat());
    assert_eq!(ran.0, Some(2), "{ran:?}");
    let found = served.api(None).get(&format!("{CSRS}/good")).1;
    assert_eq!(found["status"]["conditions"][0]["type"], "Approved");
    let office = dir.path().join("pki/admins/office.conf").display().to_string();
    let signer = ["signer", "--once", "--kubeconfig", &office, "--server", &served.url];
    assert_eq!(run(dir.path(), &signer).0, Some(0));
    assert!(served.api(None).get(&format!("{CSRS}/good")).1["status"]["certificate"].is_string());
    let two = [&signer[..], &["--kubeconfig", &office]].concat();
    assert_eq!(run(dir.path(), &two).0, Some(2), "one server for two kubeconfigs");
    assert_eq!(run(dir.path(), &["signer", "--once", "--lease-name", "A/b"]).0, Some(2));
    assert_eq!(run(dir.path(), &["signer", "--once", "--lease-namespace", "../x"]).0, Some(2));
}

#[test]
fn a_token_that_could_not_be_shown_is_not_valid() {
    let dir = with_policy();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let ended = program(dir.path()).args(["token", "create", "node-1"]).stdout(full).status().expect("it runs");
    assert_eq!(ended.code(), Some(4));
    let listed: Value = serde_json::from_str(&clusterctl(dir.path(), &["token", "list", "-o", "json"])).expect("JSON");
    assert_eq!(listed["tokens"][0]["state"], "revoked");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let state = dir.path().join("boot").display().to_string();
    let create = ["serve", "bootstrap", "--state", &state, "--create-token"];
    assert_eq!(program(dir.path()).args(create).stdout(full).status().expect("it runs").code(), Some(4));
    let registrations = fs::read_to_string(dir.path().join("boot/registrations.json")).expect("a file");
    assert_eq!(registrations.trim(), "[]");
    assert_eq!(run(dir.path(), &["token", "create", "node-1", "--source", "10.0.0.5/8"]).0, Some(2));
    assert_eq!(run(dir.path(), &["token", "create", "node-1", "--source", "10.0.0.0/8"]).0, Some(0));
}

/// Errors of a running server are in its log, and in its metrics.
#[test]
fn files_that_cannot_be_read_any_more_are_told() {
    use std::io::Read;
    let dir = with_policy();
    let mut served = Served::start(dir.path());
    let mut stderr = served.child.stderr.take().expect("a pipe");
    let alice = served.api(Some("alice"));
    let is_unreadable = || {
        let (_, text) = alice.get("/metrics");
        let text = text.as_str().expect("text");
        text.lines().find_map(|line| line.strip_prefix("clusterctl_enrolment_directory_unreadable ")).map(str::to_owned)
    };
    let eventually = |what: &str, value: &str| {
        let began = std::time::Instant::now();
        while is_unreadable().as_deref() != Some(value) {
            assert!(began.elapsed() < PATIENCE, "{what}");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    };
    let file = dir.path().join("cluster.yaml");
    let good = fs::read_to_string(&file).expect("a file");
    eventually("nothing is wrong", "0");
    fs::write(&file, "apiVersion: clusterctl/v1\nnodes: [\n").expect("written");
    eventually("it is noticed", "1");
    assert_eq!(served.api(None).post(CSRS, &request("one", "node-1")).0, 201, "the former state applies");
    fs::write(&file, good).expect("written");
    eventually("it is read again", "0");
    assert_eq!(served.stop(), Some(0));
    let mut text = String::new();
    stderr.read_to_string(&mut text).expect("text");
    assert_eq!(text.matches("warning:").count(), 1, "{text}");
    assert!(text.contains("cluster.yaml"), "{text}");
    assert!(!text.contains("\\u{a}"), "line breaks are line breaks: {text}");
}
