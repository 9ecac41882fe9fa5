//! The output of `kubectl get nodes -o json`, or `-o yaml` → the hosts that it lists.
//! What can be taken over from the list is for [`crate::cluster::inventory`] to say.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cluster::inventory::{AddressKind, ExternalIps, Inventory, ListedHost};
use crate::cluster::spec::KUBELET_PORT;

/// The labels and taints that mark a host with an API server: kubeadm's and most distributions', kubeadm's until Kubernetes
/// 1.24, RKE1's, kops's, MicroK8s's.
pub const MASTER_KEYS: [&str; 5] = [
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
    "node-role.kubernetes.io/controlplane",
    "node-role.kubernetes.io/api-server",
    "node.kubernetes.io/microk8s-controlplane",
];

/// Labels of which some values mark a host with an API server: old kops's and kubicorn's, k0s's, Juju's.
pub const MASTER_LABELS: [(&str, &[&str]); 3] = [
    ("kubernetes.io/role", &["master", "control-plane"]),
    ("node.k0sproject.io/role", &["control-plane"]),
    ("juju-application", &["kubernetes-control-plane", "kubernetes-master"]),
];

/// Why bytes are no list of nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubectlError {
    /// Neither JSON nor YAML, or a node's fields have other shapes than Kubernetes gives them.
    #[error("it is not what kubectl writes: {message}")]
    Json {
        /// The reader's reason, with line and column.
        message: String,
    },
    /// UTF-16, as old PowerShells write it, or something binary.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// A list of something else.
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

/// Reads the output of `kubectl get nodes -o json`, or of `kubectl get node NAME -o json`, or the same as YAML, and takes over
/// what a cluster file can hold.
///
/// # Errors
/// When it is something else, or holds no nodes.
pub fn from_kubectl(bytes: &[u8], external: ExternalIps) -> Result<Inventory, KubectlError> {
    Ok(Inventory::of(listed(bytes)?, external))
}

fn listed(bytes: &[u8]) -> Result<Vec<ListedHost>, KubectlError> {
    let text = std::str::from_utf8(bytes).map_err(|_| KubectlError::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let format = Format::of(text);
    let kind: Kind = format.read(text)?;
    let nodes = match kind.kind.as_str() {
        "List" | "NodeList" => format.read::<NodeList>(text)?.items.unwrap_or_default(),
        "Node" => vec![format.read::<Node>(text)?],
        _ => return Err(KubectlError::OtherKind { kind: kind.kind }),
    };
    if nodes.is_empty() {
        return Err(KubectlError::NoNodes);
    }
    nodes.into_iter().enumerate().map(|(index, node)| node.listed(index)).collect()
}

#[derive(Clone, Copy)]
enum Format {
    Json,
    Yaml,
}

impl Format {
    /// kubectl's YAML begins with a key at the margin; a table, which is what people send by mistake, does not.
    fn of(text: &str) -> Self {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty() && *line != "---");
        match lines.next() {
            Some(line) if ["apiVersion:", "items:", "kind:", "metadata:"].iter().any(|key| line.starts_with(key)) => {
                Self::Yaml
            }
            _ => Self::Json,
        }
    }

    fn read<T: DeserializeOwned>(self, text: &str) -> Result<T, KubectlError> {
        match self {
            Self::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
            Self::Yaml => serde_yaml::from_str(text).map_err(|error| error.to_string()),
        }
        .map_err(|message| KubectlError::Json { message })
    }
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

#[derive(Deserialize)]
struct NodeList {
    // Go writes an empty list as null, but never leaves it out.
    #[serde(deserialize_with = "Option::deserialize")]
    items: Option<Vec<Node>>,
}

#[derive(Deserialize)]
struct Node {
    kind: Option<String>,
    metadata: Metadata,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Metadata {
    name: Option<String>,
    labels: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct Spec {
    taints: Option<Vec<Taint>>,
}

#[derive(Deserialize)]
struct Taint {
    #[serde(default)]
    key: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Status {
    addresses: Option<Vec<NodeAddress>>,
    daemon_endpoints: Option<DaemonEndpoints>,
}

#[derive(Deserialize)]
struct NodeAddress {
    #[serde(default, rename = "type")]
    kind: String,
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
    fn listed(self, index: usize) -> Result<ListedHost, KubectlError> {
        // In a NodeList the items have no kind of their own.
        if let Some(kind) = self.kind.as_ref().filter(|&kind| kind != "Node") {
            return Err(KubectlError::OtherKind { kind: kind.clone() });
        }
        let Some(name) = self.metadata.name.clone().filter(|name| !name.is_empty()) else {
            return Err(KubectlError::NoName { index });
        };
        let (is_master, kubelet_port) = (self.is_master(), self.port());
        // GKE lists an empty ExternalIP where a node has none.
        let addresses = self.status.and_then(|status| status.addresses).into_iter().flatten();
        let addresses = addresses
            .filter(|listed| !listed.address.is_empty())
            .map(|listed| (AddressKind::of(&listed.kind, &listed.address), listed.address))
            .collect();
        Ok(ListedHost { name, addresses, kubelet_port, is_master })
    }

    fn is_master(&self) -> bool {
        let mut labels = self.metadata.labels.iter().flatten();
        let mut taints = self.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        taints.any(|taint| MASTER_KEYS.contains(&taint.key.as_str()))
            || labels.any(|(key, value)| {
                let value = value.as_str().unwrap_or_default();
                let values = MASTER_LABELS.iter().find(|(label, _)| label == key).map(|(_, values)| *values);
                MASTER_KEYS.contains(&key.as_str()) && value != "false"
                    || values.is_some_and(|values| values.contains(&value))
            })
    }

    /// The kubelet's port, where it is another than usual.
    fn port(&self) -> Option<String> {
        let endpoint = self.status.as_ref()?.daemon_endpoints.as_ref()?.kubelet_endpoint.as_ref()?;
        // 0 is what a kubelet that has not yet reported has.
        endpoint.port.filter(|&port| port != 0 && port != KUBELET_PORT).map(|port| port.to_string())
    }
}
