//! Parses nodes that are given with their addresses: `NAME=HOST[:PORT]`.

use super::error::{NodeError, TargetError};
use crate::cluster::address::Address;
use crate::cluster::spec::KUBELET_PORT;
use crate::verify::target::{Peer, Target};

/// Parses `NAME=HOST[:PORT]`.
pub(super) fn parse(text: &str) -> Result<Peer, NodeError> {
    // DNS ignores case, and a kubelet registers its node in lower case.
    let text = text.to_ascii_lowercase();
    let (name, place) = text.split_once('=').ok_or(NodeError::NoHost)?;
    if name.is_empty() {
        return Err(NodeError::NoName);
    }
    let bracket = place.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match (Address::parse(place), place[bracket..].rfind(':')) {
        // An IPv6 address without brackets has colons of its own.
        (Ok(address), _) => (address, KUBELET_PORT),
        (Err(_), Some(colon)) => {
            let (host, port) = place.split_at(bracket + colon);
            let port = port[1..].parse().ok().filter(|&port| port != 0).ok_or(NodeError::Port)?;
            (Address::parse(host)?, port)
        }
        (Err(error), None) => return Err(error.into()),
    };
    let mut peer = Peer::at(name.to_owned(), host, port);
    peer.client_missing = Some("its certificate was not given".to_owned());
    Ok(peer)
}

/// Adds a node to the target; if the target has a node of that name, adds the addresses to it.
pub(super) fn add(target: &mut Target, node: Peer) -> Result<(), TargetError> {
    let Some(known) = target.nodes.iter_mut().find(|known| known.name == node.name) else {
        target.nodes.push(node);
        return Ok(());
    };
    if known.dialled && known.port != node.port {
        return Err(TargetError::TwoPorts { name: node.name, ports: (known.port, node.port) });
    }
    known.port = node.port;
    known.dialled = true;
    for address in node.addresses {
        if !known.addresses.contains(&address) {
            known.addresses.push(address);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_distinguished_from_an_ipv6_address() {
        for (text, host, port) in [
            ("N1=10.0.0.1", "10.0.0.1", KUBELET_PORT),
            ("n1=10.0.0.1:1234", "10.0.0.1", 1234),
            ("n1=fd00::1", "fd00::1", KUBELET_PORT),
            ("n1=node-1.example.net:1", "node-1.example.net", 1),
        ] {
            let peer = parse(text).expect(text);
            assert_eq!((peer.name.as_str(), peer.addresses[0].to_string(), peer.port), ("n1", host.to_owned(), port));
        }
        for (text, error) in
            [("n1", NodeError::NoHost), ("=10.0.0.1", NodeError::NoName), ("n1=10.0.0.1:0", NodeError::Port)]
        {
            assert_eq!(parse(text).err(), Some(error), "{text}");
        }
    }
}
