//! etcd members of bundles, with the real etcd: they form a cluster, and refuse certificates of others.

use super::control_plane::Site;
use crate::support::good_tool;
use crate::support::outside::needs;
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

// ── etcd itself ──

/// One member, started with the flags of its bundle; ended by its own process id.
struct Member(Child);

impl Drop for Member {
    fn drop(&mut self) {
        // It may already have exited.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn three_etcd_members_form_a_cluster_and_refuse_other_certificates() {
    needs!("etcd", "etcdctl");
    // Loopback addresses that another run of this test, at the same time, does not take.
    let id = std::process::id();
    let ip = |i: u32| format!("127.{}.{}.{i}", 64 + id / 250 % 64, id % 250);
    let masters: String = (1..=3).map(|i| format!("- {{name: m{i}, addresses: [{}]}}\n", ip(i))).collect();
    let cluster = format!(
        "apiVersion: clusterctl/v1\nkind: Cluster\nname: prod\nendpoint: https://api.example.net:6443\nmasters:\n{masters}nodes:\n- {{name: on, addresses: [10.20.4.1]}}\n"
    );
    let mut site = Site::new(&cluster, &[]);
    // etcd uses the real clock.
    site.lab.now = time::OffsetDateTime::now_utc();
    let members: Vec<Member> = (1..=3).map(|i| start(&site, &format!("m{i}"), &ip(i), &[])).collect();
    let endpoints: Vec<String> = (1..=3).map(|i| format!("https://{}:2379", ip(i))).collect();
    let client = |host: &str, root: &str, pair: &str, words: &[&str]| {
        let at = |path: &str| site.path(host, path).display().to_string();
        let mut etcdctl = Command::new("etcdctl");
        etcdctl.env("ETCDCTL_API", "3").arg("--endpoints").arg(endpoints.join(","));
        etcdctl.args(["--dial-timeout=2s", "--command-timeout=2s"]).arg("--cacert").arg(at(root));
        if !pair.is_empty() {
            etcdctl.arg("--cert").arg(at(&format!("{pair}.crt"))).arg("--key").arg(at(&format!("{pair}.key")));
        }
        let output = etcdctl.args(words).output().expect("etcdctl is needed by this test");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said)
    };
    let (root, own) = ("etc/kubernetes/pki/etcd/ca.crt", "etc/kubernetes/pki/apiserver-etcd-client");
    let began = Instant::now();
    loop {
        let (healthy, said) = client("m1", root, own, &["endpoint", "health"]);
        if healthy {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the cluster does not form: {said}\n{}",
            site.lab.read("m1.log")
        );
        std::thread::sleep(Duration::from_millis(300));
    }
    let (_, listed) = client("m1", root, own, &["member", "list"]);
    assert_eq!(listed.lines().filter(|line| line.contains("started")).count(), 3, "{listed}");
    assert_eq!(client("m2", root, own, &["put", "/registry/x", "y"]).1, "OK\n");
    assert_eq!(client("m3", root, own, &["get", "/registry/x"]).1, "/registry/x\ny\n");
    let health = "etc/kubernetes/pki/etcd/healthcheck-client";
    assert!(client("m3", root, health, &["get", "/registry/x"]).0);

    // Clients that etcd must refuse: a node, the API server with other certificates, no certificate.
    std::fs::copy(site.path("m1", root), site.path("on", "etcd-ca.crt")).expect("copied");
    for (host, root, pair) in [
        ("on", "etcd-ca.crt", "var/lib/kubelet/pki/kubelet-client"),
        ("m1", root, "etc/kubernetes/pki/apiserver-kubelet-client"),
        ("m1", root, "etc/kubernetes/pki/front-proxy-client"),
        ("m1", root, ""),
    ] {
        let (let_in, said) = client(host, root, pair, &["get", "/registry/x"]);
        assert!(!let_in, "{pair} was let in: {said}");
    }
    // The members' certificates chain only to etcd's root.
    let (believed, said) = client("m1", "etc/kubernetes/pki/ca.crt", own, &["get", "/registry/x"]);
    assert!(!believed, "{said}");
    drop(members);
}

#[test]
fn etcd_refuses_only_certificates_in_its_crl() {
    needs!("etcd", "etcdctl", "openssl");
    let id = std::process::id();
    let ip = format!("127.{}.{}.9", 64 + id / 250 % 64, id % 250);
    let mut site = Site::new(
        &format!(
            "apiVersion: clusterctl/v1\nkind: Cluster\nname: prod\nendpoint: https://api.example.net:6443\n\
             masters:\n- {{name: m1, addresses: [{ip}]}}\nnodes:\n- {{name: on, addresses: [10.20.4.1]}}\n"
        ),
        &[],
    );
    site.lab.now = time::OffsetDateTime::now_utc();
    site.lab.good(&["revoke", "--renew"]);
    let list = format!("--client-crl-file={}", site.lab.path("pki/etcd/crl.pem").display());
    let _member = start(&site, "m1", &ip, &[list]);
    let reads = |pair: &str| {
        let at = |path: &str| site.path("m1", path).display().to_string();
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--dial-timeout=2s", "--command-timeout=2s", "--endpoints", &format!("https://{ip}:2379")])
            .args(["--cacert", &at("etc/kubernetes/pki/etcd/ca.crt")])
            .args(["--cert", &at(&format!("{pair}.crt")), "--key", &at(&format!("{pair}.key")), "get", "/x"])
            .output()
            .expect("etcdctl is needed by this test");
        output.status.success()
    };
    let (own, health) = ("etc/kubernetes/pki/apiserver-etcd-client", "etc/kubernetes/pki/etcd/healthcheck-client");
    let began = Instant::now();
    while !reads(own) {
        assert!(began.elapsed() < Duration::from_secs(60), "etcd does not start: {}", site.lab.read("m1.log"));
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(reads(health), "an empty CRL lists no certificate");
    let certificate = site.path("m1", &format!("{health}.crt")).display().to_string();
    let serial = good_tool("openssl", &["x509", "-in", &certificate, "-noout", "-serial"]);
    site.lab.good(&["revoke", serial.trim().trim_start_matches("serial="), "--yes", "--reason", "keyCompromise"]);
    assert!(!reads(health), "{}", site.lab.read("m1.log"));
    assert!(reads(own), "{}", site.lab.read("m1.log"));
}

/// Starts a member. Only paths are changed, and 127.0.0.1, which members on one machine would share.
fn start(site: &Site, host: &str, ip: &str, more: &[String]) -> Member {
    let folder = site.lab.path(host).display().to_string();
    let mut etcd = Command::new("etcd");
    for flag in site.flags(host, "etcd") {
        let flag = flag.replace("=/", &format!("={folder}/")).replace("=https://127.0.0.1:2379,", "=");
        etcd.arg(flag.replace("=http://127.0.0.1:2381", &format!("=http://{ip}:2381")));
    }
    etcd.args(more);
    let log = std::fs::File::create(site.lab.path(&format!("{host}.log"))).expect("a log");
    let environment: BTreeMap<String, String> =
        std::env::vars().filter(|(name, _)| !name.starts_with("ETCD_")).collect();
    etcd.env_clear()
        .envs(environment)
        .current_dir(site.lab.dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Member(etcd.spawn().expect("etcd is needed by this test"))
}
