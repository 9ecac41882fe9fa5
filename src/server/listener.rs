//! The listener: connections, their limits and deadlines, the tasks beside them, and a graceful end.

use std::convert::Infallible;
use std::fmt;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;

use super::api;
use super::clock::Clock;
use super::credential::TlsError;
use super::descriptors;
use super::site::Site;
use super::state::{Connection, State};
use super::tls;
use super::watchers::Watchers;
use super::writer::Writer;
use crate::store::queue::change::Retention;
use crate::store::queue::{Change, Queue, QueueError};

/// The time limit of a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The time limit of a request's head, and of an idle connection.
const HEAD: Duration = Duration::from_secs(60);
/// The interval at which HTTP/2 connections are checked.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// The number of handshakes at once; more would only make all of them late.
const HANDSHAKES: usize = 256;
/// The number of connections that read the queue.
const READERS: usize = 4;
/// The number of requests that expire in one transaction.
const EXPIRE_AT_ONCE: u32 = 500;

/// The options of a server.
#[derive(Clone)]
pub struct Options {
    /// The address to listen on; port 0 is any free port.
    pub listen: SocketAddr,
    /// The queue's database, which is created if it does not exist.
    pub queue: PathBuf,
    /// The largest number of open connections.
    pub max_connections: usize,
    /// The times after which requests expire.
    pub retention: Retention,
    /// The program's version, for `/version`.
    pub version: &'static str,
    /// The time in which open requests may end when the server stops.
    pub grace: Duration,
}

/// The default times after which requests expire: like Kubernetes's cleaner, but requests of unknown hosts go early.
pub const RETENTION: Retention = Retention {
    open: time::Duration::hours(24),
    unknown: time::Duration::hours(1),
    finished: time::Duration::hours(1),
    archived: time::Duration::days(90),
};

/// Errors of starting a server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// The queue cannot be opened.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// TLS cannot be configured.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
}

