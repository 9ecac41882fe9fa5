//! The nodes and Leases that an API server lists.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::exchange::Outcome;
use crate::pki::fingerprint::Fingerprint;
use crate::verify::place::Place;
use crate::verify::shared;

/// The nodes that an API server lists to the verifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeListing {
    /// The role of the server: the endpoint or a control-plane node.
    pub place: Place,
    /// Its name.
    pub host: String,
    /// The address of the connection.
    pub to: SocketAddr,
    /// The certificates that the server sent, leaf first.
    #[serde(rename = "shown", with = "shared")]
    pub server_chain: Arc<[Fingerprint]>,
    /// The response.
    pub outcome: NodeListOutcome,
    /// The duration in milliseconds.
    pub elapsed_ms: u64,
}

/// The response to a request for the list of nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeListOutcome {
    /// The whole list, in the API server's order.
    Nodes(Vec<ListedNode>),
    /// No list, or not all of it.
    Failed(Outcome),
}

/// A node as an API server lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedNode {
    /// `metadata.name`
    pub name: String,
    /// `status.addresses`: type and address.
    pub addresses: Vec<(String, String)>,
    /// Its condition `Ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Readiness>,
}

/// A node's condition `Ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The reason, as one word.
    pub reason: String,
    /// The message of the kubelet or the node controller.
    pub message: String,
    /// `lastHeartbeatTime`, by the node's clock.
    pub heartbeat: Option<String>,
}

/// The nodes' Leases in kube-node-lease, as the API server lists them to the verifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseListing {
    /// The server's socket; `None` if no API server could be reached.
    pub to: Option<SocketAddr>,
    /// The certificates that the server sent, leaf first.
    #[serde(rename = "shown", with = "shared")]
    pub server_chain: Arc<[Fingerprint]>,
    /// The response.
    pub outcome: LeaseListOutcome,
    /// The duration in milliseconds.
    pub elapsed_ms: u64,
}

/// The response to a request for the list of Leases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseListOutcome {
    /// The whole list.
    #[serde(rename = "held")]
    Complete {
        /// The time of the response, by the API server's clock (RFC 3339).
        served: Option<String>,
        /// Every lease.
        leases: Vec<Lease>,
        /// The Leases that looked stale and had been renewed when they were read again, with their times (RFC 3339).
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        again: BTreeMap<String, String>,
    },
    /// No list, or not all of it.
    Failed(Outcome),
}

/// A node's lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// `metadata.name`, which is the name of its node.
    pub name: String,
    /// `spec.holderIdentity`: the renewing kubelet.
    pub holder: Option<String>,
    /// `spec.renewTime`, by the holder's clock.
    pub renewed: Option<String>,
}
