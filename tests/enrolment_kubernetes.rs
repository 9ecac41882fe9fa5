//! Programs of Kubernetes against the enrolment CA's server: the kubelet's own bootstrap, and kubeadm's discovery.
//!
//! Ignored by default. They need the folder that `KUBE_BIN` names, with kubelet, kubeadm and kubectl:
//! `KUBE_BIN=… cargo test --test suite -- --ignored enrolment_kubernetes::`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ::clusterctl::pki::certificate::Certificate;
use ::clusterctl::pki::pem;
use serde_json::json;

use crate::support::enrolment::{CSRS, Served, clusterctl, directory, signed};

fn binary(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("KUBE_BIN").expect("KUBE_BIN names the folder")).join(name)
}

/// A child process that is killed when this is dropped.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a kubelet that bootstraps at the server, with this user in its bootstrap kubeconfig.
fn kubelet(served: &Served, user: &str) -> KillOnDrop {
    let dir = &served.dir;
    let ca = dir.join("pki/ca.crt").display().to_string();
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: \"{}\", certificate-authority: {ca}}}}}]\n\
         users: [{{name: u, user: {user}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n",
        served.url
    );
    std::fs::write(dir.join("bootstrap.conf"), kubeconfig).expect("written");
    let config = format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nrotateCertificates: false\nfailCgroupV1: false\n\
         authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: false}}, x509: {{clientCAFile: {ca}}}}}\n\
         authorization: {{mode: AlwaysAllow}}\ncontainerRuntimeEndpoint: unix:///nonexistent.sock\n"
    );
    std::fs::write(dir.join("kubelet.yaml"), config).expect("written");
    let mut command = Command::new(binary("kubelet"));
    command.arg("--config").arg(dir.join("kubelet.yaml")).arg("--bootstrap-kubeconfig").arg(dir.join("bootstrap.conf"));
    command.arg("--kubeconfig").arg(dir.join("kubelet.conf")).arg("--cert-dir").arg(dir.join("kubelet-pki"));
    command.arg("--root-dir").arg(dir.join("kubelet-root")).args(["--hostname-override", "node-1"]);
    let log = std::fs::File::create(dir.join("kubelet.log")).expect("created");
    KillOnDrop(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("it starts"))
}

/// Waits until `found` returns a value; panics with `what` after `seconds`.
#[track_caller]
fn wait<T>(what: &str, seconds: u64, found: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(seconds), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Checks that a kubelet gets a certificate by a request of the user `requester`.
fn bootstraps(served: &Served, user: &str, requester: &str) {
    let start = Instant::now();
    let _kubelet = kubelet(served, user);
    let (alice, office) = (served.api(Some("alice")), served.api(Some("office")));
    let found = wait("the kubelet sends a request", 30, || alice.get(CSRS).1["items"].get(0).cloned());
    let sent = start.elapsed();
    assert_eq!(found["spec"]["username"].as_str(), Some(requester));
    assert_eq!(found["spec"]["signerName"], "kubernetes.io/kube-apiserver-client-kubelet");
    let name = found["metadata"]["name"].as_str().expect("a name").to_owned();
    assert_eq!(alice.approve(&name).0, 200);
    let encoded = found["spec"]["request"].as_str().expect("a request");
    let csr = <base64ct::Base64 as base64ct::Encoding>::decode_vec(encoded).expect("base64");
    let certificate = signed(&served.dir, std::str::from_utf8(&csr).expect("PEM"));
    let certificate = <base64ct::Base64 as base64ct::Encoding>::encode_string(certificate.as_bytes());
    let issued = json!({"status": {"certificate": certificate}});
    assert_eq!(office.patch(&format!("{CSRS}/{name}/status"), &issued).0, 200);
    let current = served.dir.join("kubelet-pki/kubelet-client-current.pem");
    wait("the kubelet stores the certificate", 30, || current.exists().then_some(()));
    let _ = writeln!(std::io::stderr(), "kubelet: request after {sent:?}, certificate after {:?}", start.elapsed());
}

#[test]
#[ignore = "needs KUBE_BIN"]
fn a_kubelet_without_credentials_bootstraps() {
    let dir = directory();
    bootstraps(&Served::start(dir.path()), "{}", "system:anonymous");
}

#[test]
#[ignore = "needs KUBE_BIN"]
fn a_kubelet_with_a_bootstrap_token_bootstraps() {
    let dir = directory();
    let token = clusterctl(dir.path(), &["token", "create", "node-1", "--bearer"]);
    let token = token.trim();
    let (id, _) = token.split_once('.').expect("a token");
    bootstraps(&Served::start(dir.path()), &format!("{{token: \"{token}\"}}"), &format!("system:bootstrap:{id}"));
}

/// Runs the phase of `kubeadm join` that begins with the discovery, and returns its output.
fn kubeadm(served: &Served, token: &str, pin: &str) -> String {
    let mut command = Command::new("timeout");
    command.arg("20").arg(binary("kubeadm")).args(["join", "phase", "preflight", "-v", "5", "--token", token]);
    command.args(["--ignore-preflight-errors", "all", "--discovery-token-ca-cert-hash", pin, "--node-name", "node-1"]);
    let output = command.arg(served.url.trim_start_matches("https://")).stdin(Stdio::null()).output().expect("it runs");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
#[ignore = "needs KUBE_BIN"]
fn kubeadm_discovers_by_token_and_pin_and_refuses_others() {
    let dir = directory();
    let token = clusterctl(dir.path(), &["token", "create", "node-1", "--bearer"]);
    let served = Served::start(dir.path());
    let der = pem::certificates(&std::fs::read(dir.path().join("pki/ca.crt")).expect("a CA")).expect("PEM");
    let root = Certificate::from_der(der[0].clone()).expect("a certificate");
    let pin = root.spki_fingerprint().as_pin();
    let found = "validates against pinned roots";
    let start = Instant::now();
    let good = kubeadm(&served, token.trim(), &pin);
    let _ = writeln!(std::io::stderr(), "kubeadm: {:?}", start.elapsed());
    assert!(good.contains(found), "{good}");
    let other_pin = kubeadm(&served, token.trim(), &format!("sha256:{}", "0".repeat(64)));
    assert!(!other_pin.contains(found), "{other_pin}");
    let (id, secret) = token.trim().split_once('.').expect("a token");
    let other_secret = kubeadm(&served, &format!("{id}.{}", secret.chars().rev().collect::<String>()), &pin);
    assert!(!other_secret.contains(found), "{other_secret}");
}
