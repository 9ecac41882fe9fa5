//! A cluster directory, its server as a process, and clients.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use base64ct::{Base64, Encoding};
use clusterctl::app::admin::{self, AdminAccount, AdminOptions};
use clusterctl::app::ca::{self, CreateOptions};
use clusterctl::app::issue::{self, IssueOptions, Subjects};
use clusterctl::app::{Env, Silent};
use clusterctl::cluster::key_kind::KeyKind;
use clusterctl::cluster::lifetime::Lifetime;
use clusterctl::cluster::name::HostName;
use clusterctl::cluster::profile::{CaRole, CertificateSpec, Usage};
use clusterctl::cluster::spec::{Cluster, Host};
use clusterctl::config;
use clusterctl::enrol::request::SignerName;
use clusterctl::pki::issuer::{Issuer, SubjectKey};
use clusterctl::pki::key::PrivateKey;
use clusterctl::pki::local_key::LocalKey;
use clusterctl::pki::pem;
use clusterctl::pki::request::{CertificateRequest, VerifiedRequest, create_request_for};
use clusterctl::store;
use clusterctl::store::layout::Layout;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::connection::Connection;

pub(crate) const CSRS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/// The kept connections of clients.
pub(crate) const CONNECTIONS: usize = 64;

pub(crate) struct Site {
    folder: TempDir,
    issuer: Issuer,
    /// Of all nodes for their clients, then of all nodes for their servers.
    pub(crate) requests: Vec<NodeRequest>,
    pub(crate) anonymous: Arc<rustls::ClientConfig>,
    signer: Arc<rustls::ClientConfig>,
    /// In the group `system:masters`.
    pub(crate) root: Arc<rustls::ClientConfig>,
}

/// A request of a node.
pub(crate) struct NodeRequest {
    pem: String,
    verified: VerifiedRequest,
    spec: CertificateSpec,
    signer: SignerName,
}

pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Site {
    pub(crate) fn new(nodes: usize) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let hosts: String = (0..nodes)
            .map(|i| format!("- {{name: n{i}, addresses: [10.{}.{}.{}]}}\n", i >> 16, i >> 8 & 255, i & 255))
            .collect();
        let until = OffsetDateTime::now_utc() + time::Duration::hours(12);
        let until = until.replace_nanosecond(0).expect("a time").format(&Rfc3339).expect("a text");
        let text = format!(
            "apiVersion: clusterctl/v1\nkind: Cluster\nname: bench\nendpoint: https://127.0.0.1:6443\n\
             masters: [{{name: master-1, addresses: [127.0.0.1]}}]\nnodes:\n{hosts}\
             enrolment: {{policy: insecure-always-approve, until: \"{until}\"}}\n"
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
        let options = AdminOptions { name: None, validity: None, account: Some(AdminAccount::Signer), reissue: false };
        admin::plan(&options, &cluster, &env, &mut Silent)
            .expect("a plan")
            .apply(&issuer, &mut Silent)
            .expect("issued");
        let of = |signer: SignerName| cluster.nodes.iter().map(move |node| (node, signer));
        let requests = of(SignerName::KubeletClient).chain(of(SignerName::KubeletServing));
        let requests = requests.map(|(node, signer)| request(&cluster, node, signer)).collect();
        let anonymous = tls(&env.layout, None);
        // The same credential as in the signer's kubeconfig, issued once more for this process.
        let name = HostName::parse("bench-signer").expect("a name");
        let spec = cluster.enrolment_spec(&name, AdminAccount::Signer.group(), cluster.validity.node);
        let credential = issuer.issue_credential(&spec, cluster.keys, env.now).expect("issued");
        let signer = tls(&env.layout, Some(credential.get()));
        let spec = cluster.break_glass_spec(&name, Lifetime::ONE_DAY);
        let credential = issuer.issue_credential(&spec, cluster.keys, env.now).expect("issued");
        let root = tls(&env.layout, Some(credential.get()));
        Self { folder, issuer, requests, anonymous, signer, root }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn queue(&self) -> PathBuf {
        self.folder().join("enrolment.sqlite")
    }

    /// Removes the queue, and the certificates of hosts, by which `join` would pack a bundle too early.
    ///
    /// The new folder of the hosts is in block groups of its own (ext4's flag `T` of the folder above it): otherwise a row would
    /// pay for what was deleted before it, because ext4 does not use inodes again at once.
    pub(crate) fn forget(&self) {
        let pki = self.folder().join("pki");
        let _ = std::fs::remove_dir_all(pki.join("nodes"));
        if let Ok(pki) = std::fs::File::open(&pki) {
            // Without it the rows of the signer only take longer.
            let _ = ioctl_getflags(&pki).and_then(|flags| ioctl_setflags(&pki, flags | IFlags::TOPDIR));
        }
        let _ = std::fs::create_dir(pki.join("nodes"));
        for ending in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.folder().join(format!("enrolment.sqlite{ending}")));
        }
    }

    /// Returns the program at this directory.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clusterctl"));
        command.arg("--dir").arg(self.folder()).args(arguments).stdin(Stdio::null());
        command
    }

    /// Starts the server. All clients have the same address here, so the limit of an address is that of all.
    pub(crate) fn start(&self, flags: &[&str]) -> Server {
        let mut command = self.program(&["serve", "ca", "--listen", "127.0.0.1:0"]);
        command.args(["--max-connections-per-address", "20000"]).args(flags);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        Server { child, address: line.trim().trim_start_matches("https://").to_owned() }
    }

    /// Writes the kubeconfig of an admin for an API at another address, and returns its path.
    pub(crate) fn kubeconfig(&self, admin: &str, address: &str) -> PathBuf {
        let from = self.folder().join(format!("pki/admins/{admin}.conf"));
        let to = self.folder().join(format!("{admin}.conf"));
        let text = std::fs::read_to_string(from).expect("a kubeconfig");
        let line = |line: &str| match line.split_once("server: ") {
            Some((before, _)) => format!("{before}server: https://{address}\n"),
            None => format!("{line}\n"),
        };
        std::fs::write(&to, text.lines().map(line).collect::<String>()).expect("written");
        to
    }

    /// Starts the signer.
    pub(crate) fn signer(&self, address: &str, flags: &[&str]) -> Child {
        let mut command = self.program(&["signer", "--kubeconfig"]);
        command.arg(self.kubeconfig("signer", address)).args(flags);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }

    /// Signs the CSR of a node.
    pub(crate) fn certificate(&self, number: usize, now: OffsetDateTime) -> String {
        let NodeRequest { verified, spec, .. } = &self.requests[number];
        let token =
            self.issuer.prepare(spec, SubjectKey::FromRequest(Box::new(verified.clone())), now).expect("checked");
        self.issuer.issue(token).expect("signed").certificate().to_pem()
    }

    pub(crate) fn object(&self, name: &str, number: usize) -> String {
        let request = &self.requests[number];
        json!({
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": {
                "request": Base64::encode_string(request.pem.as_bytes()),
                "signerName": request.signer.as_str(),
                "usages": ["digital signature", request.signer.usage()],
            },
        })
        .to_string()
    }

    /// Sends requests, and returns their names.
    pub(crate) async fn pending(self: &Arc<Self>, server: &Server, count: usize) -> Vec<(String, usize)> {
        let names: Vec<(String, usize)> = (0..count).map(|i| (format!("r{i}"), i % self.requests.len())).collect();
        let parts: Vec<Vec<(String, usize)>> = names.chunks(count.div_ceil(CONNECTIONS)).map(<[_]>::to_vec).collect();
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
        let parts = names.chunks(names.len().div_ceil(CONNECTIONS));
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

    /// Approves and signs a request.
    pub(crate) async fn issue(&self, connection: &mut Connection, name: &str, node: usize) {
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

    /// Lets a signer in this process watch and decide, until the result is dropped.
    pub(crate) fn decide_all(self: &Arc<Self>, server: &Server) -> JoinSet<()> {
        let (found, waiting) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(watch_all(self.clone(), server.address.clone(), found));
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        for _ in 0..CONNECTIONS {
            tasks.spawn(sign_all(self.clone(), server.address.clone(), waiting.clone()));
        }
        tasks
    }

    /// Lets each node connect anew, send a request, and wait for its certificate; returns the longest time.
    pub(crate) async fn join_all(self: &Arc<Self>, server: &Server, count: usize, at_once: usize) -> f64 {
        let limit = Arc::new(tokio::sync::Semaphore::new(at_once));
        let mut tasks = Vec::new();
        for number in 0..count {
            let permit = limit.clone().acquire_owned().await.expect("open");
            let (site, address) = (self.clone(), server.address.clone());
            tasks.push(tokio::spawn(async move {
                let start = Instant::now();
                site.join(&address, number).await;
                drop(permit);
                start.elapsed().as_secs_f64()
            }));
        }
        let mut slowest: f64 = 0.0;
        for task in tasks {
            slowest = slowest.max(task.await.expect("it ends"));
        }
        slowest
    }

    async fn join(&self, address: &str, number: usize) {
        let name = format!("n{number}");
        let mut connection = Connection::open(&self.anonymous, address).await;
        connection.send("POST", CSRS, "application/json", &self.object(&name, number)).await;
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

fn request(cluster: &Cluster, node: &Host, signer: SignerName) -> NodeRequest {
    let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
    let signing = LocalKey::open(&key).expect("a key");
    let usage = signer.profile().policy().usage;
    let names = if usage == Usage::Server { vec![node.name.to_address()] } else { Vec::new() };
    let der = create_request_for(&signing, &signer.accounts().account(&node.name), &names, usage).expect("a request");
    let verified = VerifiedRequest::verify(CertificateRequest::from_der(&der).expect("a request")).expect("verified");
    let specs = cluster.node_specs(node);
    let spec = specs.into_iter().find(|spec| spec.profile == signer.profile()).expect("a profile");
    NodeRequest { pem: pem::write_request(&der), verified, spec, signer }
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
    /// Returns the number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
