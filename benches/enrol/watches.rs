//! Ten thousand open watches, each over a connection of its own, by HTTP/1.1 and by HTTP/2 as kubelets do.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::connection::Connection;
use crate::site::{CSRS, Server, Site};
use crate::usage;

/// The connections that open at the same time.
const AT_ONCE: usize = 100;

/// An open watch, which ends when it is dropped.
struct Watch {
    _open: Box<dyn Send>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// The memory and the processor time of a server with open watches.
pub(crate) struct Measured {
    pub(crate) open: usize,
    /// MiB without watches.
    pub(crate) before: f64,
    /// MiB with them.
    pub(crate) with: f64,
    /// Per cent of one core.
    pub(crate) idle: f64,
}

pub(crate) async fn measure(site: &Arc<Site>, server: &Server, count: usize, is_http2: bool) -> Measured {
    let before = usage::resident(server.id());
    let open = open(site, server, count, is_http2).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (used, with) = (usage::of(server.id()), usage::resident(server.id()));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let idle = (usage::of(server.id()) - used).as_secs_f64() / 10.0 * 100.0;
    Measured { open: open.len(), before, with, idle }
}

async fn open(site: &Arc<Site>, server: &Server, count: usize, is_http2: bool) -> Vec<Watch> {
    let mut open = Vec::with_capacity(count);
    for part in (0..count).collect::<Vec<_>>().chunks(AT_ONCE) {
        let opening: Vec<_> = part
            .iter()
            .map(|number| {
                let (site, address) = (site.clone(), server.address.clone());
                let path = format!("{CSRS}?watch=1&fieldSelector=metadata.name%3Dw{number}&timeoutSeconds=1500");
                tokio::spawn(async move {
                    if is_http2 {
                        by_http2(&site, &address, &path).await
                    } else {
                        by_http1(&site, &address, &path).await
                    }
                })
            })
            .collect();
        for task in opening {
            open.push(task.await.expect("it ends"));
        }
    }
    open
}

async fn by_http1(site: &Site, address: &str, path: &str) -> Watch {
    let mut connection = Connection::open(&site.anonymous, address).await;
    connection.send("GET", path, "", "").await;
    assert_eq!(connection.head().await.0, 200);
    Watch { _open: Box::new(connection), task: None }
}

async fn by_http2(site: &Site, address: &str, path: &str) -> Watch {
    let mut tls = (*site.anonymous).clone();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.expect("a connection");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.expect("TLS");
    let (mut requests, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    let task = tokio::spawn(async move {
        // The server ends it.
        let _ = connection.await;
    });
    let request =
        hyper::Request::get(format!("https://{address}{path}")).body(Empty::<Bytes>::new()).expect("a request");
    let response = requests.send_request(request).await.expect("an answer");
    assert_eq!(response.status().as_u16(), 200);
    let mut body = response.into_body();
    // Nothing comes yet; the watch is open.
    let nothing = tokio::time::timeout(Duration::from_millis(1), body.frame()).await;
    assert!(nothing.is_err(), "an event of a request that does not exist");
    Watch { _open: Box::new(body), task: Some(task) }
}
