//! The list of nodes as an API server tells it.

use rustls::ClientConfig;
use serde::Deserialize;
use tokio::time::Instant;

use super::dialer::Socket;
use super::observation::{Listed, ListedNode, Readiness};
use super::pages::{self, Wanted};

/// A node's object is 5 to 20 KiB.
const NODES: Wanted = Wanted { path: "/api/v1/nodes", kind: "NodeList", page: 25 };

/// Every node, over one connection that `config` secures, until `deadline`.
pub(super) async fn list(config: ClientConfig, socket: &Socket, deadline: Instant) -> Listed {
    match pages::list::<NodeItem>(config, socket, &NODES, deadline).await {
        Ok(whole) => Listed::Nodes(whole.items.into_iter().map(ListedNode::from).collect()),
        Err(outcome) => Listed::Failed(outcome),
    }
}

/// What is wanted of a Node (Kubernetes `v1`).
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

/// How much of a condition's words is kept, in characters.
const WORDS: usize = 200;

impl From<NodeItem> for ListedNode {
    fn from(item: NodeItem) -> Self {
        let addresses = item.status.addresses.into_iter().map(|address| (address.kind, address.address));
        let ready = item.status.conditions.into_iter().find(|condition| condition.kind == "Ready");
        let cut = |text: &str| text.chars().take(WORDS).collect::<String>();
        let ready = ready.map(|ready| Readiness {
            status: cut(&ready.status),
            reason: cut(&ready.reason),
            message: cut(&ready.message),
            heartbeat: ready.last_heartbeat_time,
        });
        Self { name: item.metadata.name, addresses: addresses.collect(), ready }
    }
}
