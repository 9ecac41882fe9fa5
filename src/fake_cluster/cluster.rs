//! The listeners and the connections: loopback addresses, TLS that asks for a client certificate without demanding one
//! (Go's `RequestClientCert`), and who a client is. What is answered is `answers`'s.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::answers::{self, AuthenticatedClient};
use super::injected_fault::InjectedFault;
use crate::cluster::name::HostName;
use crate::cluster::spec::{Cluster, Host};
use crate::pki::certificate::Certificate;
use crate::pki::chain::verify_chain;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::Credential;

/// The first master's address is 127.0.0.2, the first node's 127.0.0.11 (later when there are more than nine masters).
const FIRST_MASTER: u32 = Ipv4Addr::new(127, 0, 0, 2).to_bits();
const FIRST_NODE: u32 = Ipv4Addr::new(127, 0, 0, 11).to_bits();
/// What a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why there is no stand-in cluster.
#[derive(Debug, thiserror::Error)]
pub enum FakeClusterError {
    /// An address of loopback cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: IpAddr,
        /// Why.
        source: io::Error,
    },
    /// A certificate and its key cannot be served.
    #[error("the certificate of {host} cannot be served: {reason}")]
    Credential {
        /// Whose.
        host: String,
        /// Why.
        reason: String,
    },
    /// No threads or no event queue.
    #[error("the stand-in cluster cannot run: {0}")]
    Runtime(#[from] io::Error),
}

/// Listeners that are open and not served yet: their addresses have to be known before certificates are issued.
#[derive(Debug)]
pub struct Reserved {
    endpoint: StdListener,
    masters: Vec<StdListener>,
    nodes: Vec<StdListener>,
    addresses: Addresses,
}

/// Where the stand-in cluster listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The load balancer, on 127.0.0.1.
    pub endpoint: SocketAddr,
    /// From 127.0.0.2.
    pub masters: Vec<SocketAddr>,
    /// From 127.0.0.11.
    pub nodes: Vec<SocketAddr>,
}

/// What the stand-in cluster serves.
#[derive(Debug)]
pub struct Config {
    /// Who is in it: hosts in the order of the reserved listeners, and how accounts are called.
    pub cluster: Cluster,
    /// The roots that its servers trust.
    pub roots: Vec<Certificate>,
    /// The masters' serving credentials, in the cluster's order.
    pub masters: Vec<Credential>,
    /// The nodes' serving credentials, in the cluster's order.
    pub nodes: Vec<Credential>,
    /// What is broken. A fault of a certificate is served from `nodes`: see [`InjectedFault::serving_credential`].
    pub fault: Option<InjectedFault>,
    /// The time by which clients' certificates are judged.
    pub now: OffsetDateTime,
    /// How long the API servers take for each answer.
    pub answer_after: Duration,
}

/// A running stand-in cluster. It ends when it is dropped.
#[derive(Debug)]
pub struct FakeCluster {
    /// Where it listens.
    pub addresses: Addresses,
    runtime: Option<Runtime>,
    denied: Denied,
}

/// The certificates that the API servers deny.
type Denied = Arc<Mutex<BTreeSet<Fingerprint>>>;

/// Opens listeners on free ports of loopback.
///
/// # Errors
/// When an address cannot be listened on: systems other than Linux have to be given 127.0.0.2 and the rest first.
pub fn reserve(masters: usize, nodes: usize) -> Result<Reserved, FakeClusterError> {
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
    let (master_addresses, master_listeners) = many(FIRST_MASTER, masters)?;
    let behind_masters = FIRST_MASTER.saturating_add(u32::try_from(masters).unwrap_or(u32::MAX));
    let (node_addresses, node_listeners) = many(FIRST_NODE.max(behind_masters), nodes)?;
    let addresses = Addresses { endpoint: endpoint_address, masters: master_addresses, nodes: node_addresses };
    Ok(Reserved { endpoint, masters: master_listeners, nodes: node_listeners, addresses })
}

