//! The enrolment CA's server, judged by kubectl, curl, openssl and promtool.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::PATIENCE;
use crate::support::enrolment::{
    Api, CSRS, Served, clusterctl, csr, directory, object, program, request, runtime, signed,
};
use crate::support::outside::{needs, stdout};

fn kubectl(served: &Served, admin: &str, args: &[&str]) -> Command {
    let mut command = Command::new("kubectl");
    command.args(args).arg("--server").arg(&served.url).env("HOME", &served.dir);
    command.env("KUBECONFIG", served.dir.join(format!("pki/admins/{admin}.conf"))).stdin(Stdio::null());
    command
}

fn curl(served: &Served, args: &[&str], path: &str) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*"]).args(args);
    command.arg("--cacert").arg(served.dir.join("pki/ca.crt")).arg(format!("{}{path}", served.url));
    stdout(&mut command)
}

pub(super) fn state(object: &Value) -> String {
    let kinds = object["status"]["conditions"].as_array().into_iter().flatten();
    kinds.filter_map(|one| one["type"].as_str()).collect::<Vec<_>>().join(",")
}

#[test]
fn kubectl_lists_describes_decides_and_deletes() {
    needs!("kubectl", "openssl");
    let dir = directory();
    let served = Served::start(dir.path());
    let anonymous = served.api(None);
    for (name, host) in [("one", "node-1"), ("two", "node-2"), ("three", "node-1")] {
        assert_eq!(anonymous.post(CSRS, &request(name, host)).0, 201, "{name}");
    }
    let run = |args: &[&str]| stdout(&mut kubectl(&served, "alice", args));
    let who: Value = serde_json::from_str(&run(&["auth", "whoami", "-o", "json"])).expect("JSON");
    assert_eq!(who["status"]["userInfo"]["username"], "alice");
    assert!(
        who["status"]["userInfo"]["groups"].as_array().is_some_and(|all| all.contains(&"clusterctl:approvers".into()))
    );

    let mut watch = kubectl(&served, "alice", &["get", "csr", "-w", "--no-headers"]);
    let watch = watch.stdout(Stdio::piped()).spawn().expect("it runs");
    std::thread::sleep(Duration::from_millis(1500));
    run(&["certificate", "approve", "one"]);
    run(&["certificate", "deny", "two"]);
    let shown = |args: &[&str]| -> Vec<(String, String)> {
        let text = run(args);
        let row = |line: &str| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            (cells[0].to_owned(), cells[5].to_owned())
        };
        text.lines().skip(1).map(row).collect()
    };
    let of = |name: &str, condition: &str| (name.to_owned(), condition.to_owned());
    let rows = [of("one", "Approved"), of("three", "Pending"), of("two", "Denied")];
    assert_eq!(shown(&["get", "csr"]), rows);
    assert_eq!(shown(&["get", "csr", "-o", "wide"]), rows);
    assert_eq!(shown(&["get", "csr", "one"]), rows[..1]);
    let described = run(&["describe", "csr", "one"]);
    assert!(described.contains("kubelet:node-1") && described.contains("clusterctl.io/kubelet-client"), "{described}");
    run(&["delete", "csr", "three"]);
    assert_eq!(run(&["get", "csr", "-o", "name"]).lines().count(), 2);
    assert_eq!(run(&["get", "csr", "--chunk-size", "1", "-o", "name"]).lines().count(), 2, "in pages");
    assert!(!kubectl(&served, "alice", &["get", "csr", "three"]).output().expect("it runs").status.success());

    let pid = rustix::process::Pid::from_child(&watch);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
    let watched = String::from_utf8(watch.wait_with_output().expect("it ends").stdout).expect("text");
    let has = |name: &str, condition: &str| {
        watched.lines().any(|line| line.starts_with(name) && line.trim_end().ends_with(condition))
    };
    assert!(has("one", "Pending") && has("one", "Approved") && has("two", "Denied"), "{watched}");
}

