//! Connections: their limits and deadlines, TLS, and then HTTP/1.1.
//!
//! Ten thousand hosts may wait at the same time, so a connection keeps no memory that it does not need while it waits:
//! the handshake and the service are allocated on their own, and a watch has no buffers of hyper.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::Body;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::api;
use super::lasting::{self, Lasting, Stream};
use super::sources::{Place, Sources};
use super::state::{Connection, State};
use super::tls;

/// The time limit of a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The time limit of a request's head, and of an idle connection.
const HEAD: Duration = Duration::from_secs(60);
/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// The number of handshakes at once; more would only make all of them late.
const HANDSHAKES: usize = 256;

/// The limits of open connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) all: usize,
    pub(super) of_address: usize,
}

/// What all connections share.
pub(super) struct Shared {
    acceptor: TlsAcceptor,
    state: Arc<State>,
    router: TowerToHyperService<axum::Router>,
    handshakes: Semaphore,
    sources: Arc<Sources>,
    limit: usize,
}

impl Shared {
    pub(super) fn new(acceptor: TlsAcceptor, state: Arc<State>, limits: Limits) -> Self {
        Self {
            acceptor,
            router: TowerToHyperService::new(api::router(state.clone())),
            state,
            handshakes: Semaphore::new(HANDSHAKES),
            sources: Sources::new(limits.of_address),
            limit: limits.all,
        }
    }
}

/// Accepts connections until the server stops.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
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
        let figures = &shared.state.figures;
        if usize::try_from(figures.connections.load(Ordering::Relaxed)).unwrap_or(0) >= shared.limit {
            figures.refused_connections.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let Some(place) = shared.sources.place(address.ip()) else {
            figures.refused_by_address.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        figures.accepted.fetch_add(1, Ordering::Relaxed);
        figures.connections.fetch_add(1, Ordering::Relaxed);
        let open = Open { state: shared.state.clone(), place };
        tokio::spawn(connection(stream, address, open, shared.clone(), stopped.clone()));
    }
}

/// Counts a connection until it is dropped, even if its task ends early.
struct Open {
    state: Arc<State>,
    place: Place,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.state.figures.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The answer to plain HTTP, as Go's server gives it.
const PLAIN_HTTP: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    open: Open,
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
) {
    let Some(stream) = Box::pin(handshake(stream, &shared, &open.place)).await else { return };
    let session = stream.get_ref().1;
    let client = Arc::new(Connection::new(address, tls::presented(session.peer_certificates())));
    serve(stream, shared, client, stopped).await;
}

async fn handshake(mut stream: TcpStream, shared: &Shared, place: &Place) -> Option<Stream> {
    // Answers are small; a failure only makes them slower.
    let _ = stream.set_nodelay(true);
    let mut first = [0];
    let length = timeout(HANDSHAKE, stream.peek(&mut first)).await.ok()?.ok()?;
    if (length, first[0]) != (1, 0x16) {
        // The client may have disconnected.
        let _ = stream.write_all(PLAIN_HTTP).await;
        let _ = stream.shutdown().await;
        return None;
    }
    // Its own source first: one that is slow takes no permit that others wait for.
    let _own = place.handshakes.acquire().await.ok()?;
    let _permit = shared.handshakes.acquire().await.ok()?;
    if let Ok(Ok(stream)) = timeout(HANDSHAKE, shared.acceptor.accept(stream)).await {
        return Some(Box::new(stream));
    }
    shared.state.figures.failed_handshakes.fetch_add(1, Ordering::Relaxed);
    None
}

/// Answers a request, and counts the answer.
async fn answer(
    shared: Arc<Shared>,
    client: Arc<Connection>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let start = Instant::now();
    let is_plain_get =
        request.version() == Version::HTTP_11 && request.method() == Method::GET && request.body().is_end_stream();
    request.extensions_mut().insert(client.clone());
    let response = shared.router.call(request).await?;
    let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    shared.state.figures.answered(response.status().as_u16(), micros);
    if is_plain_get && response.extensions().get::<Lasting>().is_some() {
        client.hand_over(response);
        // The connection is taken from hyper, and this is dropped.
        return std::future::pending().await;
    }
    Ok(response)
}

async fn serve(stream: Stream, shared: Arc<Shared>, client: Arc<Connection>, mut stopped: watch::Receiver<bool>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD).max_headers(64);
    let (of_answers, of_client) = (shared.clone(), client.clone());
    let service = service_fn(move |request| answer(of_answers.clone(), of_client.clone(), request));
    let mut serving = Box::pin(builder.serve_connection(TokioIo::new(stream), service));
    let mut is_stopping = false;
    let lasting = loop {
        let served = poll_fn(|context| match serving.as_mut().poll(context) {
            // Errors are the client's: it disconnected, or it does not speak HTTP.
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => client.handed_over().map_or(Poll::Pending, |response| Poll::Ready(Some(response))),
        });
        tokio::select! {
            lasting = served => break lasting,
            _ = stopped.changed(), if !is_stopping => {
                is_stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    };
    if let Some(response) = lasting {
        let stream = Pin::into_inner(serving).into_parts().io.into_inner();
        lasting::write(stream, response, shared.state.now()).await;
    }
}
