//! The addresses of the cluster file at which a report has to have made its checks.

use crate::cluster::etcd::{self, CLIENT_PORT, PEER_PORT};
use crate::cluster::spec::Cluster;
use crate::verify::target::{KnownCredential, Peer, Target};

/// The checks that every run makes at every address, whatever it proves.
const ORDINARY: [&str; 9] =
    ["connect", "tls", "chain", "possession", "dates", "name", "usage", "anonymous", "untrusted"];

/// An address at which a host is verified.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Socket {
    /// The host; for the endpoint, its address and port.
    pub(super) host: String,
    /// The address, as in the cluster file.
    pub(super) address: String,
    /// The port.
    pub(super) port: u16,
}

impl Socket {
    /// Returns a check at this address.
    pub(super) fn requires(&self, id: &str) -> Required {
        Required { id: id.to_owned(), socket: self.clone() }
    }
}

/// A check at an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Required {
    /// The id of the check.
    pub(super) id: String,
    /// The address.
    pub(super) socket: Socket,
}

/// All addresses of a cluster.
pub(super) struct Sockets {
    masters: Vec<Socket>,
    nodes: Vec<Socket>,
    /// That of the API servers, unless it is a master's.
    endpoint: Vec<Socket>,
    /// Those of etcd's members, for clients and for peers.
    etcd: Vec<Socket>,
}

impl Sockets {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let target = Target::of(cluster, Vec::new(), |_| KnownCredential::default());
        let all = |peer: &Peer| -> Vec<Socket> {
            let at = |address: String| Socket { host: peer.name.clone(), address, port: peer.port };
            peer.addresses.iter().map(|address| at(address.to_string())).collect()
        };
        let members = cluster.masters.iter().flat_map(|master| {
            let address = etcd::member_address(master).to_string();
            [CLIENT_PORT, PEER_PORT].map(|port| Socket {
                host: master.name.to_string(),
                address: address.clone(),
                port,
            })
        });
        Self {
            masters: target.masters.iter().flat_map(all).collect(),
            nodes: target.nodes.iter().flat_map(all).collect(),
            endpoint: target.endpoint.iter().flat_map(all).collect(),
            etcd: members.collect(),
        }
    }

    /// Returns where a check of a phase is made.
    pub(super) fn of_check<'s>(&'s self, id: &'s str) -> impl Iterator<Item = &'s Socket> {
        let (scope, aspect) = id.split_once('.').unwrap_or((id, ""));
        let (hosts, endpoint): (&[Socket], &[Socket]) = match (scope, aspect) {
            ("node", _) => (&self.nodes, &[]),
            ("etcd", _) => (&self.etcd, &[]),
            // Which API server is behind the endpoint is not known.
            (_, "installed" | "backend") => (&self.masters, &[]),
            _ => (&self.masters, &self.endpoint),
        };
        hosts.iter().chain(endpoint).filter(move |socket| id != "etcd.health" || socket.port == CLIENT_PORT)
    }

    /// Returns the ordinary checks at every API server, and at every kubelet if `with_nodes` is set.
    pub(super) fn ordinary(&self, with_nodes: bool) -> Vec<Required> {
        let masters = self.masters.iter().chain(&self.endpoint).map(|socket| ("master", socket));
        let nodes = self.nodes.iter().filter(|_| with_nodes).map(|socket| ("node", socket));
        let all = masters.chain(nodes);
        all.flat_map(|(scope, socket)| ORDINARY.map(|aspect| socket.requires(&format!("{scope}.{aspect}")))).collect()
    }
}
