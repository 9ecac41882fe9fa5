//! A simulated cluster whose hosts have what their bundles install, and a prober that connects every pair of hosts all the
//! time.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use clusterctl::bundle::archive;
use clusterctl::bundle::model::Bundle;
use clusterctl::fake_cluster::cluster::{Addresses, FakeCluster};
use clusterctl::pki::certificate::Certificate;
use clusterctl::pki::issuer::Credential;
use clusterctl::pki::key::PrivateKey;
use clusterctl::pki::pem;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::Lab;
use super::encryption::age_opens;

/// The file of the identity of age that opens encrypted bundles.
pub(crate) const IDENTITY: &str = "identity";
const CA: &str = "etc/kubernetes/pki/ca.crt";
const REVIEW: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// The files of a bundle, by their paths.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Returns the files of a host's bundle, without those about the bundle itself.
pub(crate) fn bundle_files(lab: &Lab, host: &str) -> Files {
    let name = format!("bundles/{host}.tar.gz");
    let bytes = match lab.path(&name).exists() {
        true => std::fs::read(lab.path(&name)).expect("a bundle"),
        false => age_opens(lab, &format!("{name}.age"), IDENTITY).expect("an encrypted bundle"),
    };
    let bundle: Bundle = archive::read(&bytes).expect("a bundle");
    let of_bundle = |path: &str| path.starts_with("manifest.");
    let files = bundle.files.iter().filter(|file| !of_bundle(&file.path));
    files.map(|file| (file.path.to_string(), file.bytes.to_vec())).collect()
}

/// Returns the programs that read a file only when they start which the present bundle of a host has otherwise.
pub(crate) fn restarted_by(lab: &Lab, host: &str, before: &Files) -> BTreeSet<String> {
    let bytes = std::fs::read(lab.path(&format!("bundles/{host}.tar.gz"))).expect("a bundle");
    let bundle: Bundle = archive::read(&bytes).expect("a bundle");
    let (after, mut found) = (bundle_files(lab, host), BTreeSet::new());
    for line in &bundle.manifest.restarts {
        let mut words = line.split(' ');
        let program = words.next().expect("a program");
        if words.any(|path| before.get(path) != after.get(path)) {
            found.insert(program.to_owned());
        }
    }
    found
}

fn credential(files: &Files, path: &str) -> Credential {
    let ders = pem::certificates(&files[&format!("{path}.crt")]).expect("certificates");
    let mut read = ders.into_iter().map(|der| Certificate::from_der(der).expect("a certificate"));
    let certificate = read.next().expect("a certificate");
    let key = PrivateKey::from_pem(&files[&format!("{path}.key")]).expect("a key");
    Credential { certificate, chain: read.collect(), key }
}

fn roots(files: &Files) -> Vec<Certificate> {
    roots_in(files, CA)
}

/// Returns the roots of a trust file.
pub(crate) fn roots_in(files: &Files, path: &str) -> Vec<Certificate> {
    let ders = pem::certificates(&files[path]).expect("roots");
    ders.into_iter().map(|der| Certificate::from_der(der).expect("a root")).collect()
}

/// A client of a host: whom it trusts, and what it presents.
#[derive(Clone)]
struct Client(Arc<ClientConfig>);

impl Client {
    fn of(files: &Files, path: &str) -> Self {
        let credential = credential(files, path);
        let chain = credential.certificates().map(|one| CertificateDer::from(one.der().to_vec())).collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(credential.key.expose_pkcs8().to_vec()));
        Self::new(&roots(files), chain, key)
    }

    fn new(roots: &[Certificate], chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(CertificateDer::from(root.der().to_vec())).expect("a root");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(store)
            .with_client_auth_cert(chain, key)
            .expect("a client certificate");
        Self(Arc::new(config))
    }

    /// Returns the status of the response, and its body.
    fn ask(&self, to: SocketAddr, request: &str) -> Result<(u16, String), String> {
        self.ask_with(to, request, "")
    }

    /// Like [`Self::ask`], with more lines in the head of the request.
    fn ask_with(&self, to: SocketAddr, request: &str, more: &str) -> Result<(u16, String), String> {
        let failed = |error: &dyn std::fmt::Display| error.to_string();
        let stream = TcpStream::connect_timeout(&to, Duration::from_secs(10)).map_err(|error| failed(&error))?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(|error| failed(&error))?;
        let connection = ClientConnection::new(self.0.clone(), ServerName::IpAddress(to.ip().into()));
        let mut tls = StreamOwned::new(connection.map_err(|error| failed(&error))?, stream);
        let (method, body) = if request == REVIEW { ("POST", "{}") } else { ("GET", "") };
        let text = format!(
            "{method} {request} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             {more}Connection: close\r\n\r\n{body}",
            body.len()
        );
        tls.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
        let mut answer = Vec::new();
        // The server may close without close_notify.
        let _ = tls.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.ok_or_else(|| format!("no response: {answer:?}"))?, answer))
    }
}

