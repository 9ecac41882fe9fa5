//! The signer against a real API server of Kubernetes.
//!
//! Ignored by default. It needs etcd, and the folder that `KUBE_BIN` names, with kube-apiserver and kubectl:
//! `KUBE_BIN=… cargo test --test suite -- --ignored enrolment_api_server::`

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use clusterctl::cluster::key_kind::KeyKind;
use clusterctl::cluster::profile::Usage;
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::key::PrivateKey;
use clusterctl::pki::local_key::LocalKey;
use clusterctl::pki::pem;
use clusterctl::pki::request::create_request;
use serde_json::{Value, json};

use crate::support::enrolment::{clusterctl, directory, program};
use crate::support::outside::stdout;

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

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn started(command: &mut Command, log: &Path) -> KillOnDrop {
    let log = fs::File::create(log).expect("a log");
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
        std::thread::sleep(Duration::from_millis(100));
    }
}

struct ApiServer {
    dir: tempfile::TempDir,
    url: String,
    _running: [KillOnDrop; 2],
}

impl ApiServer {
    /// Starts etcd and an API server that trust the directory's CAs, and grants the rights of `policy`.
    fn start(accounts: &str, policy: &str) -> Self {
        let dir = directory();
        let path = |file: &str| dir.path().join(file);
        let cluster = fs::read_to_string(path("cluster.yaml")).expect("a cluster file");
        let cluster: String =
            cluster.lines().filter(|line| !line.starts_with("enrolment:")).map(|line| format!("{line}\n")).collect();
        let cluster = format!("{cluster}accounts: {accounts}\nenrolment: {{policy: {policy}}}\n");
        fs::write(path("cluster.yaml"), cluster).expect("written");
        clusterctl(dir.path(), &["issue-admin", "root", "--break-glass", "--validity", "1h", "--yes"]);
        clusterctl(dir.path(), &["policy"]);
        let (client, peer, port) = (free_port(), free_port(), free_port());
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        let mut etcd = Command::new("etcd");
        etcd.arg("--data-dir").arg(path("etcd"));
        etcd.args(["--listen-client-urls", &at(client), "--advertise-client-urls", &at(client)]);
        etcd.args(["--listen-peer-urls", &at(peer), "--initial-advertise-peer-urls", &at(peer)]);
        etcd.args(["--initial-cluster", &format!("default={}", at(peer))]);
        let etcd = started(&mut etcd, &path("etcd.log"));
        let mut server = Command::new(binary("kube-apiserver"));
        server.args(["--etcd-servers", &at(client), "--secure-port", &port.to_string(), "--bind-address", "127.0.0.1"]);
        server.args(["--service-cluster-ip-range", "10.96.0.0/12", "--authorization-mode", "Node,RBAC"]);
        server.args(["--service-account-issuer", "https://kubernetes.default.svc"]);
        server.arg("--client-ca-file").arg(path("pki/ca.crt"));
        server.arg("--tls-cert-file").arg(path("pki/masters/master-1/apiserver.crt"));
        server.arg("--tls-private-key-file").arg(path("pki/masters/master-1/apiserver.key"));
        server.arg("--service-account-key-file").arg(path("pki/sa.pub"));
        server.arg("--service-account-signing-key-file").arg(path("pki/sa.key"));
        let running = [started(&mut server, &path("kube-apiserver.log")), etcd];
        let this = Self { url: format!("https://127.0.0.1:{port}"), dir, _running: running };
        let ready =
            || this.kubectl("root", &["get", "--raw", "/readyz"]).output().ok().filter(|out| out.status.success());
        wait("the API server is ready", 60, ready);
        let rights = this.dir.path().join("policy/15-enrolment.yaml").display().to_string();
        // kubectl needs schemas for its validation, which the API server serves only after it is ready.
        let apply = || {
            this.kubectl("root", &["apply", "--validate=false", "-f", &rights])
                .output()
                .ok()
                .filter(|out| out.status.success())
        };
        wait("the rights are granted", 60, apply);
        this
    }

    fn kubeconfig(&self, admin: &str) -> PathBuf {
        let text = fs::read_to_string(self.dir.path().join(format!("pki/admins/{admin}.conf"))).expect("a kubeconfig");
        let path = self.dir.path().join(format!("{admin}.conf"));
        fs::write(&path, text.replace("https://127.0.0.1:6443", &self.url)).expect("written");
        path
    }

    fn kubectl(&self, admin: &str, args: &[&str]) -> Command {
        let mut command = Command::new(binary("kubectl"));
        command.arg("--kubeconfig").arg(self.kubeconfig(admin)).args(args).env("HOME", self.dir.path());
        command
    }

