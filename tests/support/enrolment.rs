//! A running enrolment CA: its directory, its server as a child process, and a client of its API.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, OnceLock};

use clusterctl::cluster::key_kind::KeyKind;
use clusterctl::cluster::profile::Usage;
use clusterctl::pki::key::PrivateKey;
use clusterctl::pki::local_key::LocalKey;
use clusterctl::pki::pem::{self, Item};
use clusterctl::pki::request::create_request;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use super::PATIENCE;

/// The path of requests.
pub(crate) const CSRS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

const CLUSTER: &str = "apiVersion: clusterctl/v1
kind: Cluster
name: prod
endpoint: https://127.0.0.1:6443
masters: [{name: master-1, addresses: [127.0.0.1]}]
nodes: [{name: node-1, addresses: [127.0.0.11]}, {name: node-2, addresses: [127.0.0.12]}]
";

/// Runs the program as a child process, with the real clock, and returns its output.
#[track_caller]
pub(crate) fn clusterctl(dir: &Path, args: &[&str]) -> String {
    let output = program(dir).args(args).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

pub(crate) fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clusterctl"));
    command.arg("--dir").arg(dir).stdin(Stdio::null()).env_remove("NOTIFY_SOCKET");
    command
}

/// Returns a directory of its own, with CAs, all credentials, the approver alice and the signer office.
pub(crate) fn directory() -> tempfile::TempDir {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("cluster.yaml"), CLUSTER).expect("written");
        for args in [
            &["init-ca", "--plaintext-ca-key"][..],
            &["issue-master", "--all"],
            &["issue-node", "--all"],
            &["issue-admin", "alice", "--approver"],
            &["issue-admin", "office", "--signer"],
        ] {
            clusterctl(dir.path(), args);
        }
        dir
    });
    let dir = tempfile::tempdir().expect("a folder");
    copy(made.path(), dir.path());
    dir
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).expect("created");
            fs::set_permissions(&target, entry.metadata().expect("facts").permissions()).expect("set");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copied");
        }
    }
}

/// A running server, which is killed when it is dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) url: String,
    pub(crate) dir: PathBuf,
}

impl Served {
    /// Starts a server on a free port of loopback.
    #[track_caller]
    pub(crate) fn start(dir: &Path) -> Self {
        Self::with(dir, program(dir))
    }

    /// Starts a server by a prepared command.
    #[track_caller]
    pub(crate) fn with(dir: &Path, command: Command) -> Self {
        Self::with_flags(dir, command, &[])
    }

    /// Starts a server by a prepared command, with more flags.
    #[track_caller]
    pub(crate) fn with_flags(dir: &Path, mut command: Command, flags: &[&str]) -> Self {
        command.args(["serve", "ca", "--listen", "127.0.0.1:0"]).args(flags);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let url = line.trim().to_owned();
        if !url.starts_with("https://") {
            let output = child.wait_with_output().expect("it ends");
            panic!("it did not start: {}", String::from_utf8_lossy(&output.stderr));
        }
        Self { child, url, dir: dir.to_owned() }
    }

    /// Returns a client with the credential of a kubeconfig in the directory, or without one.
    pub(crate) fn api(&self, admin: Option<&str>) -> Api {
        let identity = admin.map(|name| {
            let text = fs::read_to_string(self.dir.join(format!("pki/admins/{name}.conf"))).expect("a kubeconfig");
            let data = |field: &str| {
                let start = text.find(field).expect("a field") + field.len() + 3;
                let value = text[start..].split('"').next().expect("a value");
                <base64ct::Base64 as base64ct::Encoding>::decode_vec(value).expect("base64")
            };
            (decoded(&data("client-certificate-data")), decoded(&data("client-key-data")))
        });
        self.client(identity.map(|(chain, key)| (certificates(chain), private_key(key))))
    }

    /// Returns a client with a certificate and a key in files.
    pub(crate) fn api_with_files(&self, certificate: &Path, key: &Path) -> Api {
        let read = |path: &Path| decoded(&fs::read(path).expect("a file"));
        self.client(Some((certificates(read(certificate)), private_key(read(key)))))
    }

