//! The bootstrap endpoint: signed records of clusters, by id. It can withhold a record, and cannot forge one.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use base64ct::{Base64, Encoding};
use hyper::server::conn::http1;
use hyper::{HeaderMap, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::clock::Clock;
use super::sources::Sources;
use super::tls::PROTOCOL;
use crate::enrol::record::{MAX_RECORD, Record, RecordError, registration_message};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem::{self, Item};
use crate::pki::public_key::PublicKey;
use crate::store::error::StoreError;
use crate::store::lock::Lock;
use crate::store::registrations::BootstrapFolder;

/// The header with the id of a registration token.
const TOKEN_HEADER: &str = "x-clusterctl-token";
/// The header with the signature by a registration token.
const SIGNATURE_HEADER: &str = "x-clusterctl-signature";
/// The time limit of a handshake and of a request's head.
const LIMIT: Duration = Duration::from_secs(10);
/// The time limit of a whole connection.
const LONGEST: Duration = Duration::from_secs(120);
/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// The largest number of open connections.
const CONNECTIONS: usize = 4096;

/// Errors of a bootstrap endpoint.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The certificate or the key cannot be used.
    #[error("TLS cannot be configured: {0}")]
    Tls(String),
    /// The address cannot be listened on, or the system has no resources.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: std::io::Error,
    },
    /// Another server uses the folder.
    #[error("another bootstrap endpoint uses {}", .0.display())]
    InUse(PathBuf),
    /// The file with the registration tokens is damaged.
    #[error("{} is damaged: it is no list of registration tokens", .0.display())]
    Damaged(PathBuf),
}

struct Shared {
    folder: BootstrapFolder,
    /// Held as long as it runs.
    _lock: Lock,
    clock: Clock,
    /// One change at a time, so that the number of a record grows.
    change: Mutex<()>,
    given: AtomicU64,
    unknown: AtomicU64,
    announced: AtomicU64,
    refused: AtomicU64,
}

/// A running bootstrap endpoint, which stops when it is dropped.
#[derive(Debug)]
pub struct Bootstrap {
    /// The address that it listens on.
    pub address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Bootstrap {
    /// Starts an endpoint with a certificate chain and its key, both PEM, and a folder with its lock. One address has at most
    /// `of_address` connections.
    ///
    /// # Errors
    /// Returns an error if the certificate cannot be used, or the address cannot be listened on.
    pub fn start(
        listen: SocketAddr,
        chain: &[u8],
        key: &[u8],
        (folder, lock): (BootstrapFolder, Lock),
        of_address: usize,
        clock: Clock,
    ) -> Result<Self, BootstrapError> {
        let acceptor = TlsAcceptor::from(Arc::new(config(chain, key).map_err(BootstrapError::Tls)?));
        let failed = |source| BootstrapError::Listen { address: listen, source };
        let listener = StdListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
        let shared = Arc::new(Shared {
            folder,
            _lock: lock,
            clock,
            change: Mutex::new(()),
            given: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            announced: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let guard = runtime.enter();
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        drop(guard);
        runtime.spawn(accept(listener, acceptor, router(shared), of_address));
        Ok(Self { address, runtime: Some(runtime) })
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(2));
        }
    }
}

fn config(chain: &[u8], key: &[u8]) -> Result<ServerConfig, String> {
    let chain = pem::certificates(chain).map_err(|error| error.to_string())?;
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let key = pem::read_all(key).map_err(|error| error.to_string())?.into_iter().find_map(|item| match item {
        Item::Key(_, secret) => Some(secret),
        _ => None,
    });
    let key = key.ok_or_else(|| "there is no unencrypted private key".to_owned())?;
    let der = PrivateKeyDer::try_from(key.expose()).map_err(ToOwned::to_owned)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, der.clone_key())
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(config)
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, router: Router, of_address: usize) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let sources = Sources::new(of_address);
    loop {
        let Ok((stream, address)) = listener.accept().await else {
            // Probably the file descriptors are exhausted: wait until others are closed.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let Some(place) = sources.place(address.ip()) else { continue };
        let Ok(slot) = slots.clone().try_acquire_owned() else { continue };
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            let _ = timeout(LONGEST, connection(stream, acceptor, router)).await;
            drop((slot, place));
        });
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, router: Router) {
    // Answers are small; a failure only makes them slower.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(tls)) = timeout(LIMIT, acceptor.accept(stream)).await else { return };
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(LIMIT).max_buf_size(MAX_HEAD).max_headers(64);
    // The client may disconnect.
    let _ = builder.serve_connection(TokioIo::new(tls), TowerToHyperService::new(router)).await;
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/clusterctl/v1/clusters/{id}", get(give).put(announce))
        .route("/clusterctl/v1/clusters/{id}/registration", put(register))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(MAX_RECORD))
        .with_state(shared)
}

fn refused(shared: &Shared, status: StatusCode, message: &str) -> Response {
    shared.refused.fetch_add(1, Ordering::Relaxed);
    let body =
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": status.as_u16()});
    (status, axum::Json(body)).into_response()
}

/// Answers to a body that is too large, or cannot be read.
fn unread(shared: &Shared, rejection: &BytesRejection) -> Response {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            refused(shared, StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {MAX_RECORD} bytes"))
        }
        status => refused(shared, status, "the body cannot be read"),
    }
}

