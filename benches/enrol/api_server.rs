//! A real API server of Kubernetes, as a mailbox: what plain clients reach there, and what the signer does.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::connection::Connection;
use crate::site::{CONNECTIONS, CSRS, Site};

/// Certificates a second.
pub(crate) struct Measured {
    /// By plain clients: create, approval, status.
    pub(crate) plain: f64,
    /// By the same creates, and `clusterctl signer`.
    pub(crate) signer: f64,
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An API server with its etcd.
struct ApiServer {
    address: String,
    admin: Arc<rustls::ClientConfig>,
    _running: [Killed; 2],
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn started(command: &mut Command, log: &Path) -> Killed {
    let log = std::fs::File::create(log).expect("a log");
    Killed(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("it starts"))
}

impl ApiServer {
    async fn start(site: &Site, folder: &Path) -> Self {
        let path = |file: &str| site.folder().join(file);
        for arguments in [&["issue-admin", "root", "--break-glass", "--validity", "1h", "--yes"][..], &["policy"]] {
            let status = site.program(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs");
            assert!(status.success(), "{arguments:?}");
        }
        let (client, peer, port) = (free_port(), free_port(), free_port());
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        let mut etcd = Command::new("etcd");
        etcd.arg("--data-dir").arg(path("etcd"));
        etcd.args(["--listen-client-urls", &at(client), "--advertise-client-urls", &at(client)]);
        etcd.args(["--listen-peer-urls", &at(peer), "--initial-advertise-peer-urls", &at(peer)]);
        etcd.args(["--initial-cluster", &format!("default={}", at(peer))]);
        let etcd = started(&mut etcd, &path("etcd.log"));
        let mut server = Command::new(folder.join("kube-apiserver"));
        server.args(["--etcd-servers", &at(client), "--secure-port", &port.to_string(), "--bind-address", "127.0.0.1"]);
        server.args(["--service-cluster-ip-range", "10.96.0.0/12", "--authorization-mode", "Node,RBAC"]);
        server.args(["--service-account-issuer", "https://kubernetes.default.svc"]);
        server.arg("--client-ca-file").arg(path("pki/ca.crt"));
        server.arg("--tls-cert-file").arg(path("pki/masters/master-1/apiserver.crt"));
        server.arg("--tls-private-key-file").arg(path("pki/masters/master-1/apiserver.key"));
        server.arg("--service-account-key-file").arg(path("pki/sa.pub"));
        server.arg("--service-account-signing-key-file").arg(path("pki/sa.key"));
        let running = [started(&mut server, &path("kube-apiserver.log")), etcd];
        let this = Self { address: format!("127.0.0.1:{port}"), admin: site.root.clone(), _running: running };
        let kubeconfig = site.kubeconfig("root", &this.address);
        let rights = path("policy/15-enrolment.yaml");
        let start = Instant::now();
        loop {
            let mut kubectl = Command::new("kubectl");
            kubectl.arg("--kubeconfig").arg(&kubeconfig).args(["apply", "--validate=false", "-f"]).arg(&rights);
            if kubectl.env("HOME", site.folder()).output().is_ok_and(|output| output.status.success()) {
                return this;
            }
            assert!(start.elapsed() < Duration::from_secs(120), "the API server is not ready");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Lets clients work on parts of the numbers, and returns the seconds.
    async fn run(&self, site: &Arc<Site>, prefix: &'static str, count: usize, decides: bool) {
        let numbers: Vec<usize> = (0..count).collect();
        let tasks: Vec<_> = numbers
            .chunks(count.div_ceil(CONNECTIONS))
            .map(|part| {
                let (part, site, admin, address) =
                    (part.to_vec(), site.clone(), self.admin.clone(), self.address.clone());
                tokio::spawn(async move {
                    let mut connection = Connection::open(&admin, &address).await;
                    for number in part {
                        let name = format!("{prefix}{number}");
                        connection.send("POST", CSRS, "application/json", &site.object(&name, number)).await;
                        let (status, body) = connection.answer().await;
                        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
                        if decides {
                            site.issue(&mut connection, &name, number).await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("it ends");
        }
    }

    /// Waits until all requests have certificates.
    async fn issued(&self, prefix: &str, count: usize) {
        let mut connection = Connection::open(&self.admin, &self.address).await;
        loop {
            connection.send("GET", CSRS, "", "").await;
            let (status, body) = connection.answer().await;
            assert_eq!(status, 200);
            let list: Value = serde_json::from_slice(&body).expect("JSON");
            let is_issued = |one: &&Value| {
                one["metadata"]["name"].as_str().is_some_and(|name| name.starts_with(prefix))
                    && one["status"]["certificate"].is_string()
            };
            if list["items"].as_array().expect("a list").iter().filter(is_issued).count() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

pub(crate) async fn measure(site: &Arc<Site>, folder: &OsStr, count: usize) -> Measured {
    let server = ApiServer::start(site, folder.as_ref()).await;
    // The first requests of an API server are slow.
    server.run(site, "warm", CONNECTIONS, true).await;
    let start = Instant::now();
    server.run(site, "plain", count, true).await;
    let plain = count as f64 / start.elapsed().as_secs_f64();
    let _signer = Killed(site.signer(&server.address, &[]));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let start = Instant::now();
    server.run(site, "signed", count, false).await;
    server.issued("signed", count).await;
    Measured { plain, signer: count as f64 / start.elapsed().as_secs_f64() }
}