/// Asks an API server who the client is, as the client with this certificate that names another user in a header. Returns
/// true if the server believes it, false if it refuses the client or calls it otherwise.
pub(crate) fn is_believed(files: &Files, pair: &str, to: SocketAddr) -> bool {
    let answer = Client::of(files, pair).ask_with(to, REVIEW, "X-Remote-User: somebody\r\n");
    let (status, answer) = answer.unwrap_or_else(|error| panic!("{pair} -> {to}: {error}"));
    status == 201 && answer.contains("\"somebody\"")
}

/// The clients that are installed on hosts.
type Clients = Arc<RwLock<BTreeMap<String, Client>>>;

/// The hosts of a cluster with what is installed on them.
pub(crate) struct Hosts {
    clients: Clients,
    addresses: Addresses,
}

impl Hosts {
    pub(crate) fn new(addresses: Addresses) -> Self {
        Self { clients: Clients::default(), addresses }
    }

    /// Installs a host's bundle, as install.sh and the programs that read their files again do.
    pub(crate) fn install(&self, running: &FakeCluster, host: &str, files: &Files) {
        let (server, client) = match host.starts_with("master") {
            true => ("etc/kubernetes/pki/apiserver", "etc/kubernetes/pki/apiserver-kubelet-client"),
            false => ("var/lib/kubelet/pki/kubelet-server", "var/lib/kubelet/pki/kubelet-client"),
        };
        running.install(host, &credential(files, server), &roots(files)).expect("installed");
        let client = Client::of(files, client);
        self.clients.write().expect("a lock").insert(host.to_owned(), client);
    }

    /// Starts a thread that connects every pair of hosts, round after round.
    pub(crate) fn probe(&self, root: &Certificate) -> Prober {
        let shared = Arc::new(Shared::default());
        let threads = (0..HALVES).map(|half| {
            let (clients, shared) = (self.clients.clone(), shared.clone());
            let all: Vec<Pair> = pairs(&self.addresses).into_iter().skip(half).step_by(HALVES).collect();
            let intruders = intruders(root);
            std::thread::spawn(move || {
                while !shared.stop.load(Ordering::Relaxed) {
                    let asked = shared.asked.load(Ordering::SeqCst);
                    if shared.round(&all, &intruders, &clients, asked) {
                        shared.done[half].store(asked, Ordering::SeqCst);
                    }
                }
            })
        });
        let threads = threads.collect();
        Prober { shared, threads }
    }
}

/// A client with any credential that trusts every server.
pub(crate) struct Outsider(Client);

impl Outsider {
    pub(crate) fn new(credential: &Credential) -> Self {
        let chain = credential.certificates().map(|one| CertificateDer::from(one.der().to_vec())).collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(credential.key.expose_pkcs8().to_vec()));
        Self(AnyServer::client(chain, key))
    }

    /// Returns the statuses with which API servers and kubelets answer; `None` where there is no answer.
    pub(crate) fn answers(&self, hosts: &Hosts) -> (Vec<Option<u16>>, Vec<Option<u16>>) {
        let ask = |to: &SocketAddr, request| self.0.ask(*to, request).ok().map(|(status, _)| status);
        let masters = hosts.addresses.masters.iter().map(|to| ask(to, REVIEW)).collect();
        (masters, hosts.addresses.nodes.iter().map(|to| ask(to, "/pods")).collect())
    }
}

/// The number of threads, which share the pairs.
const HALVES: usize = 2;
/// The pause after a connection while no test waits for a round, so that what is tested gets the machine.
const PAUSE: Duration = Duration::from_millis(5);

