//! Connections between the hosts of a simulated cluster, all the time: of each node to each API server, and of each master to
//! each kubelet.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::cluster::Addresses;
use super::error::FakeClusterError;
use crate::cluster::spec::{Cluster, Host};
use crate::pki::certificate::Certificate;
use crate::pki::issuer::Credential;

/// The time limit of one connection.
const LIMIT: Duration = Duration::from_secs(10);
/// The time limit of a round of connections.
const ROUND: Duration = Duration::from_secs(60);
/// The pause between two rounds.
const PAUSE: Duration = Duration::from_millis(20);
/// The largest number of refusals that are kept.
const KEPT: usize = 20;
const REVIEW: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// A connection that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The host that connected.
    pub from: String,
    /// The server.
    pub to: SocketAddr,
    /// What happened.
    pub reason: String,
}

/// What was connected until now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// The number of connections that were accepted.
    pub accepted: usize,
    /// Those that were refused, at most 20.
    pub refused: Vec<Refused>,
}

/// Connections between all hosts, made by a thread that ends when this is dropped.
#[derive(Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// A pair of hosts.
struct Pair {
    from: String,
    to: SocketAddr,
    is_to_master: bool,
}

#[derive(Debug, Default)]
struct Shared {
    clients: RwLock<BTreeMap<String, Arc<ClientConfig>>>,
    is_stopped: AtomicBool,
    rounds: AtomicUsize,
    accepted: AtomicUsize,
    refused: Mutex<Vec<Refused>>,
}

impl Traffic {
    /// Starts to connect the hosts that have a client, round after round.
    #[must_use]
    pub fn start(cluster: &Cluster, addresses: &Addresses) -> Self {
        let shared = Arc::new(Shared::default());
        let pairs = pairs(cluster, addresses);
        let of_thread = shared.clone();
        let thread = std::thread::spawn(move || {
            while !of_thread.is_stopped() {
                for pair in &pairs {
                    of_thread.connect(pair);
                }
                of_thread.rounds.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(PAUSE);
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// Installs a client on a host: the credential that it presents, and the roots of the servers that it accepts.
    ///
    /// # Errors
    /// Returns an error if the credential cannot be presented.
    pub fn install(&self, host: &str, credential: &Credential, roots: &[Certificate]) -> Result<(), FakeClusterError> {
        let config = client(credential, roots)
            .map_err(|reason| FakeClusterError::Credential { host: host.to_owned(), reason: reason.to_string() })?;
        let mut clients = self.shared.clients.write().unwrap_or_else(PoisonError::into_inner);
        clients.insert(host.to_owned(), Arc::new(config));
        Ok(())
    }

    /// Waits until every pair was connected at least once more, and returns what was connected until now.
    #[must_use]
    pub fn round(&self) -> Connected {
        let (began, before) = (Instant::now(), self.shared.rounds.load(Ordering::Relaxed));
        // The thread may be in the middle of a round.
        while self.shared.rounds.load(Ordering::Relaxed) < before + 2 && began.elapsed() < ROUND {
            std::thread::sleep(PAUSE);
        }
        let refused = self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Connected { accepted: self.shared.accepted.load(Ordering::Relaxed), refused }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    fn connect(&self, pair: &Pair) {
        let client = self.clients.read().unwrap_or_else(PoisonError::into_inner).get(&pair.from).cloned();
        let Some(client) = client.filter(|_| !self.is_stopped()) else { return };
        match ask(client, pair) {
            Ok(()) => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
            }
            Err(reason) => {
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                if refused.len() < KEPT {
                    refused.push(Refused { from: pair.from.clone(), to: pair.to, reason: reason.to_string() });
                }
            }
        }
    }
}

fn pairs(cluster: &Cluster, addresses: &Addresses) -> Vec<Pair> {
    let pair = |from: &Host, to: &SocketAddr, is_to_master| Pair { from: from.name.to_string(), to: *to, is_to_master };
    let to_masters = cluster.nodes.iter().flat_map(|node| {
        let servers = addresses.masters.iter().chain([&addresses.endpoint]);
        servers.map(move |to| pair(node, to, true))
    });
    let to_nodes =
        cluster.masters.iter().flat_map(|master| addresses.nodes.iter().map(move |to| pair(master, to, false)));
    to_masters.chain(to_nodes).collect()
}

fn client(credential: &Credential, roots: &[Certificate]) -> Result<ClientConfig, rustls::Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.der().to_vec()))?;
    }
    let chain = credential.certificates().map(|one| CertificateDer::from(one.der().to_vec())).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(credential.key.expose_pkcs8().to_vec()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    builder.with_root_certificates(store).with_client_auth_cert(chain, key)
}

/// Makes one request on a new connection. It is refused unless the server is trusted, and answers with the status of a
/// client that it knows.
fn ask(client: Arc<ClientConfig>, pair: &Pair) -> std::io::Result<()> {
    let stream = TcpStream::connect_timeout(&pair.to, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let connection = ClientConnection::new(client, ServerName::IpAddress(pair.to.ip().into()));
    let connection = connection.map_err(std::io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    let (line, body, expected) = match pair.is_to_master {
        true => (format!("POST {REVIEW}"), "{}", "201"),
        false => ("GET /pods".to_owned(), "", "200"),
    };
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    tls.write_all(request.as_bytes())?;
    let mut answer = [0; 64];
    let read = tls.read(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    match answer.split(' ').nth(1) {
        Some(status) if status == expected => Ok(()),
        Some(status) => Err(std::io::Error::other(format!("HTTP {status}"))),
        None => Err(std::io::Error::other("no response")),
    }
}
