//! The listeners and connections of the simulated cluster, on loopback addresses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::error::FakeClusterError;
use super::injected_fault::InjectedFault;
use super::installed::{Installed, Slot, acceptor};
use super::state::{AuthenticatedClient, Denied, ServerState, Service};
use super::tls::serving;
use super::{api_server, kubelet, response};
use crate::cluster::spec::{Cluster, Host};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::Credential;
use crate::pki::token_rotation::key_id;

/// The first master's address is 127.0.0.2, the first node's 127.0.0.11 (later if there are more than nine masters).
const FIRST_MASTER: u32 = Ipv4Addr::new(127, 0, 0, 2).to_bits();
const FIRST_NODE: u32 = Ipv4Addr::new(127, 0, 0, 11).to_bits();
/// The time limit of a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Open listeners that are not served yet. Their addresses have to be known before certificates are issued.
#[derive(Debug)]
pub struct Reserved {
    endpoint: StdListener,
    masters: Vec<StdListener>,
    nodes: Vec<StdListener>,
    addresses: Addresses,
}

/// The addresses of a simulated cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The load balancer, on 127.0.0.1.
    pub endpoint: SocketAddr,
    /// From 127.0.0.2.
    pub masters: Vec<SocketAddr>,
    /// From 127.0.0.11.
    pub nodes: Vec<SocketAddr>,
}

/// The configuration of a simulated cluster.
#[derive(Debug)]
pub struct Config {
    /// The cluster, with its hosts in the order of the reserved listeners.
    pub cluster: Cluster,
    /// The CAs that its servers trust at the start.
    pub roots: Vec<Certificate>,
    /// The CAs of front proxies that its API servers trust at the start.
    pub proxy_roots: Vec<Certificate>,
    /// The masters' serving credentials, in the cluster's order.
    pub masters: Vec<Credential>,
    /// The nodes' serving credentials, in the cluster's order.
    pub nodes: Vec<Credential>,
    /// The injected fault. A faulty certificate is in `nodes`: see [`InjectedFault::serving_credential`].
    pub fault: Option<InjectedFault>,
    /// The time at which client certificates are verified.
    pub now: OffsetDateTime,
    /// The delay of each response of an API server.
    pub answer_after: Duration,
}

/// A running simulated cluster, which stops when it is dropped.
#[derive(Debug)]
pub struct FakeCluster {
    /// Its addresses.
    pub addresses: Addresses,
    runtime: Option<Runtime>,
    denied: Denied,
    /// What is installed on each host.
    slots: HashMap<String, Slot>,
}

/// Opens listeners on free ports of loopback.
///
/// # Errors
/// Returns an error if an address cannot be listened on; systems other than Linux need 127.0.0.2 and the following first.
pub fn reserve(masters: usize, nodes: usize) -> Result<Reserved, FakeClusterError> {
    reserve_from(Ipv4Addr::from_bits(FIRST_MASTER), masters, nodes)
}

