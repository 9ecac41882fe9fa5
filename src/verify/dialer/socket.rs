//! The address of a connection and the protocols that it offers.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::ServerName;

use crate::cluster::address::Address;

/// The protocols that a client offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verify) enum Offer {
    /// HTTP/2 and HTTP/1.1, as Kubernetes's own clients do.
    Http2OrHttp1,
    /// Only HTTP/1.1, which needs much less processor time on both sides.
    Http1,
}

/// The address of a connection, and the server name.
#[derive(Debug, Clone)]
pub(in crate::verify) struct Socket {
    pub(in crate::verify) to: SocketAddr,
    pub(in crate::verify) address: Address,
    /// The server name in place of `address`.
    pub(in crate::verify) tls_name: Option<Address>,
}

impl Socket {
    /// Returns the server name.
    pub(in crate::verify) fn name(&self) -> &Address {
        self.tls_name.as_ref().unwrap_or(&self.address)
    }
}

/// Returns the server name for a ClientHello; an address has none (RFC 6066 § 3).
pub(super) fn sni(socket: &Socket) -> Option<&str> {
    match socket.name() {
        Address::Dns(name) => Some(name.as_str()),
        Address::Ip(_) => None,
    }
}

/// Returns the server name for TLS; the address replaces a name that no certificate can have.
pub(super) fn server_name(address: &Address, to: SocketAddr) -> ServerName<'static> {
    match address {
        Address::Dns(name) => ServerName::try_from(name.to_string()).unwrap_or_else(|_| to.ip().into()),
        Address::Ip(ip) => (*ip).into(),
    }
}

pub(in crate::verify) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