impl Reserved {
    /// Where the cluster will listen.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Begins to serve.
    ///
    /// # Errors
    /// When a credential cannot be served, or there are no threads.
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
            roots: config.roots,
            fault: config.fault,
            now: config.now,
            answer_after: config.answer_after,
            requests: AtomicUsize::new(0),
        });
        let behind: Arc<[TlsAcceptor]> = masters.clone().into();
        spawn(self.endpoint, behind, Service::ApiServer, &state)?;
        for (listener, acceptor) in self.masters.into_iter().zip(masters) {
            spawn(listener, Arc::new([acceptor]), Service::ApiServer, &state)?;
        }
        for (i, (listener, acceptor)) in self.nodes.into_iter().zip(nodes).enumerate() {
            let service = Service::Kubelet(state.fault.filter(|_| i == broken));
            spawn(listener, Arc::new([acceptor]), service, &state)?;
        }
        drop(guard);
        Ok(FakeCluster { addresses: self.addresses, runtime: Some(runtime), denied })
    }
}

impl FakeCluster {
    /// Has the API servers deny these certificates and no others, as when a new authorization.yaml has come to them.
    pub fn deny(&self, certificates: impl IntoIterator<Item = Fingerprint>) {
        *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = certificates.into_iter().collect();
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // All tasks end at their next await; no client is waited for.
            runtime.shutdown_background();
        }
    }
}

/// What all connections share.
pub(super) struct ServerState {
    pub(super) cluster: Cluster,
    /// The nodes by their accounts' users.
    pub(super) users: HashMap<String, HostName>,
    roots: Vec<Certificate>,
    pub(super) fault: Option<InjectedFault>,
    pub(super) now: OffsetDateTime,
    answer_after: Duration,
    pub(super) requests: AtomicUsize,
    denied: Denied,
}

/// What a listener is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    ApiServer,
    /// With the fault that is its own.
    Kubelet(Option<InjectedFault>),
}

/// What terminates TLS for each of `hosts`; the one at `rsa_only` takes RSA signatures of its clients and no others.
fn serving(
    credentials: &[Credential],
    hosts: &[String],
    rsa_only: Option<usize>,
) -> Result<Vec<TlsAcceptor>, FakeClusterError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let make = |(i, (credential, host)): (usize, (&Credential, &String))| {
        let failed =
            |error: rustls::Error| FakeClusterError::Credential { host: host.clone(), reason: error.to_string() };
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(credential.key.expose_pkcs8()));
        let key = any_supported_type(&der).map_err(failed)?;
        let chain: Vec<_> = credential.certificates().map(|sent| CertificateDer::from(sent.der().to_vec())).collect();
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_client_cert_verifier(Arc::new(AskAndTake {
                provider: provider.clone(),
                rsa_only: rsa_only == Some(i),
            }))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.send_tls13_tickets = 0;
        Ok(TlsAcceptor::from(Arc::new(config)))
    };
    credentials.iter().zip(hosts).enumerate().map(make).collect()
}

/// Accepts for ever, taking the acceptors in turn: several stand behind a load balancer.
fn spawn(
    listener: StdListener,
    acceptors: Arc<[TlsAcceptor]>,
    service: Service,
    state: &Arc<ServerState>,
) -> Result<(), FakeClusterError> {
    let listener = TcpListener::from_std(listener)?;
    let state = state.clone();
    tokio::spawn(async move {
        for turn in 0.. {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                // Out of file descriptors, most likely: others will be closed.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            let Some(acceptor) = acceptors.get(turn % acceptors.len().max(1)).cloned() else { return };
            tokio::spawn(connection(stream, acceptor, service, state.clone()));
        }
    });
    Ok(())
}