    /// Sends a request as the administrator `root`.
    fn ask(&self, name: &str, signer: &str, user: &str, usage: Usage) {
        let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
        let key = LocalKey::open(&key).expect("a key");
        let csr = pem::write_request(&create_request(&key, user, &[], usage).expect("a request"));
        let usage = if usage == Usage::Client { "client auth" } else { "server auth" };
        let object = json!({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
            "spec": {
                "request": Base64::encode_string(csr.as_bytes()), "signerName": signer,
                "usages": ["digital signature", usage],
            },
        });
        let file = self.dir.path().join("request.json");
        fs::write(&file, object.to_string()).expect("written");
        stdout(&mut self.kubectl("root", &["create", "--validate=false", "-f", &file.display().to_string()]));
    }

    fn get(&self, args: &[&str]) -> Option<Value> {
        let output = self.kubectl("root", &[args, &["-o", "json"]].concat()).output().expect("kubectl");
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
    }

    fn certificate(&self, name: &str) -> Option<Certificate> {
        let object = self.get(&["get", "csr", name])?;
        let pem_text = Base64::decode_vec(object["status"]["certificate"].as_str()?).expect("base64");
        let der = pem::certificates(&pem_text).expect("PEM").swap_remove(0);
        Some(Certificate::from_der(der).expect("a certificate"))
    }

    fn signer(&self, log: &str) -> KillOnDrop {
        let mut command = program(self.dir.path());
        command.arg("signer").arg("--kubeconfig").arg(self.kubeconfig("office"));
        started(&mut command, &self.dir.path().join(log))
    }

    fn holder(&self) -> Option<String> {
        let lease = self.get(&["get", "lease", "-n", "kube-system", "clusterctl-signer"])?;
        lease["spec"]["holderIdentity"].as_str().map(str::to_owned)
    }
}

#[test]
#[ignore = "needs KUBE_BIN"]
fn a_signer_with_the_rights_of_policy_issues_and_another_takes_over_its_lease() {
    let server = ApiServer::start("kubelet", "queue");
    let alice = server.kubeconfig("alice").display().to_string();
    let dir = server.dir.path().to_owned();
    server.ask("one", "clusterctl.io/kubelet-client", "kubelet:node-1", Usage::Client);
    let first = server.signer("first.log");
    let held = wait("a signer holds the Lease", 20, || server.holder());
    let second = server.signer("second.log");
    clusterctl(&dir, &["csr", "approve", "one", "--kubeconfig", &alice]);
    let start = Instant::now();
    let certificate = wait("a certificate", 20, || server.certificate("one"));
    let _ = writeln!(std::io::stderr(), "approved to delivered: {:?}", start.elapsed());
    assert_eq!(certificate.account().user, "kubelet:node-1");
    drop(first);
    let start = Instant::now();
    server.ask("two", "clusterctl.io/kubelet-client", "kubelet:node-2", Usage::Client);
    clusterctl(&dir, &["csr", "approve", "two", "--kubeconfig", &alice]);
    wait("the other signer signs", 60, || server.certificate("two"));
    let now = server.holder().expect("a holder");
    assert_ne!(now, held);
    let _ = writeln!(std::io::stderr(), "killed to the next signer's certificate: {:?}", start.elapsed());
    drop(second);
    let denied = program(&dir).args(["signer", "--once", "--kubeconfig", &alice]).output().expect("it runs");
    assert_eq!(denied.status.code(), Some(3), "an approver has no rights of a signer");
}

#[test]
#[ignore = "needs KUBE_BIN"]
fn kubelet_serving_certificates_of_system_node_accounts_have_the_group() {
    let server = ApiServer::start("system-node", "queue");
    let office = server.kubeconfig("office").display().to_string();
    server.ask("serving", "kubernetes.io/kubelet-serving", "system:node:node-1", Usage::Server);
    server.ask("client", "kubernetes.io/kube-apiserver-client-kubelet", "system:node:node-1", Usage::Client);
    server.ask("other", "example.com/other", "system:node:node-1", Usage::Client);
    stdout(&mut server.kubectl("alice", &["certificate", "approve", "serving", "client"]));
    clusterctl(server.dir.path(), &["signer", "--once", "--kubeconfig", &office]);
    for name in ["serving", "client"] {
        let certificate = server.certificate(name).unwrap_or_else(|| panic!("no certificate for {name}"));
        assert_eq!(certificate.account().user, "system:node:node-1");
        assert_eq!(certificate.subject.organizations, ["system:nodes"], "{name}");
    }
    assert!(server.certificate("other").is_none());
}