/// What the threads of a prober have in common.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// The number of rounds that were asked for.
    asked: AtomicUsize,
    /// The newest of them that each thread has completed.
    done: [AtomicUsize; HALVES],
    connections: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Shared {
    /// Connects every pair, and every intruder. Returns false if another round was asked for meanwhile, which begins anew.
    fn round(&self, all: &[Pair], intruders: &[(&'static str, Client)], clients: &Clients, asked: usize) -> bool {
        let is_over = || self.stop.load(Ordering::Relaxed) || self.asked.load(Ordering::SeqCst) != asked;
        let pause = || {
            if self.done.iter().all(|done| done.load(Ordering::SeqCst) == asked) {
                std::thread::sleep(PAUSE);
            }
        };
        for (from, to, request, right) in all {
            let client = clients.read().expect("a lock").get(from).cloned();
            let Some(client) = client else { continue };
            self.connections.fetch_add(1, Ordering::Relaxed);
            match client.ask(*to, request) {
                Ok((status, _)) if status == *right => {}
                other => self.wrong(format!("{from} -> {to}: refused: {other:?}")),
            }
            if is_over() {
                return false;
            }
            pause();
        }
        for (name, intruder) in intruders {
            for (_, to, request, right) in all.iter().step_by(7) {
                if let Ok((status, answer)) = intruder.ask(*to, request)
                    && (status == *right || answer.contains("clusterctl:"))
                {
                    self.wrong(format!("{name} -> {to}: accepted: {status}"));
                }
                if is_over() {
                    return false;
                }
                pause();
            }
        }
        true
    }

    fn wrong(&self, what: String) {
        self.wrong.lock().expect("a lock").push(what);
    }
}

/// The client, the server's address, the request, and the status of a right client.
type Pair = (String, SocketAddr, &'static str, u16);

/// Returns every pair of hosts.
fn pairs(addresses: &Addresses) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for node in 1..=addresses.nodes.len() {
        for master in addresses.masters.iter().chain([&addresses.endpoint]) {
            pairs.push((format!("node-{node}"), *master, REVIEW, 201));
        }
    }
    for master in 1..=addresses.masters.len() {
        for node in &addresses.nodes {
            pairs.push((format!("master-{master}"), *node, "/pods", 200));
        }
    }
    pairs
}

/// Returns clients of another CA, with the root's name, under the names of the right clients.
fn intruders(root: &Certificate) -> Vec<(&'static str, Client)> {
    let account = |user: &str, group: &str| {
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, root.account().user);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().expect("a key")).expect("a CA");
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name.push(DnType::CommonName, user);
        leaf.distinguished_name.push(DnType::OrganizationName, group);
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let leaf = leaf.signed_by(&key, &ca).expect("a certificate");
        let chain = vec![leaf.der().clone(), ca.der().clone()];
        AnyServer::client(chain, PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    };
    vec![
        ("an API server of another CA", account("kube-apiserver-kubelet-client", "")),
        ("a node of another CA", account("kubelet:node-1", "kubelets")),
    ]
}

/// Accepts any server: intruders trust everybody.
#[derive(Debug)]
struct AnyServer;

impl AnyServer {
    fn client(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Client {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Self))
            .with_client_auth_cert(chain, key)
            .expect("a client certificate");
        Client(Arc::new(config))
    }
}

impl rustls::client::danger::ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Threads that connect every pair of hosts.
pub(crate) struct Prober {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Prober {
    /// Waits until every pair was connected once more, and returns what was wrong until now.
    pub(crate) fn round(&self) -> Vec<String> {
        let asked = self.shared.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let is_done = |done: &AtomicUsize| done.load(Ordering::SeqCst) >= asked;
        while !self.shared.done.iter().all(is_done) && self.threads.iter().all(|thread| !thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.shared.wrong.lock().expect("a lock").clone()
    }

    /// Stops, and returns the number of connections and what was wrong.
    pub(crate) fn stop(self) -> (usize, Vec<String>) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no panic");
        }
        let wrong = self.shared.wrong.lock().expect("a lock").clone();
        (self.shared.connections.load(Ordering::Relaxed), wrong)
    }
}