async fn connection(mut stream: TcpStream, acceptor: TlsAcceptor, service: Service, state: Arc<ServerState>) {
    // Answers are small; a failure only makes them slower.
    let _ = stream.set_nodelay(true);
    if service == Service::Kubelet(Some(InjectedFault::Plaintext)) {
        return serve(stream, None, service, state).await;
    }
    let mut first = [0];
    match timeout(HANDSHAKE, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first[0] == 0x16 => {}
        Ok(Ok(1)) => {
            // As Go's crypto/tls and net/http do (recorded). A client that has gone does not mind.
            let _ = stream.write_all(answers::PLAIN_HTTP).await;
            let _ = stream.shutdown().await;
            return;
        }
        _ => return,
    }
    let Ok(Ok(tls)) = timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
    let client = tls.get_ref().1.peer_certificates().and_then(|chain| state.authenticate(chain, service));
    serve(tls, client, service, state).await;
}

async fn serve<S>(stream: S, client: Option<AuthenticatedClient>, service: Service, state: Arc<ServerState>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let client = Arc::new(client);
    let on_this_connection = Arc::new(AtomicUsize::new(0));
    let respond = service_fn(move |request: hyper::Request<Incoming>| {
        let (state, client) = (state.clone(), client.clone());
        let before = on_this_connection.fetch_add(1, Ordering::Relaxed);
        async move {
            state.requests.fetch_add(1, Ordering::Relaxed);
            let answer = match service {
                Service::ApiServer => {
                    tokio::time::sleep(state.answer_after).await;
                    answers::api_server(&state, client.as_ref().as_ref(), request).await
                }
                Service::Kubelet(fault) => answers::kubelet(client.as_ref().as_ref(), fault, before, &request),
            };
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    // A client that breaks off is its own affair.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), respond).await;
}

impl ServerState {
    /// Whether the API servers deny a certificate.
    pub(super) fn denies(&self, certificate: Fingerprint) -> bool {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        self.fault != Some(InjectedFault::NotReloaded) && denied.contains(&certificate)
    }

    /// Who a certificate stands for, as Go's x509 and Kubernetes's `x509.CommonNameUserConversion` see it: a chain to the
    /// root, all of it in date (the root too), fit for clients.
    fn authenticate(&self, chain: &[CertificateDer<'_>], service: Service) -> Option<AuthenticatedClient> {
        let parsed: Vec<Certificate> =
            chain.iter().map(|der| Certificate::from_der(der.to_vec())).collect::<Result<_, _>>().ok()?;
        let (leaf, between) = parsed.split_first()?;
        let believed = match (service, self.fault) {
            (Service::ApiServer, Some(InjectedFault::AnyCaMaster))
            | (Service::Kubelet(Some(InjectedFault::RsaOnlyNode)), _) => true,
            (Service::Kubelet(Some(InjectedFault::SelfSignedNode)), _) => leaf.issuer.der == leaf.subject.der,
            _ => false,
        };
        let in_date = |cert: &Certificate| (cert.not_before..=cert.not_after).contains(&self.now);
        let roots: Vec<Certificate> = self.roots.iter().filter(|root| in_date(root)).cloned().collect();
        if !believed {
            verify_chain(leaf, between, &roots).ok()?;
        }
        let fit = leaf.has_extended_usage("clientAuth") || leaf.has_extended_usage("anyExtendedKeyUsage");
        (in_date(leaf) && !roots.is_empty() && fit).then(|| AuthenticatedClient {
            user: leaf.account().user,
            groups: leaf.subject.organizations.clone(),
            credential: leaf.fingerprint(),
        })
    }
}

/// Asks for a certificate, takes any or none, and checks only that whoever shows one holds its key.
#[derive(Debug)]
struct AskAndTake {
    provider: Arc<CryptoProvider>,
    rsa_only: bool,
}

impl ClientCertVerifier for AskAndTake {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.provider.signature_verification_algorithms.supported_schemes();
        if self.rsa_only {
            schemes.retain(|scheme| format!("{scheme:?}").starts_with("RSA_"));
        }
        schemes
    }
}
