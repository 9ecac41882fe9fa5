//! The output of `kubectl get nodes -o json` → hosts for a cluster file.
//! What Kubernetes says is taken over as it is; whether it is any good is the cluster room's question.

use std::collections::HashSet;

use serde::Deserialize;

use crate::cluster::address::Address;
use crate::cluster::spec::{DraftHost, KUBELET_PORT};

/// The labels that kubeadm and others give to control-plane nodes, the second until Kubernetes 1.24.
const MASTER_LABELS: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/// What `kubectl` knows of a cluster's hosts, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FromKubectl {
    /// Every node that has an address, with all of its addresses.
    pub nodes: Vec<DraftHost>,
    /// Those of them that are labelled as control plane. Kubernetes does not say their API server's port.
    pub masters: Vec<DraftHost>,
    /// The names of nodes that are left out, for they have no address.
    pub without_addresses: Vec<String>,
}

/// Why bytes are no list of nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubectlError {
    /// Not JSON, or JSON in which a node's fields have other shapes than Kubernetes gives them.
    #[error("it is not what kubectl writes: {message}")]
    Json {
        /// The reader's reason, with line and column.
        message: String,
    },
    /// UTF-16, as old PowerShells write it, or something binary.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// JSON of something else.
    #[error("it holds {kind:?} where nodes are needed")]
    OtherKind {
        /// Its `kind`.
        kind: String,
    },
    /// A node that has no name.
    #[error("items[{index}] is a node without a name")]
    NoName {
        /// Its position, from 0.
        index: usize,
    },
    /// A list of nothing.
    #[error("it holds no nodes")]
    NoNodes,
}

impl KubectlError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoNodes => "ask the right cluster: `kubectl config current-context` says which one answers",
            Self::NotUtf8 => "write it as UTF-8; in Windows PowerShell, pipe to `Out-File -Encoding utf8`",
            _ => "write the file with `kubectl get nodes -o json`",
        }
    }
}

/// Reads the output of `kubectl get nodes -o json`, or of `kubectl get node NAME -o json`.
///
/// # Errors
/// When it is something else, or holds no nodes.
pub fn from_kubectl(bytes: &[u8]) -> Result<FromKubectl, KubectlError> {
    let text = std::str::from_utf8(bytes).map_err(|_| KubectlError::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let kind: Kind = parsed(text)?;
    let nodes = match kind.kind.as_str() {
        "List" | "NodeList" => parsed::<NodeList>(text)?.items.unwrap_or_default(),
        "Node" => vec![parsed::<Node>(text)?],
        _ => return Err(KubectlError::OtherKind { kind: kind.kind }),
    };
    if nodes.is_empty() {
        return Err(KubectlError::NoNodes);
    }
    let mut found = FromKubectl::default();
    for (index, node) in nodes.into_iter().enumerate() {
        // In a NodeList the items have no kind of their own.
        if let Some(kind) = node.kind.as_ref().filter(|&kind| kind != "Node") {
            return Err(KubectlError::OtherKind { kind: kind.clone() });
        }
        let Some(name) = node.metadata.name.clone().filter(|name| !name.is_empty()) else {
            return Err(KubectlError::NoName { index });
        };
        let addresses = node.addresses();
        if addresses.is_empty() {
            found.without_addresses.push(name);
            continue;
        }
        if MASTER_LABELS.iter().any(|&label| node.metadata.labels.iter().flatten().any(|(key, _)| key == label)) {
            found.masters.push(DraftHost {
                name: Some(name.clone()),
                addresses: addresses.clone(),
                ..DraftHost::default()
            });
        }
        found.nodes.push(DraftHost { name: Some(name), addresses, port: node.port(), ..DraftHost::default() });
    }
    Ok(found)
}

fn parsed<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, KubectlError> {
    serde_json::from_str(text).map_err(|error| KubectlError::Json { message: error.to_string() })
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

#[derive(Deserialize)]
struct NodeList {
    // Go writes an empty list as null.
    items: Option<Vec<Node>>,
}

#[derive(Deserialize)]
struct Node {
    kind: Option<String>,
    metadata: Metadata,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Metadata {
    name: Option<String>,
    labels: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Status {
    addresses: Option<Vec<NodeAddress>>,
    daemon_endpoints: Option<DaemonEndpoints>,
}

#[derive(Deserialize)]
struct NodeAddress {
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DaemonEndpoints {
    kubelet_endpoint: Option<KubeletEndpoint>,
}

#[derive(Deserialize)]
struct KubeletEndpoint {
    // Kubernetes' own spelling.
    #[serde(rename = "Port")]
    port: Option<u16>,
}

impl Node {
    /// Addresses of every type in their order, each once: an internal IP and an external IP may be the same, and the
    /// host name is often the internal DNS name as well.
    fn addresses(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let all = self.status.iter().flat_map(|status| status.addresses.iter().flatten());
        let text = all.map(|address| &address.address).filter(|text| !text.is_empty());
        text.filter(|text| seen.insert(Address::parse(text).map_err(|_| (*text).clone()))).cloned().collect()
    }

    /// The kubelet's port, where it is another than usual.
    fn port(&self) -> Option<String> {
        let endpoint = self.status.as_ref()?.daemon_endpoints.as_ref()?.kubelet_endpoint.as_ref()?;
        // 0 is what a kubelet that has not yet reported has.
        endpoint.port.filter(|&port| port != 0 && port != KUBELET_PORT).map(|port| port.to_string())
    }
}
