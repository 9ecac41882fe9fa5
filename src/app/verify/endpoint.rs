//! The endpoint of a target.

use super::error::TargetError;
use crate::cluster::endpoint::Endpoint;
use crate::verify::target::Peer;

/// Parses the URL of an endpoint.
pub(super) fn parse_endpoint(text: &str) -> Result<Endpoint, TargetError> {
    // DNS ignores case, and cloud providers use capitals.
    Endpoint::parse(&text.to_ascii_lowercase())
        .map_err(|reason| TargetError::Endpoint { text: text.to_owned(), reason })
}

/// Returns the endpoint as a peer.
pub(super) fn endpoint_peer(endpoint: Endpoint) -> Peer {
    let name = format!("{}:{}", endpoint.host.for_url(), endpoint.port);
    Peer::at(name, endpoint.host, endpoint.port)
}
