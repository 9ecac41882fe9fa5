//! The list of nodes of an API server.

use rustls::ClientConfig;
use serde::Deserialize;
use tokio::time::Instant;

use super::dialer::Socket;
use super::observation::{ListedNode, NodeListOutcome, Readiness};
use super::pages::{self, Wanted};

/// A Node has 5 to 20 KiB.
const NODES: Wanted = Wanted { path: "/api/v1/nodes", kind: "NodeList", page: 25 };

/// Lists every node over one connection, until `deadline`.
pub(super) async fn list(config: ClientConfig, socket: &Socket, deadline: Instant) -> NodeListOutcome {
    match pages::list::<NodeItem>(config, socket, &NODES, deadline).await {
        Ok(whole) => NodeListOutcome::Nodes(whole.items.into_iter().map(ListedNode::from).collect()),
        Err(outcome) => NodeListOutcome::Failed(outcome),
    }
}

/// The fields of a Node (Kubernetes `v1`) that are read.
#[derive(Deserialize)]
struct NodeItem {
    metadata: NodeMeta,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Deserialize)]
struct NodeMeta {
    name: String,
}

#[derive(Deserialize, Default)]
struct NodeStatus {
    #[serde(default)]
    addresses: Vec<NodeAddress>,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct NodeAddress {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    last_heartbeat_time: Option<String>,
}

/// The number of characters that are kept of a condition's message.
const MAX_MESSAGE_CHARS: usize = 200;

impl From<NodeItem> for ListedNode {
    fn from(item: NodeItem) -> Self {
        let addresses = item.status.addresses.into_iter().map(|address| (address.kind, address.address));
        let ready = item.status.conditions.into_iter().find(|condition| condition.kind == "Ready");
        let cut = |text: &str| text.chars().take(MAX_MESSAGE_CHARS).collect::<String>();
        let ready = ready.map(|ready| Readiness {
            status: cut(&ready.status),
            reason: cut(&ready.reason),
            message: cut(&ready.message),
            heartbeat: ready.last_heartbeat_time,
        });
        Self { name: item.metadata.name, addresses: addresses.collect(), ready }
    }
}