/// Like [`reserve`], with another address of the first master, which the others follow.
///
/// # Errors
/// Returns the errors of [`reserve`].
pub fn reserve_from(first: Ipv4Addr, masters: usize, nodes: usize) -> Result<Reserved, FakeClusterError> {
    let listen = |ip: IpAddr| {
        let listener = StdListener::bind((ip, 0)).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        listener.map_err(|source| FakeClusterError::Listen { address: ip, source })
    };
    let many = |first: u32, count: usize| -> Result<(Vec<SocketAddr>, Vec<StdListener>), FakeClusterError> {
        let ips = (first..).take(count).map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
        Ok(ips.map(listen).collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
    };
    let (endpoint_address, endpoint) = listen(Ipv4Addr::LOCALHOST.into())?;
    let (master_addresses, master_listeners) = many(first.to_bits(), masters)?;
    let after_masters = first.to_bits().saturating_add(u32::try_from(masters).unwrap_or(u32::MAX));
    let (node_addresses, node_listeners) = many(FIRST_NODE.max(after_masters), nodes)?;
    let addresses = Addresses { endpoint: endpoint_address, masters: master_addresses, nodes: node_addresses };
    Ok(Reserved { endpoint, masters: master_listeners, nodes: node_listeners, addresses })
}

impl Reserved {
    /// Returns the addresses of the cluster.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Returns these listeners again, those of the nodes in another selection and order: for one cluster after another at
    /// the same addresses. Those that do not exist are left out.
    ///
    /// # Errors
    /// Returns an error if the system has no descriptors left.
    pub fn select(&self, nodes: &[usize]) -> std::io::Result<Self> {
        let nodes: Vec<usize> = nodes.iter().copied().filter(|node| *node < self.nodes.len()).collect();
        Ok(Self {
            endpoint: self.endpoint.try_clone()?,
            masters: self.masters.iter().map(StdListener::try_clone).collect::<Result<_, _>>()?,
            nodes: nodes.iter().map(|node| self.nodes[*node].try_clone()).collect::<Result<_, _>>()?,
            addresses: Addresses {
                nodes: nodes.iter().map(|node| self.addresses.nodes[*node]).collect(),
                ..self.addresses.clone()
            },
        })
    }

    /// Starts the servers.
    ///
    /// # Errors
    /// Returns an error if a credential cannot be served, or the runtime cannot start.
    pub fn start(self, config: Config) -> Result<FakeCluster, FakeClusterError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let guard = runtime.enter();
        let names = |hosts: &[Host]| -> Vec<String> { hosts.iter().map(|host| host.name.to_string()).collect() };
        let (master_names, node_names) = (names(&config.cluster.masters), names(&config.cluster.nodes));
        let broken = InjectedFault::node(node_names.len());
        let rsa_only = (config.fault == Some(InjectedFault::RsaOnlyNode)).then_some(broken);
        let masters = serving(&config.masters, &master_names, None)?;
        let nodes = serving(&config.nodes, &node_names, rsa_only)?;
        let account = |node: &Host| (config.cluster.accounts.account(&node.name).user, node.name.clone());
        let denied = Denied::default();
        let state = Arc::new(ServerState {
            denied: denied.clone(),
            users: config.cluster.nodes.iter().map(account).collect(),
            cluster: config.cluster,
            fault: config.fault,
            now: config.now,
            answer_after: config.answer_after,
            requests: AtomicUsize::new(0),
        });
        let slots = |acceptors: Vec<TlsAcceptor>| -> Vec<Slot> {
            acceptors.into_iter().map(|acceptor| Slot::new(acceptor, &config.roots, &config.proxy_roots)).collect()
        };
        let (masters, nodes) = (slots(masters), slots(nodes));
        let by_name = |names: Vec<String>, slots: &[Slot]| names.into_iter().zip(slots.to_vec()).collect::<Vec<_>>();
        let slots = by_name(master_names, &masters).into_iter().chain(by_name(node_names, &nodes)).collect();
        let all_masters: Arc<[Slot]> = masters.clone().into();
        spawn(self.endpoint, all_masters, Service::ApiServer, &state)?;
        for (listener, slot) in self.masters.into_iter().zip(masters) {
            spawn(listener, Arc::new([slot]), Service::ApiServer, &state)?;
        }
        for (i, (listener, slot)) in self.nodes.into_iter().zip(nodes).enumerate() {
            let service = Service::Kubelet(state.fault.filter(|_| i == broken));
            spawn(listener, Arc::new([slot]), service, &state)?;
        }
        drop(guard);
        Ok(FakeCluster { addresses: self.addresses, runtime: Some(runtime), denied, slots })
    }
}

impl FakeCluster {
    /// Makes the API servers deny exactly these certificates, as a new authorization.yaml does.
    pub fn deny(&self, certificates: impl IntoIterator<Item = Fingerprint>) {
        *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = certificates.into_iter().collect();
    }

    /// Installs a serving credential and a trust file on a host, as a program that reads its files again does: new
    /// connections get them, and others go on.
    ///
    /// # Errors
    /// Returns an error if the credential cannot be served. An unknown host is not an error.
    pub fn install(&self, host: &str, credential: &Credential, roots: &[Certificate]) -> Result<(), FakeClusterError> {
        if let Some(slot) = self.slots.get(host) {
            slot.replace(acceptor(host, credential)?, roots);
        }
        Ok(())
    }

