//! Ten thousand open watches, each over a connection of its own, as those of kubelets.

use std::sync::Arc;
use std::time::Duration;

use crate::connection::Connection;
use crate::site::{CSRS, Server, Site};
use crate::usage;

/// The connections that open at the same time.
const AT_ONCE: usize = 100;

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

pub(crate) async fn measure(site: &Arc<Site>, server: &Server, count: usize) -> Measured {
    let before = usage::resident(server.id());
    let open = open(site, server, count).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (used, with) = (usage::of(server.id()), usage::resident(server.id()));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let idle = (usage::of(server.id()) - used).as_secs_f64() / 10.0 * 100.0;
    Measured { open: open.len(), before, with, idle }
}

async fn open(site: &Arc<Site>, server: &Server, count: usize) -> Vec<Connection> {
    let mut open = Vec::with_capacity(count);
    for part in (0..count).collect::<Vec<_>>().chunks(AT_ONCE) {
        let opening: Vec<_> =
            part.iter().map(|number| tokio::spawn(watch(site.clone(), server.address.clone(), *number))).collect();
        for task in opening {
            open.push(task.await.expect("it ends"));
        }
    }
    open
}

async fn watch(site: Arc<Site>, address: String, number: usize) -> Connection {
    let mut connection = Connection::open(&site.anonymous, &address).await;
    let path = format!("{CSRS}?watch=1&fieldSelector=metadata.name%3Dw{number}&timeoutSeconds=1500");
    connection.send("GET", &path, "", "").await;
    assert_eq!(connection.head().await.0, 200);
    connection
}