/// A running server, which stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    runtime: Option<Runtime>,
    writer: Option<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    state: Option<Arc<State>>,
    grace: Duration,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Opens the queue, listens, and serves on threads of its own.
    ///
    /// # Errors
    /// Returns [`ServerError`].
    pub fn start(options: Options, site: Arc<dyn Site>, clock: Clock) -> Result<Self, ServerError> {
        let listen = |source| ServerError::Listen { address: options.listen, source };
        descriptors::raise();
        let queue = Queue::open(&options.queue)?;
        let readers = (0..READERS).map(|_| Queue::reader(&options.queue)).collect::<Result<_, _>>()?;
        let acceptor = TlsAcceptor::from(Arc::new(tls::configuration(site.clone())?));
        let listener = StdListener::bind(options.listen).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("serve-ca")
            .enable_all()
            .build()
            .map_err(ServerError::Threads)?;
        let watchers = Arc::new(Watchers::default());
        let (writer, thread) = Writer::start(queue, watchers.clone(), clock.clone()).map_err(ServerError::Threads)?;
        let state = Arc::new(State::new(site, writer, watchers, readers, clock, options.version));
        let (stop, stopped) = watch::channel(false);
        let guard = runtime.enter();
        let listener = TcpListener::from_std(listener).map_err(listen)?;
        drop(guard);
        runtime.spawn(accept(listener, acceptor, state.clone(), options.max_connections, stopped.clone()));
        runtime.spawn(maintain(state.clone(), options.retention, stopped));
        let grace = options.grace;
        Ok(Self { address, runtime: Some(runtime), writer: Some(thread), stop, state: Some(state), grace })
    }

    /// Returns the address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: accepts nothing more, ends watches, and waits for open requests and for the queue.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        let _ = self.stop.send(true);
        if let Some(state) = self.state.take() {
            state.watchers.close();
            let start = Instant::now();
            while state.figures.connections.load(Ordering::Relaxed) > 0 && start.elapsed() < self.grace {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        runtime.shutdown_timeout(Duration::from_secs(1));
        // With the state, the writer's channel is closed; it commits what waits and ends.
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads changed files, expires requests, and forgets watches that ended.
async fn maintain(state: Arc<State>, retention: Retention, mut stopped: watch::Receiver<bool>) {
    let mut ticks = interval(Duration::from_secs(1));
    let mut turn = 0_u64;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.changed() => return,
        }
        let reloaded = {
            let state = state.clone();
            tokio::task::spawn_blocking(move || state.site.reload(state.now()))
        };
        for host in reloaded.await.unwrap_or_default() {
            let message = "a certificate of this host was revoked, or it left the cluster".to_owned();
            // If the queue fails now, the signer refuses the request.
            let _ = state.change(Change::Close { host: host.to_string(), message }, true).await;
        }
        if turn.is_multiple_of(30) {
            // What does not expire now expires at the next turn.
            let _ = state.change(Change::Expire { retention, limit: EXPIRE_AT_ONCE }, true).await;
            state.watchers.sweep();
        }
        turn = turn.wrapping_add(1);
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    state: Arc<State>,
    max_connections: usize,
    mut stopped: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(api::router(state.clone()));
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        let Ok((stream, address)) = accepted else {
            // Probably the file descriptors are exhausted: wait until others are closed.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let figures = &state.figures;
        if usize::try_from(figures.connections.load(Ordering::Relaxed)).unwrap_or(0) >= max_connections {
            figures.refused_connections.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        figures.accepted.fetch_add(1, Ordering::Relaxed);
        figures.connections.fetch_add(1, Ordering::Relaxed);
        let (acceptor, state, router) = (acceptor.clone(), state.clone(), router.clone());
        let (handshakes, stopped) = (handshakes.clone(), stopped.clone());
        tokio::spawn(async move {
            let open = Open(state.clone());
            connection(stream, address, acceptor, state, router, handshakes, stopped).await;
            drop(open);
        });
    }
}

/// Counts a connection until it is dropped, even if its task ends early.
struct Open(Arc<State>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.figures.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The answer to plain HTTP, as Go's server gives it.
const PLAIN_HTTP: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

async fn connection(
    mut stream: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    state: Arc<State>,
    router: TowerToHyperService<axum::Router>,
    handshakes: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
) {
    // Answers are small; a failure only makes them slower.
    let _ = stream.set_nodelay(true);
    let mut first = [0];
    match timeout(HANDSHAKE, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first[0] == 0x16 => {}
        Ok(Ok(1)) => {
            // The client may have disconnected.
            let _ = stream.write_all(PLAIN_HTTP).await;
            let _ = stream.shutdown().await;
            return;
        }
        _ => return,
    }
    let Ok(permit) = handshakes.acquire().await else { return };
    let accepted = timeout(HANDSHAKE, acceptor.accept(stream)).await;
    drop(permit);
    let Ok(Ok(tls)) = accepted else {
        state.figures.failed_handshakes.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let chain = tls::presented(tls.get_ref().1.peer_certificates());
    let connection = Arc::new(Connection::new(address, chain));
    let service = service_fn(move |request| answer(router.clone(), state.clone(), connection.clone(), request));
    serve(tls, service, stopped).await;
}

/// Answers a request, and counts the answer.
async fn answer(
    router: TowerToHyperService<axum::Router>,
    state: Arc<State>,
    connection: Arc<Connection>,
    mut request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Body>, Infallible> {
    let start = Instant::now();
    request.extensions_mut().insert(connection);
    let response = router.call(request).await;
    if let Ok(response) = &response {
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        state.figures.answered(response.status().as_u16(), micros);
    }
    response
}

async fn serve<S>(stream: tokio_rustls::server::TlsStream<TcpStream>, service: S, mut stopped: watch::Receiver<bool>)
where
    S: Service<hyper::Request<Incoming>, Response = hyper::Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD).max_headers(64);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .max_concurrent_streams(64)
        .max_header_list_size(MAX_HEAD as u32)
        .max_send_buf_size(64 * 1024);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // Errors are the client's: it disconnected, or it does not speak HTTP.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
