//! `ledger adopt`: certificates that a CA issued before it was imported, made with openssl in the layouts of other tools.

use std::fs;
use std::process::Command;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::live::Live;
use crate::support::openssl::{CLIENT, GOOD, KUBEADM, P256, RSA, SERVER, kubeconfig, leaf, root};
use crate::support::outside::needs;
use crate::support::{CLUSTER, Lab, forms, good_tool};

const BOTH: &str =
    "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth";

/// Returns a directory with imported CAs, whose files are `ca`, `etcd` and `proxy`.
fn imported() -> Lab {
    let lab = Lab::with(CLUSTER);
    root(&lab, "ca", "/CN=kubernetes", KUBEADM, RSA);
    root(&lab, "etcd", "/CN=etcd-ca", GOOD, P256);
    root(&lab, "proxy", "/CN=front-proxy-ca", GOOD, P256);
    for (role, name) in [("cluster", "ca"), ("etcd", "etcd"), ("front-proxy", "proxy")] {
        let (cert, key) = (format!("{name}.crt"), format!("{name}.key"));
        lab.good(&["import-ca", "--as", role, "--cert", &cert, "--key", &key, "--plaintext-ca-key"]);
    }
    lab
}

fn adopt(lab: &Lab, args: &[&str]) -> Value {
    let ran = lab.good(&[&["ledger", "adopt", "-o", "json"], args].concat());
    forms::conforms("ledger-adopt", &ran.out);
    serde_json::from_str(&ran.out).expect("JSON")
}

/// Returns a value of each entry of a list, sorted.
fn all<'a>(report: &'a Value, list: &str, key: &str) -> Vec<&'a str> {
    let mut values: Vec<&str> =
        report[list].as_array().expect("a list").iter().map(|one| one[key].as_str().unwrap_or("-")).collect();
    values.sort_unstable();
    values
}

fn rows(lab: &Lab, query: &str) -> i64 {
    let ledger = Connection::open(lab.path("pki/ledger.sqlite3")).expect("a ledger");
    ledger.query_row(query, [], |row| row.get(0)).expect("a number")
}

/// Writes the files that kubeadm would write on `master-1` to the folder `theirs`.
fn kubeadm(lab: &Lab) {
    fs::create_dir_all(lab.path("theirs/pki/etcd")).expect("a folder");
    let of_host = "\nsubjectAltName=DNS:master-1,DNS:kubernetes,IP:10.96.0.1,IP:10.20.0.11";
    let leaves = [
        ("pki/apiserver", "/CN=kube-apiserver", format!("{SERVER}{of_host}"), "ca"),
        (
            "pki/apiserver-kubelet-client",
            "/O=kubeadm:cluster-admins/CN=kube-apiserver-kubelet-client",
            CLIENT.into(),
            "ca",
        ),
        ("pki/apiserver-etcd-client", "/CN=kube-apiserver-etcd-client", CLIENT.into(), "etcd"),
        ("pki/front-proxy-client", "/CN=front-proxy-client", CLIENT.into(), "proxy"),
        ("pki/etcd/server", "/CN=master-1", format!("{BOTH}{of_host}"), "etcd"),
        ("pki/etcd/peer", "/CN=master-1", format!("{BOTH}{of_host}"), "etcd"),
        ("pki/etcd/healthcheck-client", "/CN=kube-etcd-healthcheck-client", CLIENT.into(), "etcd"),
        ("admin", "/O=system:masters/CN=kubernetes-admin", CLIENT.into(), "ca"),
    ];
    for (i, (name, subject, extensions, ca)) in leaves.iter().enumerate() {
        leaf(lab, &format!("theirs/{name}"), subject, extensions, ca, &format!("{:02x}", i + 0x10));
    }
    for (ca, to) in [("ca", "pki/ca"), ("etcd", "pki/etcd/ca"), ("proxy", "pki/front-proxy-ca")] {
        fs::copy(lab.path(&format!("{ca}.crt")), lab.path(&format!("theirs/{to}.crt"))).expect("copied");
    }
    kubeconfig(lab, "theirs/admin");
}

