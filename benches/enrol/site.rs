//! A cluster directory, its server as a process, and clients.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use clusterctl::app::admin::{self, AdminAccount, AdminOptions};
use clusterctl::app::ca::{self, CreateOptions};
use clusterctl::app::issue::{self, IssueOptions, Subjects};
use clusterctl::app::{Env, Silent};
use clusterctl::cluster::key_kind::KeyKind;
use clusterctl::cluster::name::HostName;
use clusterctl::cluster::profile::{CaRole, CertificateSpec, Usage};
use clusterctl::cluster::spec::Cluster;
use clusterctl::config;
use clusterctl::pki::issuer::{Issuer, SubjectKey};
use clusterctl::pki::key::PrivateKey;
use clusterctl::pki::local_key::LocalKey;
use clusterctl::pki::pem;
use clusterctl::pki::request::{CertificateRequest, VerifiedRequest, create_request};
use clusterctl::store;
use clusterctl::store::layout::Layout;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::connection::Connection;

const CSRS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/// The connections of the signer.
const SIGNER_CONNECTIONS: usize = 16;

pub(crate) struct Site {
    folder: TempDir,
    issuer: Issuer,
    pub(crate) csrs: Vec<(String, VerifiedRequest, CertificateSpec)>,
    anonymous: Arc<rustls::ClientConfig>,
    signer: Arc<rustls::ClientConfig>,
}

pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Site {
    pub(crate) fn new(nodes: usize) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let hosts: String = (0..nodes)
            .map(|i| format!("- {{name: n{i}, addresses: [10.{}.{}.{}]}}\n", i >> 16, i >> 8 & 255, i & 255))
            .collect();
        let text = format!(
            "apiVersion: clusterctl/v1\nkind: Cluster\nname: bench\nendpoint: https://127.0.0.1:6443\n\
             masters: [{{name: master-1, addresses: [127.0.0.1]}}]\nnodes:\n{hosts}"
        );
        std::fs::write(folder.path().join("cluster.yaml"), &text).expect("written");
        let cluster = config::read(text.as_bytes()).expect("a cluster");
        let layout = Layout::new(folder.path().to_owned());
        let env = Env { layout, now: OffsetDateTime::now_utc(), actor: "bench".to_owned() };
        ca::create(&env, &cluster, &CreateOptions::default()).expect("CAs");
        let open =
            |role| store::ca::open(&env.layout, role, None).expect("a CA").into_issuer(env.now).expect("an issuer");
        let options = IssueOptions {
            subjects: Subjects::Masters(cluster.masters.iter().collect()),
            reissue: false,
            renew_within: None,
            skips_unreadable: false,
        };
        let plan = issue::plan(options, "bench", &cluster, &env, &mut Silent).expect("a plan");
        let issuers: Vec<Issuer> = plan.signers().into_iter().map(open).collect();
        plan.apply(&issuers, &mut Silent).expect("issued");
        let issuer = open(CaRole::Cluster);
        let options = AdminOptions { name: None, validity: None, account: AdminAccount::Signer, reissue: false };
        admin::plan(&options, &cluster, &env, &mut Silent)
            .expect("a plan")
            .apply(&issuer, &mut Silent)
            .expect("issued");
        let csrs = (0..nodes).map(|i| csr(&cluster, i)).collect();
        let anonymous = tls(&env.layout, None);
        // The same credential as in the signer's kubeconfig, issued once more for this process.
        let name = HostName::parse("bench-signer").expect("a name");
        let spec = cluster.enrolment_spec(&name, AdminAccount::Signer.group(), cluster.validity.node);
        let credential = issuer.issue_credential(&spec, cluster.keys, env.now).expect("issued");
        let signer = tls(&env.layout, Some(credential.get()));
        Self { folder, issuer, csrs, anonymous, signer }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn queue(&self) -> PathBuf {
        self.folder().join("enrolment.sqlite")
    }

    /// Removes the queue.
    pub(crate) fn forget(&self) {
        for ending in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.folder().join(format!("enrolment.sqlite{ending}")));
        }
    }

    pub(crate) fn start(&self) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clusterctl"));
        command.arg("--dir").arg(self.folder()).args(["serve", "ca", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        Server { child, address: line.trim().trim_start_matches("https://").to_owned() }
    }

    /// Signs the CSR of a node.
    pub(crate) fn certificate(&self, node: usize, now: OffsetDateTime) -> String {
        let (_, request, spec) = &self.csrs[node];
        let token =
            self.issuer.prepare(spec, SubjectKey::FromRequest(Box::new(request.clone())), now).expect("checked");
        self.issuer.issue(token).expect("signed").certificate().to_pem()
    }

    fn object(&self, name: &str, node: usize) -> String {
        json!({
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": {
                "request": Base64::encode_string(self.csrs[node].0.as_bytes()),
                "signerName": "clusterctl.io/kubelet-client",
                "usages": ["digital signature", "client auth"],
            },
        })
        .to_string()
    }

    /// Sends requests, four of each node at most, and returns their names.
    pub(crate) async fn pending(self: &Arc<Self>, server: &Server, count: usize) -> Vec<(String, usize)> {
        let names: Vec<(String, usize)> = (0..count).map(|i| (format!("r{i}"), i % self.csrs.len())).collect();
        let parts: Vec<Vec<(String, usize)>> =
            names.chunks(count.div_ceil(SIGNER_CONNECTIONS)).map(<[_]>::to_vec).collect();
        let send = |part: Vec<(String, usize)>| {
            let (site, address) = (self.clone(), server.address.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(&site.anonymous, &address).await;
                for (name, node) in part {
                    connection.send("POST", CSRS, "application/json", &site.object(&name, node)).await;
                    let (status, body) = connection.answer().await;
                    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
                }
            })
        };
        for task in parts.into_iter().map(send).collect::<Vec<_>>() {
            task.await.expect("it ends");
        }
        names
    }

    /// Approves and signs requests over kept connections.
    pub(crate) async fn decide(self: &Arc<Self>, server: &Server, names: &[(String, usize)]) {
        let parts = names.chunks(names.len().div_ceil(SIGNER_CONNECTIONS));
        let decide = |part: Vec<(String, usize)>| {
            let (site, address) = (self.clone(), server.address.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(&site.signer, &address).await;
                for (name, node) in part {
                    site.issue(&mut connection, &name, node).await;
                }
            })
        };
        for task in parts.map(<[_]>::to_vec).map(decide).collect::<Vec<_>>() {
            task.await.expect("it ends");
        }
    }

    async fn issue(&self, connection: &mut Connection, name: &str, node: usize) {
        const PATCH: &str = "application/merge-patch+json";
        let condition = json!({"type": "Approved", "status": "True", "reason": "Bench", "message": ""});
        let approval = json!({"status": {"conditions": [condition]}}).to_string();
        connection.send("PATCH", &format!("{CSRS}/{name}/approval"), PATCH, &approval).await;
        let (status, body) = connection.answer().await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        let certificate = self.certificate(node, OffsetDateTime::now_utc());
        let issued = json!({"status": {"certificate": Base64::encode_string(certificate.as_bytes())}}).to_string();
        connection.send("PATCH", &format!("{CSRS}/{name}/status"), PATCH, &issued).await;
        let (status, body) = connection.answer().await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    }

    /// Lets each node connect anew, send a request, and wait for its certificate, while a signer watches and decides.
    pub(crate) async fn join_all(self: Arc<Self>, server: &Server, nodes: usize) -> (f64, f64) {
        let (found, waiting) = mpsc::unbounded_channel();
        let watch = tokio::spawn(watch_all(self.clone(), server.address.clone(), found));
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        for _ in 0..SIGNER_CONNECTIONS {
            tokio::spawn(sign_all(self.clone(), server.address.clone(), waiting.clone()));
        }
        let start = Instant::now();
        let limit = Arc::new(tokio::sync::Semaphore::new(64));
        let mut tasks = Vec::new();
        for node in 0..nodes {
            let permit = limit.clone().acquire_owned().await.expect("open");
            let (site, address) = (self.clone(), server.address.clone());
            tasks.push(tokio::spawn(async move {
                let start = Instant::now();
                site.join(&address, node).await;
                drop(permit);
                start.elapsed().as_secs_f64()
            }));
        }
        let mut slowest: f64 = 0.0;
        for task in tasks {
            slowest = slowest.max(task.await.expect("it ends"));
        }
        watch.abort();
        (nodes as f64 / start.elapsed().as_secs_f64(), slowest)
    }

    async fn join(&self, address: &str, node: usize) {
        let name = format!("n{node}");
        let mut connection = Connection::open(&self.anonymous, address).await;
        connection.send("POST", CSRS, "application/json", &self.object(&name, node)).await;
        assert_eq!(connection.answer().await.0, 201);
        let path = format!("{CSRS}?watch=1&fieldSelector=metadata.name%3D{name}");
        connection.send("GET", &path, "", "").await;
        assert_eq!(connection.head().await.0, 200);
        loop {
            let line: Value = serde_json::from_slice(&connection.chunk().await).expect("an event");
            if line["object"]["status"]["certificate"].is_string() {
                return;
            }
        }
    }

    /// Opens watches, each over a connection of its own.
    pub(crate) async fn watches(self: &Arc<Self>, server: &Server, count: usize) -> Vec<Connection> {
        let mut open = Vec::with_capacity(count);
        for part in (0..count).collect::<Vec<_>>().chunks(100) {
            let opening: Vec<_> = part
                .iter()
                .map(|i| {
                    let (site, address, path) = (
                        self.clone(),
                        server.address.clone(),
                        format!("{CSRS}?watch=1&fieldSelector=metadata.name%3Dw{i}&timeoutSeconds=1500"),
                    );
                    tokio::spawn(async move {
                        let mut connection = Connection::open(&site.anonymous, &address).await;
                        connection.send("GET", &path, "", "").await;
                        assert_eq!(connection.head().await.0, 200);
                        connection
                    })
                })
                .collect();
            for task in opening {
                open.push(task.await.expect("it ends"));
            }
        }
        open
    }

    pub(crate) async fn ready(&self, server: &Server) {
        let mut connection = Connection::open(&self.anonymous, &server.address).await;
        connection.send("GET", "/readyz", "", "").await;
        assert_eq!(connection.answer().await.0, 200);
    }
}

