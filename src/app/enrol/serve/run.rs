//! Starts the server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::ServeError;
use super::site::DirectorySite;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::cluster::name::HostName;
use crate::cluster::spec::Cluster;
use crate::server::clock::Clock;
use crate::server::{Options, Server};
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::lock::Lock;
use crate::store::queue::FILE;
use crate::store::queue::change::RETENTION;

/// The port of the enrolment CA.
pub const PORT: u16 = 6444;
/// The default of the largest number of open connections.
pub const MAX_CONNECTIONS: usize = 20_000;
/// The default of the largest number of open connections of one address.
pub const MAX_CONNECTIONS_PER_ADDRESS: usize = 1_000;
/// How long open requests may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(10);

/// How long a starting server waits for the lock of one that is stopping.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The options of the server.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The address to listen on; `None` for that of the cluster file, else port 6444 on all addresses.
    pub listen: Option<SocketAddr>,
    /// The folder of the queue; `None` for the cluster directory.
    pub state: Option<PathBuf>,
    /// The master on which it runs; `None` for the only one with a serving credential in the directory.
    pub master: Option<HostName>,
    /// The largest number of open connections.
    pub max_connections: usize,
    /// The largest number of open connections of one address.
    pub max_connections_per_address: usize,
    /// The program's version.
    pub version: &'static str,
}

/// Starts the server, on threads of its own. It stops when the result is dropped or stopped.
///
/// # Errors
/// Returns [`ServeError`], or an error if the cluster directory cannot be read.
pub fn serve(options: &ServeOptions, cluster: &Cluster, env: &Env, clock: Clock) -> Result<Server, Error> {
    let mut site = DirectorySite::open(&env.layout, cluster, options.master.as_ref())?;
    let folder = options.state.clone().unwrap_or_else(|| env.layout.dir().to_owned());
    files::create_folder(&folder)?;
    // A watch only sees the changes that its own server makes, so a queue has one server.
    let lock = Lock::take_of_folder(&folder, LOCK_WAIT).map_err(|error| match error {
        StoreError::Locked { .. } => ServeError::InUse(folder.clone()).into(),
        error => Error::from(error),
    })?;
    site.keep(lock);
    let site = Arc::new(site);
    let listen = options
        .listen
        .or(cluster.enrolment.as_ref().and_then(|enrolment| enrolment.listen))
        .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 0], PORT)));
    let options = Options {
        listen,
        queue: folder.join(FILE),
        max_connections: options.max_connections,
        max_connections_per_address: options.max_connections_per_address,
        retention: RETENTION,
        version: options.version,
        grace: GRACE,
    };
    Ok(Server::start(options, site, clock).map_err(ServeError::from)?)
}
