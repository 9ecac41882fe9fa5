//! Errors of the simulated cluster.

use std::io;
use std::net::IpAddr;

/// Errors of running a simulated cluster.
#[derive(Debug, thiserror::Error)]
pub enum FakeClusterError {
    /// A loopback address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: IpAddr,
        /// The reason.
        source: io::Error,
    },
    /// A certificate and its key cannot be served.
    #[error("the certificate of {host} cannot be served: {reason}")]
    Credential {
        /// The host.
        host: String,
        /// The reason.
        reason: String,
    },
    /// The runtime cannot start.
    #[error("the simulated cluster cannot run: {0}")]
    Runtime(#[from] io::Error),
}