async fn watch_all(site: Arc<Site>, address: String, found: mpsc::UnboundedSender<usize>) {
    let mut connection = Connection::open(&site.signer, &address).await;
    connection.send("GET", &format!("{CSRS}?watch=1"), "", "").await;
    assert_eq!(connection.head().await.0, 200);
    loop {
        let chunk = connection.chunk().await;
        let line: Value = serde_json::from_slice(&chunk).expect("an event");
        if line["type"] == "ADDED" {
            let name = line["object"]["metadata"]["name"].as_str().expect("a name");
            let _ = found.send(name[1..].parse().expect("a number"));
        }
    }
}

async fn sign_all(site: Arc<Site>, address: String, waiting: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<usize>>>) {
    let mut connection = Connection::open(&site.signer, &address).await;
    loop {
        let Some(node) = waiting.lock().await.recv().await else { return };
        site.issue(&mut connection, &format!("n{node}"), node).await;
    }
}

fn csr(cluster: &Cluster, node: usize) -> (String, VerifiedRequest, CertificateSpec) {
    let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
    let signing = LocalKey::open(&key).expect("a key");
    let der = create_request(&signing, &format!("kubelet:n{node}"), &[], Usage::Client).expect("a request");
    let request = VerifiedRequest::verify(CertificateRequest::from_der(&der).expect("a request")).expect("verified");
    let spec = cluster.node_specs(&cluster.nodes[node]).swap_remove(0);
    (pem::write_request(&der), request, spec)
}

fn tls(layout: &Layout, credential: Option<&clusterctl::pki::issuer::Credential>) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    for der in pem::certificates(&std::fs::read(layout.root_certificate(CaRole::Cluster)).expect("a CA")).expect("PEM")
    {
        roots.add(CertificateDer::from(der)).expect("a root");
    }
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_root_certificates(roots);
    let config = match credential {
        None => builder.with_no_client_auth(),
        Some(credential) => {
            let chain = credential.certificates().map(|one| CertificateDer::from(one.der().to_vec())).collect();
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(credential.key.expose_pkcs8().to_vec()));
            builder.with_client_auth_cert(chain, key).expect("a credential")
        }
    };
    Arc::new(config)
}

impl Server {
    /// Returns the resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Returns the processor time, in ticks of 10 ms.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("a process");
        let after = stat.rsplit(')').next().expect("fields");
        let fields: Vec<u64> = after.split_whitespace().skip(11).take(2).filter_map(|text| text.parse().ok()).collect();
        Duration::from_millis(fields.iter().sum::<u64>() * 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
