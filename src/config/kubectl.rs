//! Reads the hosts that `kubectl get nodes -o json`, or `-o yaml`, lists.
//!
//! [`crate::cluster::inventory`] selects those that a cluster file can have.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cluster::inventory::{AddressKind, ExternalIps, Inventory, ListedHost, Provider};
use crate::cluster::spec::KUBELET_PORT;

/// The labels and taints that mark a host with an API server.
///
/// In order: kubeadm and most distributions, kubeadm until Kubernetes 1.24, RKE1, kops, and MicroK8s.
pub const MASTER_KEYS: [&str; 5] = [
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
    "node-role.kubernetes.io/controlplane",
    "node-role.kubernetes.io/api-server",
    "node.kubernetes.io/microk8s-controlplane",
];

/// Labels of which some values mark a host with an API server: of old kops and kubicorn, k0s and Juju.
pub const MASTER_LABELS: [(&str, &[&str]); 3] = [
    ("kubernetes.io/role", &["master", "control-plane"]),
    ("node.k0sproject.io/role", &["control-plane"]),
    ("juju-application", &["kubernetes-control-plane", "kubernetes-master"]),
];

/// Labels and taints of virtual nodes: a key, its value (`None` for any), and the provider.
const VIRTUAL_NODES: [(&str, Option<&str>, Provider); 6] = [
    ("eks.amazonaws.com/compute-type", Some("fargate"), Provider::Fargate),
    ("type", Some("virtual-kubelet"), Provider::VirtualKubelet),
    ("kubernetes.io/role", Some("virtual-kubelet"), Provider::VirtualKubelet),
    ("virtual-kubelet.io/provider", None, Provider::VirtualKubelet),
    ("liqo.io/type", Some("virtual-node"), Provider::VirtualKubelet),
    ("type", Some("kwok"), Provider::Kwok),
];

/// Errors of parsing a list of nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubectlError {
    /// It is neither JSON nor YAML, or a node's fields have the wrong types.
    #[error("it is not the output of kubectl: {message}")]
    Json {
        /// The reader's reason, with line and column.
        message: String,
    },
    /// It is empty: kubectl failed and printed the reason to stderr.
    #[error("it is empty")]
    Empty,
    /// A table, kubectl's default output.
    #[error("it is kubectl's table, which has no addresses")]
    Table,
    /// The API server answered with an error.
    #[error("the API server refused: {message}")]
    Refused {
        /// Its message.
        message: String,
    },
    /// It is UTF-16, as old PowerShell versions write it, or binary data.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// A list of other objects.
    #[error("it has {kind:?} where nodes are needed")]
    OtherKind {
        /// Its `kind`.
        kind: String,
    },
    /// A node has no name.
    #[error("items[{index}] is a node without a name")]
    NoName {
        /// Its position, from 0.
        index: usize,
    },
    /// An empty list.
    #[error("it has no nodes")]
    NoNodes,
}

/// Reads the hosts from the output of `kubectl get nodes -o json`.
///
/// The output of `kubectl get node NAME -o json`, and YAML, are also accepted.
///
/// # Errors
/// Returns an error if it is not such output, or has no nodes.
pub fn from_kubectl(bytes: &[u8], external: ExternalIps) -> Result<Inventory, KubectlError> {
    let text = std::str::from_utf8(bytes).map_err(|_| KubectlError::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(KubectlError::Empty);
    }
    let nodes = nodes(text)?;
    let windows = nodes.iter().filter(|node| node.is_windows()).filter_map(|node| node.metadata.name.clone()).collect();
    // In a NodeList the items have no kind of their own. `kubectl get nodes,pods` also lists objects of other kinds.
    let is_node = |node: &Node| node.kind.as_deref().is_none_or(|kind| kind == "Node");
    let (nodes, others): (Vec<_>, Vec<_>) = nodes.into_iter().partition(is_node);
    let other_kinds: BTreeSet<String> = others.into_iter().filter_map(|other| other.kind).collect();
    if nodes.is_empty() {
        return Err(match other_kinds.into_iter().next() {
            Some(kind) => KubectlError::OtherKind { kind },
            None => KubectlError::NoNodes,
        });
    }
    let kubelet_versions = kubelet_versions(&nodes);
    let listed = nodes.into_iter().enumerate().map(|(index, node)| node.listed(index)).collect::<Result<_, _>>()?;
    Ok(Inventory { windows, other_kinds, kubelet_versions, ..Inventory::from_list(listed, external) })
}

fn kubelet_versions(nodes: &[Node]) -> BTreeMap<String, BTreeSet<String>> {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in nodes {
        let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
        let version = info.and_then(|info| info.kubelet_version.clone()).filter(|version| !version.is_empty());
        if let (Some(name), Some(version)) = (&node.metadata.name, version) {
            versions.entry(version).or_default().insert(name.clone());
        }
    }
    versions
}