/// Returns the output of `kubectl get csr -o json` with this certificate, and a request without one.
fn requests(lab: &Lab, name: &str) -> String {
    let file = lab.path(&format!("{name}.crt")).display().to_string();
    let certificate = good_tool("openssl", &["base64", "-A", "-in", &file]);
    let request = |name: &str, status: Value| {
        json!({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": {"name": name, "creationTimestamp": "2026-11-01T00:00:00Z"},
            "spec": {"signerName": "kubernetes.io/kubelet-serving", "usages": ["digital signature", "server auth"]},
            "status": status,
        })
    };
    let items = [
        request("csr-1", json!({"certificate": certificate, "conditions": [{"type": "Approved", "status": "True"}]})),
        request("csr-2", json!({})),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

#[test]
fn a_kubeadm_masters_certificates_are_adopted_with_their_profiles_and_hosts() {
    needs!("openssl");
    let lab = imported();
    kubeadm(&lab);
    std::os::unix::fs::symlink("..", lab.path("theirs/loop")).expect("a link");
    let before = rows(&lab, "SELECT count(*) FROM certificates");
    assert_eq!(lab.run(&["ledger", "adopt", "theirs/pki", "--host", "master-9"]).status, 2, "there is no such host");
    let report = adopt(&lab, &["theirs/pki", "theirs/admin.conf", "--host", "master-1"]);
    assert_eq!(
        all(&report, "adopted", "profile"),
        [
            "apiserver",
            "apiserver-etcd-client",
            "apiserver-kubelet-client",
            "break-glass",
            "etcd-healthcheck-client",
            "etcd-peer",
            "etcd-server",
            "front-proxy-client",
        ],
        "{report}"
    );
    let hosts: Vec<&str> = all(&report, "adopted", "host");
    assert_eq!(hosts.iter().filter(|host| **host == "master-1").count(), 7, "{report}");
    assert_eq!(report["skipped"], json!([]));
    assert_eq!(rows(&lab, "SELECT count(*) FROM certificates"), before + 8);
    assert_eq!(rows(&lab, "SELECT count(*) FROM events WHERE kind = 'adopt'"), 8);
    lab.good(&["ledger", "check"]);
    let snapshot = lab.snapshot();
    let again = adopt(&lab, &["theirs/pki", "theirs/admin.conf", "--host", "master-1"]);
    assert_eq!((&again["adopted"], &again["known"]), (&json!([]), &json!(8)));
    assert_eq!(lab.snapshot(), snapshot, "nothing is recorded twice");
}

#[test]
fn adopted_certificates_are_shown_logged_reported_and_revoked() {
    needs!("openssl");
    let lab = imported();
    leaf(&lab, "on", "/O=system:nodes/CN=system:node:on", CLIENT, "ca", "4A");
    leaf(&lab, "serving", "/O=system:nodes/CN=system:node:on", SERVER, "ca", "4B");
    lab.write("requests.json", &requests(&lab, "serving"));
    good_tool(
        "openssl",
        &[
            "x509",
            "-in",
            &lab.path("on.crt").display().to_string(),
            "-outform",
            "DER",
            "-out",
            &lab.path("on.der").display().to_string(),
        ],
    );
    let report = adopt(&lab, &["on.der", "requests.json"]);
    assert_eq!(all(&report, "adopted", "profile"), ["kubelet-client", "kubelet-server"]);
    assert_eq!(all(&report, "adopted", "host"), ["on", "on"]);
    assert_eq!(
        (all(&report, "skipped", "reason"), all(&report, "skipped", "subject")),
        (vec!["not-issued"], vec!["csr-2"])
    );
    let shown: Value = serde_json::from_str(&lab.good(&["show", "4a", "-o", "json"]).out).expect("JSON");
    let facts = &shown["files"][0]["items"][0]["facts"];
    assert_eq!((&facts["adopted"], &facts["host"]), (&json!(true), &json!("on")), "{shown}");
    let log = lab.good(&["log", "4b", "-o", "json"]).out;
    forms::conforms("log", &log);
    let log: Value = serde_json::from_str(&log).expect("JSON");
    assert_eq!((all(&log, "entries", "kind"), all(&log, "entries", "host")), (vec!["adopt"], vec!["on"]));
    let status = lab.run(&["status", "on", "-o", "json"]).out;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert!(all(&status, "rows", "state").iter().all(|state| *state == "valid"), "{status}");
    for command in ["show", "log"] {
        let shown = lab.good(&[command, "0x4a"]).out;
        assert_eq!(shown.replacen("0x4a", "4a", 1), lab.good(&[command, "4a"]).out, "{command}");
    }
    let short = lab.run(&["revoke", "4a", "--yes"]);
    assert!(short.status == 2 && short.err.contains("0x4a"), "how it is written is told: {short}");
    lab.good(&["revoke", "0x4a", "--yes"]);
    assert!(lab.read("policy/masters/authorization.yaml").contains("X509SHA256="));
    lab.good(&["ledger", "check"]);
    let log: Value = serde_json::from_str(&lab.good(&["log", "4a", "-o", "json"]).out).expect("JSON");
    assert_eq!(all(&log, "entries", "kind"), ["adopt", "revoke"]);
}

/// kubeadm's control-plane nodes have kubelets, too.
#[test]
fn a_node_account_of_a_master_is_reported_once_with_a_remedy_that_helps() {
    needs!("openssl");
    let lab = imported();
    lab.good(&["issue-master", "--all"]);
    leaf(&lab, "kubelet", "/O=system:nodes/CN=system:node:master-1", CLIENT, "ca", "4A");
    adopt(&lab, &["kubelet.crt"]);
    lab.good(&["issue-node", "--all"]);
    lab.good(&["bundle", "--all"]);
    let remedies = |lab: &Lab| {
        let report = lab.run(&["verify", "--offline", "--output", "json"]).out;
        let report: Value = serde_json::from_str(&report).expect("JSON");
        let results = report["results"].as_array().expect("results").clone();
        let remedies = results.iter().filter_map(|result| result["remedy"].as_str().map(str::to_owned));
        // openssl gave the root the serial number 0.
        remedies.filter(|remedy| remedy != "improve-next-root").collect::<Vec<_>>()
    };
    assert_eq!(remedies(&lab), ["remove-role"]);
    lab.good(&["revoke", "0x4a", "--yes"]);
    lab.good(&["bundle", "--all"]);
    assert_eq!(remedies(&lab), Vec::<String>::new());
}

#[test]
fn what_clusterctl_issued_stays_current() {
    needs!("openssl");
    let mut lab = imported();
    lab.write("cluster.yaml", &format!("{CLUSTER}accounts: system-node\n"));
    leaf(&lab, "on", "/O=system:nodes/CN=system:node:on", CLIENT, "ca", "4A");
    lab.good(&["issue-node", "on"]);
    let own = lab.run(&["status", "on", "-o", "json"]).out;
    lab.now += time::Duration::seconds(1);
    adopt(&lab, &["on.crt"]);
    let of = |out: &str| {
        let status: Value = serde_json::from_str(out).expect("JSON");
        all(&status, "rows", "serial").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(of(&lab.run(&["status", "on", "-o", "json"]).out), of(&own));
    let shown: Value = serde_json::from_str(&lab.good(&["show", "on", "-o", "json"]).out).expect("JSON");
    let facts = shown["files"][0]["items"].as_array().expect("items");
    assert!(facts.iter().all(|item| item["facts"]["adopted"] == false), "{shown}");
    assert!(lab.good(&["issue-node", "on", "--dry-run"]).out.is_empty());
    lab.good(&["issue-master", "--all"]);
    lab.good(&["issue-node", "--all"]);
    lab.good(&["bundle", "--all"]);
    lab.good(&["verify", "--offline"]);
}

#[test]
fn what_no_ca_signed_and_what_is_unusable_is_named_and_left_out() {
    needs!("openssl");
    let lab = imported();
    root(&lab, "other", "/CN=kubernetes", GOOD, P256);
    fs::create_dir(lab.path("theirs")).expect("a folder");
    leaf(&lab, "theirs/good", "/CN=alice", CLIENT, "ca", "21");
    leaf(&lab, "theirs/twice", "/CN=bob", CLIENT, "ca", "21");
    leaf(&lab, "theirs/foreign", "/CN=alice", CLIENT, "other", "21");
    leaf(&lab, "theirs/below", "/CN=below", GOOD, "ca", "22");
    lab.write("theirs/broken.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    lab.write("theirs/notes.txt", "nothing to see");
    good_tool("mkfifo", &[&lab.path("theirs/pipe.crt").display().to_string()]);
    lab.write("theirs/trusted.crt", &lab.read("other.crt"));
    let report = adopt(&lab, &["theirs"]);
    assert_eq!(all(&report, "adopted", "account"), ["alice"], "{report}");
    assert_eq!(
        all(&report, "skipped", "reason"),
        ["ca", "ca", "other-issuer", "serial-taken", "unusable", "unusable"],
        "{report}"
    );
    fs::remove_file(lab.path("theirs/pipe.crt")).expect("removed");
    let before = lab.snapshot();
    for (file, status) in
        [("theirs/foreign.crt", 3), ("theirs/notes.txt", 3), ("theirs/good.key", 3), ("nowhere.crt", 2)]
    {
        assert_eq!(lab.run(&["ledger", "adopt", file]).status, status, "{file}");
    }
    assert_eq!(lab.snapshot(), before);
    assert_eq!(Lab::with(CLUSTER).run(&["ledger", "adopt", "x"]).status, 3, "there is no CA");
}

#[test]
fn a_certificate_that_was_revoked_before_it_was_known_stays_revoked() {
    needs!("openssl");
    let lab = imported();
    leaf(&lab, "on", "/O=system:nodes/CN=system:node:on", CLIENT, "ca", "4A");
    // Rules for API servers that were written in another administrator's directory.
    let other = Lab::with(CLUSTER);
    for name in ["ca", "etcd", "proxy"] {
        for ending in ["crt", "key"] {
            other.write(&format!("{name}.{ending}"), &lab.read(&format!("{name}.{ending}")));
        }
    }
    for (role, name) in [("cluster", "ca"), ("etcd", "etcd"), ("front-proxy", "proxy")] {
        let (cert, key) = (format!("{name}.crt"), format!("{name}.key"));
        other.good(&["import-ca", "--as", role, "--cert", &cert, "--key", &key, "--plaintext-ca-key"]);
    }
    other.write("on.crt", &lab.read("on.crt"));
    adopt(&other, &["on.crt"]);
    other.good(&["revoke", "0x4a", "--yes"]);
    lab.write("authorization.yaml", &other.read("policy/masters/authorization.yaml"));
    lab.good(&["revoke", "--from", "authorization.yaml", "--yes"]);
    assert_eq!(rows(&lab, "SELECT count(*) FROM unrecorded_revocations"), 1);
    adopt(&lab, &["on.crt"]);
    assert_eq!(rows(&lab, "SELECT count(*) FROM unrecorded_revocations"), 0);
    assert_eq!(rows(&lab, "SELECT count(*) FROM revocations"), 1);
    lab.good(&["ledger", "check"]);
}

#[test]
fn a_recording_gives_the_certificates_that_servers_presented() {
    needs!("openssl");
    let live = Live::start(None);
    live.lab.good(&["verify", "--record", "run.json"]);
    let mut lab = Lab::with(&live.lab.read("cluster.yaml"));
    lab.now = live.lab.now;
    for (role, folder) in [("cluster", "pki"), ("etcd", "pki/etcd"), ("front-proxy", "pki/front-proxy")] {
        let file = |name: &str| live.lab.path(&format!("{folder}/{name}")).display().to_string();
        lab.good(&[
            "import-ca",
            "--as",
            role,
            "--cert",
            &file("ca.crt"),
            "--key",
            &file("ca.key"),
            "--plaintext-ca-key",
        ]);
    }
    let report = adopt(&lab, &[&live.lab.path("run.json").display().to_string()]);
    let adopted = report["adopted"].as_array().expect("a list");
    let of = |profile: &str| {
        let mut hosts: Vec<&str> = adopted
            .iter()
            .filter(|one| one["profile"] == profile)
            .map(|one| one["host"].as_str().unwrap_or("-"))
            .collect();
        hosts.sort_unstable();
        hosts
    };
    assert_eq!((of("apiserver"), of("kubelet-server").len()), (vec!["master-1", "master-2"], 3), "{report}");
    lab.good(&["ledger", "check"]);
}

#[test]
fn an_adoption_that_is_killed_records_all_or_nothing() {
    needs!("strace", "openssl");
    let lab = imported();
    kubeadm(&lab);
    let dir = lab.dir().display().to_string();
    for call in ["pwrite64", "fsync,fdatasync", "ftruncate,unlink"] {
        for nth in 1.. {
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={nth}"));
            let strace = ["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject, env!("CARGO_BIN_EXE_clusterctl")];
            let args = ["--dir", &dir, "ledger", "adopt", &lab.path("theirs").display().to_string()];
            let ran = Command::new("strace").args(strace).args(args).output().expect("strace runs");
            let recorded = rows(&lab, "SELECT count(*) FROM certificates WHERE sha256 != issuer_sha256");
            let events = rows(&lab, "SELECT count(*) FROM events WHERE kind = 'adopt'");
            assert!(recorded == events && [0, 8].contains(&recorded), "{call} {nth}: {recorded} {events}");
            lab.good(&["ledger", "check"]);
            if recorded == 8 {
                assert!(nth > 1 || ran.status.success(), "{call}: else this proves nothing");
                break;
            }
        }
        // Start again with a ledger without adopted certificates.
        let lab_before = imported_again(&lab);
        assert_eq!(lab_before, 0);
    }
}

/// Imports the CAs into a new ledger, and returns the number of certificates in it besides the CAs' own.
fn imported_again(lab: &Lab) -> i64 {
    fs::remove_dir_all(lab.path("pki")).expect("removed");
    for (role, name) in [("cluster", "ca"), ("etcd", "etcd"), ("front-proxy", "proxy")] {
        let (cert, key) = (format!("{name}.crt"), format!("{name}.key"));
        lab.good(&["import-ca", "--as", role, "--cert", &cert, "--key", &key, "--plaintext-ca-key"]);
    }
    rows(lab, "SELECT count(*) FROM certificates WHERE sha256 != issuer_sha256")
}