#[test]
fn a_request_is_approved_by_one_and_signed_by_another() {
    needs!("openssl");
    let dir = directory();
    let served = Served::start(dir.path());
    let (host, alice, office) = (served.api(None), served.api(Some("alice")), served.api(Some("office")));
    let (pem, _) = csr("kubelet:node-1");
    let (status, created) = host.post(CSRS, &object("one", &pem));
    assert_eq!((status, created["spec"]["username"].as_str()), (201, Some("system:anonymous")));
    assert_eq!(host.post(CSRS, &object("one", &pem)).1["reason"], "AlreadyExists");
    let one = format!("{CSRS}/one");
    let status_of = |certificate: &str| {
        let text = <base64ct::Base64 as base64ct::Encoding>::encode_string(certificate.as_bytes());
        json!({"status": {"certificate": text}})
    };
    let certificate = signed(dir.path(), &pem);
    let early = office.patch(&format!("{one}/status"), &status_of(&certificate));
    assert_eq!((early.0, early.1["reason"].as_str()), (422, Some("Invalid")), "not approved yet");
    assert_eq!(alice.approve("one").0, 200);
    assert_eq!(alice.patch(&format!("{one}/status"), &status_of(&certificate)).0, 403, "approvers do not sign");
    let other = signed(dir.path(), &csr("kubelet:node-1").0);
    assert_eq!(office.patch(&format!("{one}/status"), &status_of(&other)).0, 422, "the certificate of another key");
    assert_eq!(office.patch(&format!("{one}/status"), &status_of(&certificate)).0, 200);
    let (_, issued) = host.get(&one);
    assert_eq!(
        (state(&issued).as_str(), &issued["status"]["certificate"]),
        ("Approved", &status_of(&certificate)["status"]["certificate"])
    );
    assert_eq!(issued["metadata"]["uid"], created["metadata"]["uid"], "the kubelet requires it");
    let unapprove = json!({"status": {"conditions": []}});
    assert_eq!(alice.patch(&format!("{one}/approval"), &unapprove).0, 422, "an approval is not taken back");
    let stale = json!({"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}});
    assert_eq!(alice.patch(&format!("{one}/approval"), &stale).0, 409, "another version");
}

#[test]
fn each_client_may_do_only_its_own() {
    let dir = directory();
    let served = Served::start(dir.path());
    let (anonymous, node, other) = (served.api(None), served.api_of_node("node-1"), served.api_of_node("node-2"));
    let (alice, office) = (served.api(Some("alice")), served.api(Some("office")));
    assert_eq!(node.post(CSRS, &request("own", "node-1")).0, 201);
    assert_eq!(node.post(CSRS, &request("foreign", "node-2")).0, 403, "node A asks for B");
    assert_eq!(anonymous.post(CSRS, &request("unproven", "node-1")).0, 201);
    let own = format!("{CSRS}/own");
    let selected = format!("{CSRS}?fieldSelector=metadata.name%3Down");
    for (who, api, statuses) in [
        ("anonymous", &anonymous, [404, 403, 200, 403, 403, 403]),
        ("the host", &node, [200, 403, 200, 403, 403, 403]),
        ("another host", &other, [404, 403, 200, 403, 403, 403]),
        ("an approver", &alice, [200, 200, 200, 403, 403, 200]),
        ("a signer", &office, [200, 200, 200, 200, 404, 200]),
    ] {
        let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
        let found = [
            api.get(&own).0,
            api.get(CSRS).0,
            api.get(&selected).0,
            api.get(lease).0,
            api.get(&format!("{lease}/none")).0,
            api.get("/metrics").0,
        ];
        assert_eq!(found, statuses, "{who}");
        let items = api.get(&selected).1["items"].as_array().map(Vec::len);
        assert_eq!(items, Some(usize::from(statuses[0] == 200)), "{who}");
    }
    for (who, api) in [("anonymous", &anonymous), ("the host", &node)] {
        assert_eq!(api.approve("own").0, 403, "{who}");
        assert_eq!(api.send("DELETE", &own, "", Vec::new()).0, 403, "{who}");
        assert_eq!(api.patch(&format!("{own}/status"), &json!({})).0, 403, "{who}");
    }
    assert_eq!(anonymous.get(&format!("{CSRS}/unproven")).0, 200, "a client without credentials polls by name");
    for (api, status) in [(&anonymous, 403), (&other, 403), (&alice, 403), (&node, 404)] {
        let (found, object) = api.get("/clusterctl/v1/bundles/node-1");
        assert_eq!(found, status, "{object}");
    }
    for path in ["/healthz", "/livez", "/readyz", "/version", "/api", "/apis", "/apis/certificates.k8s.io/v1"] {
        assert_eq!(anonymous.get(path).0, 200, "{path}");
    }
}

/// The bundle of a node whose keys are on the node has no key in it; one with keys in it is not served.
#[test]
fn a_host_gets_its_bundle_if_no_key_is_in_it() {
    let dir = directory();
    let served = Served::start(dir.path());
    let node = served.api_of_node("node-1");
    let path = "/clusterctl/v1/bundles/node-1";
    let missing = node.get(path);
    assert_eq!((missing.0, missing.1["reason"].as_str()), (404, Some("NotFound")));
    clusterctl(dir.path(), &["bundle", "--all"]);
    let with_keys = node.get(path);
    assert_eq!(with_keys.0, 404, "{:?}", with_keys.1);
    assert_ne!(with_keys.1["message"], missing.1["message"], "the reason is another one");
}

#[test]
fn untrusted_and_revoked_clients_are_rejected_at_each_request() {
    needs!("openssl");
    let dir = directory();
    let served = Served::start(dir.path());
    let (key, crt) = (dir.path().join("x.key"), dir.path().join("x.crt"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]);
    openssl.args(["-subj", "/O=clusterctl:approvers/CN=alice", "-addext", "extendedKeyUsage=clientAuth", "-keyout"]);
    stdout(openssl.arg(&key).arg("-out").arg(&crt));
    let untrusted = served.api_with_files(&crt, &key);
    for path in [CSRS, "/apis/certificates.k8s.io/v1/certificatesigningrequests/one", "/metrics"] {
        assert_eq!(untrusted.get(path).0, 401, "{path}");
    }
    assert_eq!(untrusted.post(CSRS, &request("one", "node-1")).0, 401);

    let alice = served.api(Some("alice"));
    assert_eq!(alice.get(CSRS).0, 200);
    let node = served.api_of_node("node-1");
    assert_eq!(node.post(CSRS, &request("open", "node-1")).0, 201);
    clusterctl(dir.path(), &["revoke", "alice", "--reason", "keyCompromise", "--yes"]);
    clusterctl(dir.path(), &["revoke", "node-1", "--reason", "keyCompromise", "--yes"]);
    // The same connections are used.
    eventually("the approver is rejected", || alice.get(CSRS).0 == 401);
    eventually("the host is rejected", || node.get(&format!("{CSRS}/open")).0 == 401);
    let office = served.api(Some("office"));
    eventually("its open request is closed", || state(&office.get(&format!("{CSRS}/open")).1) == "Failed");
}

/// Waits until something holds; the server reads files again every second.
#[track_caller]
pub(super) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_watch_begins_with_everything_and_misses_nothing() {
    let dir = directory();
    let served = Served::start(dir.path());
    let (host, alice) = (served.api(None), served.api(Some("alice")));
    host.post(CSRS, &request("one", "node-1"));
    host.post(CSRS, &request("two", "node-2"));
    let query = "watch=true&fieldSelector=metadata.name%3Done&allowWatchBookmarks=true&sendInitialEvents=true\
                 &resourceVersionMatch=NotOlderThan&timeoutSeconds=20";
    let lines = watch(&host, &format!("{CSRS}?{query}"), 3, || {
        alice.approve("two");
        alice.approve("one");
    });
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!(kinds, ["ADDED", "BOOKMARK", "MODIFIED"]);
    assert_eq!(lines[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert!(lines.iter().all(|line| line["object"]["metadata"]["name"] != "two"));
    let version = lines[1]["object"]["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
    let since = format!("{CSRS}?watch=1&resourceVersion={version}&timeoutSeconds=20");
    let missed = watch(&alice, &since, 3, || {
        alice.send("DELETE", &format!("{CSRS}/two"), "", Vec::new());
    });
    let seen: Vec<_> =
        missed.iter().map(|line| (line["type"].as_str(), line["object"]["metadata"]["name"].as_str())).collect();
    let of = |kind, name| (Some(kind), Some(name));
    assert_eq!(seen, [of("MODIFIED", "two"), of("MODIFIED", "one"), of("DELETED", "two")]);
    assert_eq!(alice.get(&format!("{CSRS}?watch=1&resourceVersion=99999")).0, 410, "list again");
}

#[test]
fn a_watch_of_a_revoked_client_ends_and_gets_nothing_more() {
    let dir = directory();
    let served = Served::start(dir.path());
    let (host, alice) = (served.api(None), served.api(Some("alice")));
    host.post(CSRS, &request("one", "node-1"));
    let url = format!("{}{CSRS}?watch=1&timeoutSeconds=600", alice.url);
    let mut watch = runtime().block_on(async { alice.client.get(url).send().await }).expect("an answer");
    let mut next = || runtime().block_on(async { watch.chunk().await }).expect("it ends in order");
    assert!(next().is_some(), "the first request");
    clusterctl(dir.path(), &["revoke", "alice", "--reason", "keyCompromise", "--yes"]);
    eventually("the approver is rejected", || alice.get(CSRS).0 == 401);
    assert_eq!(host.post(CSRS, &request("two", "node-2")).0, 201);
    assert_eq!(next(), None, "the watch has ended");
}

/// Opens a watch, does something after the first event, and returns a number of events.
fn watch(api: &Api, path: &str, count: usize, then: impl FnOnce()) -> Vec<Value> {
    let url = format!("{}{path}", api.url);
    let mut response = runtime().block_on(async { api.client.get(url).send().await }).expect("an answer");
    assert_eq!(response.status().as_u16(), 200);
    let (mut text, mut then) = (String::new(), Some(then));
    loop {
        let lines: Vec<Value> = text
            .split_inclusive('\n')
            .filter(|l| l.ends_with('\n'))
            .map(|l| serde_json::from_str(l).expect("JSON"))
            .collect();
        if lines.len() >= count {
            return lines;
        }
        if !lines.is_empty()
            && let Some(then) = then.take()
        {
            then();
        }
        let chunk =
            runtime().block_on(async { response.chunk().await }).expect("a chunk").expect("it does not end yet");
        text.push_str(std::str::from_utf8(&chunk).expect("text"));
    }
}

#[test]
fn a_flood_of_hosts_is_bounded_and_holds_up_no_proven_one() {
    let dir = directory();
    let served = Served::start(dir.path());
    let anonymous = served.api(None);
    let unknown: Vec<u16> =
        (0..70).map(|i| anonymous.post(CSRS, &request(&format!("u{i}"), &format!("unknown-{i}"))).0).collect();
    assert_eq!(unknown.iter().filter(|status| **status == 201).count(), 64, "unknown hosts share a small part");
    assert!(unknown[64..].iter().all(|status| *status == 429), "{unknown:?}");
    let known: Vec<u16> = (0..6).map(|i| anonymous.post(CSRS, &request(&format!("k{i}"), "node-1")).0).collect();
    assert_eq!(known, [201, 201, 201, 201, 429, 429], "4 open requests a host");
    let limited = runtime().block_on(async {
        let url = format!("{}{CSRS}", anonymous.url);
        let body = request("late", "node-1").to_string();
        anonymous.client.post(url).header("content-type", "application/json").body(body).send().await
    });
    assert!(limited.expect("an answer").headers().contains_key("retry-after"));
    let node = served.api_of_node("node-1");
    assert_eq!(
        node.post(CSRS, &request("proven", "node-1")).0,
        201,
        "a proven request takes the place of an unproven one"
    );
    assert_eq!(state(&anonymous.get(&format!("{CSRS}/k0")).1), "Failed", "its state says so");
    assert_eq!(anonymous.post(CSRS, &request("after", "node-2")).0, 201, "other hosts have their own room");
}

#[test]
fn what_is_malformed_or_too_large_is_refused() {
    let dir = directory();
    let served = Served::start(dir.path());
    let api = served.api(None);
    let json = "application/json";
    let root = object("one", &csr("root").0);
    let statuses = [
        api.send("POST", CSRS, json, vec![b'a'; 65 * 1024]).0,
        api.send("POST", CSRS, json, b"{".to_vec()).0,
        api.send("POST", CSRS, "text/plain", b"{}".to_vec()).0,
        api.send("POST", CSRS, "application/vnd.kubernetes.protobuf", b"k8s\0\xff\xff".to_vec()).0,
        api.post(CSRS, &root).0,
        api.post(CSRS, &request("../x", "node-1")).0,
        api.post(CSRS, &request("", "node-1")).0,
        api.send("PUT", CSRS, json, Vec::new()).0,
        api.get("/apis/apps/v1/deployments").0,
        api.get(&format!("{CSRS}?fieldSelector=a%3Db")).0,
    ];
    assert_eq!(statuses, [413, 400, 415, 400, 422, 422, 422, 405, 404, 400]);
    let (status, preview) = api.post(&format!("{CSRS}?dryRun=All"), &request("one", "node-1"));
    assert!(status == 201 && preview["metadata"]["annotations"]["clusterctl.io/preview"].is_string(), "{preview}");
    assert_eq!(api.get(&format!("{CSRS}/one")).0, 404, "a dry run writes nothing");
}

#[test]
fn curl_and_openssl_connect_by_each_supported_version() {
    needs!("curl", "openssl");
    let dir = directory();
    let served = Served::start(dir.path());
    for args in [&["--http1.1", "--tlsv1.2", "--tls-max", "1.2"][..], &["--http2", "--tlsv1.3"]] {
        let format = "%{http_version} %{http_code}";
        let text = curl(&served, &[&["--output", "/dev/null", "--write-out", format], args].concat(), "/readyz");
        assert_eq!(text, "1.1 200", "{args:?}");
    }
    let plain = served.url.replace("https:", "http:");
    let mut command = Command::new("curl");
    command.args(["--silent", "--max-time", "20", "--noproxy", "*", "--http0.9", &plain]);
    assert!(stdout(&mut command).contains("HTTPS"));
    let address = served.url.trim_start_matches("https://");
    let mut old = Command::new("openssl");
    old.args(["s_client", "-connect", address, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]).stdin(Stdio::null());
    assert!(!old.output().expect("it runs").status.success(), "TLS 1.1");
    let mut new = Command::new("openssl");
    new.args(["s_client", "-connect", address, "-verify_return_error", "-verify_ip", "127.0.0.1", "-CAfile"]);
    new.arg(dir.path().join("pki/ca.crt")).stdin(Stdio::null());
    stdout(&mut new);
}

#[test]
fn metrics_are_prometheus_and_change() {
    needs!("promtool");
    let dir = directory();
    let served = Served::start(dir.path());
    served.api(None).post(CSRS, &request("one", "node-1"));
    let (_, text) = served.api(Some("alice")).get("/metrics");
    let text = text.as_str().expect("text").to_owned();
    for line in [
        "clusterctl_enrolment_requests{state=\"pending\"} 1",
        "clusterctl_enrolment_commits_total",
        "clusterctl_enrolment_http_requests_total{code=\"2xx\"} 1",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let mut promtool =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn().expect("it runs");
    std::io::Write::write_all(&mut promtool.stdin.take().expect("a pipe"), text.as_bytes()).expect("written");
    assert!(promtool.wait().expect("it ends").success(), "{text}");
}

/// The small case: one process takes requests, decides and signs.
#[test]
fn with_the_signer_in_it_an_approved_host_gets_its_certificate() {
    let dir = directory();
    let file = dir.path().join("cluster.yaml");
    let text = fs::read_to_string(&file).expect("a file");
    fs::write(&file, text + "enrolment: {policy: queue}\n").expect("written");
    clusterctl(dir.path(), &["issue-master", "--all"]);
    clusterctl(dir.path(), &["issue-admin", "--signer"]);
    let served = Served::with_flags(dir.path(), program(dir.path()), &["--signer"]);
    let api = served.api(None);
    assert_eq!(api.post(CSRS, &request("one", "node-1")).0, 201);
    assert_eq!(served.api(Some("alice")).approve("one").0, 200);
    let one = || api.get(&format!("{CSRS}/one")).1;
    eventually("the certificate is issued", || one()["status"]["certificate"].is_string());
    assert_eq!(state(&one()), "Approved");
    let log = clusterctl(dir.path(), &["log", "node-1"]);
    assert!(log.contains("kubelet-client"), "the ledger has it: {log}");
    assert_eq!(served.stop(), Some(0));
}

/// With `enrolment` in the cluster file, each master has a serving certificate of its own for this.
#[test]
fn the_server_presents_a_certificate_of_its_own() {
    needs!("openssl");
    let dir = directory();
    let file = dir.path().join("cluster.yaml");
    let text = fs::read_to_string(&file).expect("a file");
    fs::write(&file, text + "enrolment: {endpoint: \"https://ca.example.net:6444\", policy: queue}\n")
        .expect("written");
    clusterctl(dir.path(), &["issue-master", "--all"]);
    let served = Served::start(dir.path());
    let mut client = Command::new("openssl");
    client.args(["s_client", "-connect", served.url.trim_start_matches("https://"), "-verify_return_error"]);
    client.args(["-verify_hostname", "ca.example.net", "-CAfile"]).arg(dir.path().join("pki/ca.crt"));
    let shown = stdout(client.stdin(Stdio::null()));
    assert!(shown.contains("CN = clusterctl-enrolment") || shown.contains("CN=clusterctl-enrolment"), "{shown}");
    clusterctl(dir.path(), &["issue-admin", "bob", "--approver"]);
    let kubeconfig = fs::read_to_string(dir.path().join("pki/admins/bob.conf")).expect("a kubeconfig");
    assert!(kubeconfig.contains("https://ca.example.net:6444"), "approvers connect to the enrolment CA");
    clusterctl(dir.path(), &["bundle", "--all"]);
    let mut tar = Command::new("tar");
    let files = stdout(tar.arg("tzf").arg(dir.path().join("bundles/master-1.tar.gz")));
    assert!(files.contains("etc/kubernetes/clusterctl/enrolment-server.key"), "{files}");
    clusterctl(dir.path(), &["verify", "--offline"]);
}

#[test]
fn systemd_is_told_and_a_stop_ends_watches_at_once() {
    let dir = directory();
    let socket = UnixDatagram::bind(dir.path().join("notify")).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut command = program(dir.path());
    command.env("NOTIFY_SOCKET", dir.path().join("notify"));
    let served = Served::with(dir.path(), command);
    let told = || {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    assert_eq!(told(), "READY=1");
    let api = served.api(None);
    api.post(CSRS, &request("one", "node-1"));
    let url = format!("{}{CSRS}?watch=1&fieldSelector=metadata.name%3Done", api.url);
    let mut open = runtime().block_on(async { api.client.get(url).send().await }).expect("an answer");
    runtime().block_on(async { open.chunk().await }).expect("the first event");
    assert_eq!(served.stop(), Some(0));
    assert_eq!(runtime().block_on(async { open.chunk().await }).expect("the end, not an error"), None);
    assert_eq!(told(), "STOPPING=1");
}