fn nodes(text: &str) -> Result<Vec<Node>, KubectlError> {
    let format = Format::of(text);
    if matches!(format, Format::Table) {
        return Err(KubectlError::Table);
    }
    let kind: Kind = match format.read(text) {
        Ok(kind) => kind,
        // Several documents: kubectl was run once for each node.
        Err(error) => return several(format, text).ok_or(error)?,
    };
    match kind.kind.as_str() {
        "List" | "NodeList" => Ok(format.read::<NodeList>(text)?.items.unwrap_or_default()),
        "Node" => Ok(vec![format.read::<Node>(text)?]),
        "Status" if kind.message.is_some() => Err(KubectlError::Refused { message: kind.message.unwrap_or_default() }),
        _ => Err(KubectlError::OtherKind { kind: kind.kind }),
    }
}

/// Returns the nodes of several documents; `None` if there is only one, or if one of them cannot be read.
fn several(format: Format, text: &str) -> Option<Result<Vec<Node>, KubectlError>> {
    let documents: Vec<Value> = match format {
        Format::Json => serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().ok()?,
        Format::Yaml => {
            serde_yaml::Deserializer::from_str(text).map(Value::deserialize).collect::<Result<_, _>>().ok()?
        }
        Format::Table => return None,
    };
    if documents.len() < 2 {
        return None;
    }
    let mut found = Vec::new();
    for document in documents.into_iter().filter(|document| !document.is_null()) {
        match nodes(&document.to_string()) {
            Ok(nodes) => found.extend(nodes),
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(found))
}

#[derive(Clone, Copy)]
enum Format {
    Json,
    Yaml,
    Table,
}

impl Format {
    /// Detects the format: kubectl's YAML begins with a key at the margin, a table does not.
    fn of(text: &str) -> Self {
        let is_content = |line: &&str| !line.trim().is_empty() && *line != "---" && !line.starts_with('#');
        match text.lines().find(is_content) {
            Some(line) if line.starts_with("NAME ") && line.contains(" STATUS ") => Self::Table,
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
            Self::Table => return Err(KubectlError::Table),
        }
        .map_err(|message| KubectlError::Json { message })
    }
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
    message: Option<String>,
}

#[derive(Deserialize)]
struct NodeList {
    // Go writes an empty list as null, but never omits it.
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
    labels: Option<serde_json::Map<String, Value>>,
}

#[derive(Deserialize)]
struct Spec {
    taints: Option<Vec<Taint>>,
}

#[derive(Deserialize)]
struct Taint {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Status {
    addresses: Option<Vec<NodeAddress>>,
    daemon_endpoints: Option<DaemonEndpoints>,
    node_info: Option<NodeInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeInfo {
    kubelet_version: Option<String>,
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
    // Kubernetes's own spelling.
    #[serde(rename = "Port")]
    port: Option<u16>,
}

impl Node {
    fn listed(self, index: usize) -> Result<ListedHost, KubectlError> {
        let Some(name) = self.metadata.name.clone().filter(|name| !name.is_empty()) else {
            return Err(KubectlError::NoName { index });
        };
        let (is_master, kubelet_port, provider) = (self.is_master(), self.port(), self.provider());
        // GKE lists an empty ExternalIP for a node without one.
        let addresses = self.status.and_then(|status| status.addresses).into_iter().flatten();
        let addresses = addresses
            .filter(|listed| !listed.address.is_empty())
            .map(|listed| (AddressKind::of(&listed.kind, &listed.address), listed.address))
            .collect();
        Ok(ListedHost { name, addresses, kubelet_port, is_master, provider })
    }

    /// Returns the provider of a virtual node.
    fn provider(&self) -> Option<Provider> {
        let labels = self.metadata.labels.iter().flatten();
        let labels = labels.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()));
        let taints = self.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
        let marks = labels.chain(taints.map(|taint| (taint.key.as_str(), taint.value.as_str())));
        let meant = |(key, value): (&str, &str)| {
            let found = VIRTUAL_NODES.iter().find(|(mark, of, _)| *mark == key && of.is_none_or(|of| of == value));
            found.map(|(_, _, provider)| *provider)
        };
        marks.filter_map(meant).next()
    }

    fn is_windows(&self) -> bool {
        let mut labels = self.metadata.labels.iter().flatten();
        labels.any(|(key, value)| key == "kubernetes.io/os" && value.as_str() == Some("windows"))
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

    /// Returns the kubelet's port, if it is not the default.
    fn port(&self) -> Option<String> {
        let endpoint = self.status.as_ref()?.daemon_endpoints.as_ref()?.kubelet_endpoint.as_ref()?;
        // 0 means that the kubelet has not reported yet.
        endpoint.port.filter(|&port| port != 0 && port != KUBELET_PORT).map(|port| port.to_string())
    }
}