fn id_of(text: &str) -> Option<Fingerprint> {
    text.strip_prefix("sha256:").and_then(Fingerprint::parse)
}

async fn no_such_path(State(shared): State<Arc<Shared>>) -> Response {
    refused(&shared, StatusCode::NOT_FOUND, "there is nothing at this path")
}

async fn no_such_method(State(shared): State<Arc<Shared>>) -> Response {
    refused(&shared, StatusCode::METHOD_NOT_ALLOWED, "this method is not allowed here")
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.folder.registrations() {
        Ok(_) => "ok".into_response(),
        Err(error) => refused(&shared, StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let figures = [
        ("records_given_total", "Records that were given to clients.", &shared.given),
        ("records_unknown_total", "Questions about clusters without a record.", &shared.unknown),
        ("announcements_total", "Records that were accepted.", &shared.announced),
        ("refusals_total", "Requests that were refused.", &shared.refused),
    ];
    let text: String = figures
        .iter()
        .map(|(name, help, figure)| {
            let (name, value) = (format!("clusterctl_bootstrap_{name}"), figure.load(Ordering::Relaxed));
            format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n")
        })
        .collect();
    ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn give(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let Some(id) = id_of(&id) else { return refused(&shared, StatusCode::NOT_FOUND, "this is no cluster's id") };
    match shared.folder.record(id) {
        Ok(Some(bytes)) => {
            shared.given.fetch_add(1, Ordering::Relaxed);
            ([("content-type", "application/json"), ("cache-control", "no-store")], bytes).into_response()
        }
        Ok(None) => {
            shared.unknown.fetch_add(1, Ordering::Relaxed);
            refused(&shared, StatusCode::NOT_FOUND, "this cluster is not known here, or was not announced yet")
        }
        Err(error) => refused(&shared, StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

async fn announce(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Some(id) = id_of(&id) else { return refused(&shared, StatusCode::NOT_FOUND, "this is no cluster's id") };
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return unread(&shared, &rejection),
    };
    let done = tokio::task::block_in_place(|| announced(&shared, id, &body));
    match done {
        Ok(()) => {
            shared.announced.fetch_add(1, Ordering::Relaxed);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(Refused(status, message)) => refused(&shared, status, &message),
    }
}

/// The status and the message of a refusal.
struct Refused(StatusCode, String);

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

fn announced(shared: &Shared, id: Fingerprint, body: &[u8]) -> Result<(), Refused> {
    let _one = shared.change.lock().unwrap_or_else(PoisonError::into_inner);
    let registrations = shared.folder.registrations()?;
    if !registrations.iter().any(|one| one.cluster == Some(id)) {
        return Err(Refused(StatusCode::NOT_FOUND, "this cluster is not registered here".to_owned()));
    }
    let wrong = |error: RecordError| Refused(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
    let record = Record::verify(body, id, (shared.clock)()).map_err(wrong)?;
    let known = shared.folder.record(id)?;
    if known.as_deref() == Some(body) {
        return Ok(());
    }
    let known = known.and_then(|bytes| Record::known(&bytes, id)).map(|known| known.seq);
    if let Some(known) = known.filter(|known| record.seq <= *known) {
        let error = RecordError::Stale { known, found: record.seq };
        return Err(Refused(StatusCode::CONFLICT, error.to_string()));
    }
    Ok(shared.folder.write_record(id, body)?)
}

async fn register(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Some(id) = id_of(&id) else { return refused(&shared, StatusCode::NOT_FOUND, "this is no cluster's id") };
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return unread(&shared, &rejection),
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (token, signature) = (header(TOKEN_HEADER), header(SIGNATURE_HEADER));
    let done = tokio::task::block_in_place(|| registered(&shared, id, token, signature, &body));
    match done {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(Refused(status, message)) => refused(&shared, status, &message),
    }
}

fn registered(shared: &Shared, id: Fingerprint, token: &str, signature: &str, body: &[u8]) -> Result<(), Refused> {
    let _one = shared.change.lock().unwrap_or_else(PoisonError::into_inner);
    // The same answer for an unknown token and for a wrong signature.
    let unproven =
        || Refused(StatusCode::UNAUTHORIZED, "there is no such registration token, or it did not sign this".to_owned());
    let signature = Base64::decode_vec(signature).map_err(|_| unproven())?;
    let verifies = |public_key: &[u8]| {
        PublicKey::read(public_key).is_ok_and(|key| key.verifies(&registration_message(id, body), &signature))
    };
    // Before the lock, so that clients without a token cannot make others wait for it.
    if !shared.folder.registrations()?.iter().any(|one| one.id == token && verifies(&one.public_key)) {
        return Err(unproven());
    }
    shared.folder.update(|all| {
        let one = all.iter_mut().find(|one| one.id == token && verifies(&one.public_key)).ok_or_else(unproven)?;
        match one.cluster {
            Some(cluster) if cluster == id => {}
            Some(_) => {
                return Err(Refused(StatusCode::CONFLICT, "another cluster was registered with this token".to_owned()));
            }
            None if one.expires <= (shared.clock)() => {
                return Err(Refused(StatusCode::UNAUTHORIZED, "this registration token has expired".to_owned()));
            }
            None => one.cluster = Some(id),
        }
        Ok(())
    })
}