    /// Returns a client with a node's credential.
    pub(crate) fn api_of_node(&self, node: &str) -> Api {
        let folder = self.dir.join("pki/nodes").join(node);
        self.api_with_files(&folder.join("kubelet-client.crt"), &folder.join("kubelet-client.key"))
    }

    fn client(&self, identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>) -> Api {
        let mut roots = rustls::RootCertStore::empty();
        for root in certificates(decoded(&fs::read(self.dir.join("pki/ca.crt")).expect("the CA"))) {
            roots.add(root).expect("a root");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_root_certificates(roots);
        let tls = match identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).expect("a credential"),
            None => builder.with_no_client_auth(),
        };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        Api { client, url: self.url.clone() }
    }

    /// Stops the server like systemd, and returns its exit status and the time that it took.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn decoded(bytes: &[u8]) -> Vec<Item> {
    pem::read_all(bytes).expect("PEM")
}

fn certificates(items: Vec<Item>) -> Vec<CertificateDer<'static>> {
    let der = |item| if let Item::Certificate(der) = item { Some(CertificateDer::from(der)) } else { None };
    items.into_iter().filter_map(der).collect()
}

fn private_key(items: Vec<Item>) -> PrivateKeyDer<'static> {
    let key = items.into_iter().find_map(|item| match item {
        Item::Key(_, secret) => PrivateKeyDer::try_from(secret.expose().to_vec()).ok(),
        _ => None,
    });
    key.expect("a key")
}

/// A client of the API.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) client: reqwest::Client,
    pub(crate) url: String,
}

/// The runtime of all clients.
pub(crate) fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    });
    &RUNTIME
}

impl Api {
    /// Sends a request, and returns the status and the object.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, media_type: &str, body: Vec<u8>) -> (u16, Value) {
        runtime().block_on(self.sent(method, path, media_type, body)).expect("an answer")
    }

    pub(crate) async fn sent(
        &self,
        method: &str,
        path: &str,
        media_type: &str,
        body: Vec<u8>,
    ) -> reqwest::Result<(u16, Value)> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("{}{path}", self.url);
        let request = self.client.request(method, url).header("content-type", media_type).body(body);
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, "", Vec::new())
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, object: &Value) -> (u16, Value) {
        self.send("POST", path, "application/json", object.to_string().into_bytes())
    }

    #[track_caller]
    pub(crate) fn patch(&self, path: &str, object: &Value) -> (u16, Value) {
        self.send("PATCH", path, "application/merge-patch+json", object.to_string().into_bytes())
    }

    /// Approves a request.
    #[track_caller]
    pub(crate) fn approve(&self, name: &str) -> (u16, Value) {
        let condition = json!({"type": "Approved", "status": "True", "reason": "Test", "message": "tested"});
        self.patch(&format!("{CSRS}/{name}/approval"), &json!({"status": {"conditions": [condition]}}))
    }
}

/// Returns a CSR as PEM for a common name, and its key.
pub(crate) fn csr(common_name: &str) -> (String, PrivateKey) {
    let key = PrivateKey::generate(KeyKind::EcdsaP256).expect("a key");
    let signing = LocalKey::open(&key).expect("a key");
    (pem::write_request(&create_request(&signing, common_name, &[], Usage::Client).expect("a request")), key)
}

/// Returns a request as an object.
pub(crate) fn object(name: &str, csr: &str) -> Value {
    json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": <base64ct::Base64 as base64ct::Encoding>::encode_string(csr.as_bytes()),
            "signerName": "clusterctl.io/kubelet-client",
            "usages": ["digital signature", "client auth"],
        },
    })
}

/// Returns a request of a host with a new key.
pub(crate) fn request(name: &str, host: &str) -> Value {
    object(name, &csr(&format!("kubelet:{host}")).0)
}

/// Signs a CSR with the directory's CA by openssl, as a signer would.
pub(crate) fn signed(dir: &Path, csr: &str) -> String {
    let file = dir.join("to-sign.csr");
    fs::write(&file, csr).expect("written");
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-req", "-days", "1", "-CAcreateserial", "-in"]).arg(&file);
    openssl.arg("-CA").arg(dir.join("pki/ca.crt")).arg("-CAkey").arg(dir.join("pki/ca.key"));
    super::outside::stdout(&mut openssl)
}
