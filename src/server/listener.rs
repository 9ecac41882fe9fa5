//! Starts and stops the server, and runs its periodic tasks.

use std::fmt;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::interval;
use tokio_rustls::TlsAcceptor;

use super::clock::Clock;
use super::connections::{self, Limits, Shared};
use super::credential::TlsError;
use super::descriptors;
use super::notice::ServerNotice;
use super::recent::Recent;
use super::site::{Reloaded, Site};
use super::state::State;
use super::tls;
use super::watchers::Watchers;
use super::writer::Writer;
use crate::store::queue::change::Retention;
use crate::store::queue::{Change, Queue, QueueError};

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
    /// The largest number of open connections of one address.
    pub max_connections_per_address: usize,
    /// The times after which requests expire.
    pub retention: Retention,
    /// The program's version, for `/version`.
    pub version: &'static str,
    /// How long open requests may take to finish when the server stops.
    pub grace: Duration,
}

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
        let published = (watchers, Arc::new(Recent::default()));
        let (writer, thread) = Writer::start(queue, published.clone(), clock.clone()).map_err(ServerError::Threads)?;
        let state = Arc::new(State::new(site, writer, published, readers, clock, options.version));
        let (stop, stopped) = watch::channel(false);
        let guard = runtime.enter();
        let listener = TcpListener::from_std(listener).map_err(listen)?;
        drop(guard);
        let limits = Limits { all: options.max_connections, of_address: options.max_connections_per_address };
        let shared = Arc::new(Shared::new(acceptor, state.clone(), limits));
        runtime.spawn(connections::accept(listener, shared, stopped.clone()));
        runtime.spawn(maintain(state.clone(), options.retention, stopped));
        let grace = options.grace;
        Ok(Self { address, runtime: Some(runtime), writer: Some(thread), stop, state: Some(state), grace })
    }

    /// Returns the address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the notices for the operator since the last call.
    #[must_use]
    pub fn notices(&self) -> Vec<ServerNotice> {
        self.state.as_ref().map(|state| state.notices.take()).unwrap_or_default()
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
        // The writer's channel was closed with the state: the thread commits the waiting changes and ends.
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

/// Reads changed files every second; expires requests and removes ended watches every 30 seconds.
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
        let Reloaded { closed, problem } = reloaded.await.unwrap_or_default();
        state.notices.note(problem, state.site.credential().not_after(), state.now());
        for host in closed {
            let message = "a certificate of this host was revoked, or it left the cluster".to_owned();
            // If the queue fails now, the signer refuses the request.
            let _ = state.change(Change::Close { host: host.to_string(), message }, true).await;
        }
        if turn.is_multiple_of(30) {
            // After a failure, or beyond the limit, requests expire in the next round.
            let _ = state.change(Change::Expire { retention, limit: EXPIRE_AT_ONCE }, true).await;
            state.watchers.sweep();
        }
        turn = turn.wrapping_add(1);
    }
}