    /// Makes the API server of a master publish these keys of service accounts, as after a restart with another
    /// `--service-account-key-file`.
    pub fn publish_token_keys(&self, master: &str, keys: impl IntoIterator<Item = Fingerprint>) {
        if let Some(slot) = self.slots.get(master) {
            slot.replace_token_keys(keys.into_iter().map(key_id).collect());
        }
    }

    /// Makes the API server of a master believe the headers of front proxies of these CAs, and of no others.
    pub fn trust_proxies(&self, master: &str, roots: &[Certificate]) {
        if let Some(slot) = self.slots.get(master) {
            slot.replace_proxy_roots(roots);
        }
    }

    /// Stops it, and waits until it accepts no connection.
    pub fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(HANDSHAKE);
        }
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // All tasks end at their next await; connections are not drained.
            runtime.shutdown_background();
        }
    }
}

/// Accepts connections for the hosts in turn; a load balancer has several.
fn spawn(
    listener: StdListener,
    slots: Arc<[Slot]>,
    service: Service,
    state: &Arc<ServerState>,
) -> Result<(), FakeClusterError> {
    let listener = TcpListener::from_std(listener)?;
    let state = state.clone();
    tokio::spawn(async move {
        for turn in 0.. {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                // Probably the file descriptors are exhausted: wait until others are closed.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            let Some(slot) = slots.get(turn % slots.len().max(1)) else { return };
            tokio::spawn(connection(stream, slot.get(), service, state.clone()));
        }
    });
    Ok(())
}

async fn connection(mut stream: TcpStream, installed: Installed, service: Service, state: Arc<ServerState>) {
    // Responses are small; a failure only makes them slower.
    let _ = stream.set_nodelay(true);
    if service == Service::Kubelet(Some(InjectedFault::Plaintext)) {
        return serve(stream, Peer::default(), service, state).await;
    }
    let mut first = [0];
    match timeout(HANDSHAKE, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first[0] == 0x16 => {}
        Ok(Ok(1)) => {
            // As Go's crypto/tls and net/http respond (recorded). The client may have disconnected.
            let _ = stream.write_all(response::PLAIN_HTTP).await;
            let _ = stream.shutdown().await;
            return;
        }
        _ => return,
    }
    let Ok(Ok(tls)) = timeout(HANDSHAKE, installed.acceptor.accept(stream)).await else { return };
    let chain = tls.get_ref().1.peer_certificates();
    let client = chain.and_then(|chain| state.authenticate(chain, service, &installed.roots));
    let is_proxy = chain.is_some_and(|chain| state.is_front_proxy(chain, service, &installed.proxy_roots));
    let token_keys = installed.token_keys.clone();
    serve(tls, Peer { client, is_proxy, token_keys }, service, state).await;
}

/// Who is at the other end of a connection, and what it may learn.
#[derive(Default)]
struct Peer {
    client: Option<AuthenticatedClient>,
    /// Whether an API server believes its headers.
    is_proxy: bool,
    token_keys: Arc<[String]>,
}

async fn serve<S>(stream: S, peer: Peer, service: Service, state: Arc<ServerState>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, is_proxy, token_keys) = (Arc::new(peer.client), peer.is_proxy, peer.token_keys);
    let requests_on_connection = Arc::new(AtomicUsize::new(0));
    let respond = service_fn(move |request: hyper::Request<Incoming>| {
        let (state, client, token_keys) = (state.clone(), client.clone(), token_keys.clone());
        let before = requests_on_connection.fetch_add(1, Ordering::Relaxed);
        async move {
            state.requests.fetch_add(1, Ordering::Relaxed);
            let response = match service {
                Service::ApiServer => {
                    tokio::time::sleep(state.answer_after).await;
                    let named = is_proxy.then(|| AuthenticatedClient::named_by(request.headers())).flatten();
                    let client = named.as_ref().or(client.as_ref().as_ref());
                    api_server::respond(&state, client, &token_keys, request).await
                }
                Service::Kubelet(fault) => kubelet::respond(client.as_ref().as_ref(), fault, before, &request),
            };
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    // The client may disconnect.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), respond).await;
}
