//! Who is in the cluster. A [`RawCluster`] is what somebody wrote; a [`Cluster`] is what it means, with every value known good.
//! What leads from one to the other is `check`.

use std::time::Duration;

use super::account::AccountScheme;
use super::address::{Address, Cidr};
use super::endpoint::Endpoint;
use super::key_kind::KeyKind;
use super::kubelet::{Setting, Written};
use super::kubernetes::Kubernetes;
use super::lifetime::Lifetime;
use super::name::{ClusterName, DnsName, HostName};
use super::recipient::Recipient;

/// Kubernetes's port of the API server.
pub const API_SERVER_PORT: u16 = 6443;
/// Kubernetes's port of the kubelet.
pub const KUBELET_PORT: u16 = 10250;
/// kubeadm's service range, for a cluster file that names none.
pub const DEFAULT_SERVICE_CIDR: &str = "10.96.0.0/12";
/// Kubernetes's default DNS domain.
pub const DEFAULT_DOMAIN: &str = "cluster.local";

/// A cluster file's values as text, before any of them is believed. Absent is `None` or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawCluster {
    /// `name`
    pub name: Option<String>,
    /// `endpoint`
    pub endpoint: Option<String>,
    /// `accounts`
    pub accounts: Option<String>,
    /// `serviceCIDRs`
    pub service_cidrs: Option<Vec<String>>,
    /// `clusterDomain`
    pub cluster_domain: Option<String>,
    /// `keys`
    pub keys: Option<String>,
    /// `validity.ca`
    pub validity_ca: Option<String>,
    /// `validity.master`
    pub validity_master: Option<String>,
    /// `validity.node`
    pub validity_node: Option<String>,
    /// `kubernetes.version`
    pub kubernetes_version: Option<String>,
    /// `kubernetes.imageRepository`
    pub image_repository: Option<String>,
    /// `kubernetes.etcdVersion`
    pub etcd_version: Option<String>,
    /// `templates`
    pub templates: Option<String>,
    /// `withUnits`
    pub with_units: Option<String>,
    /// `renewBefore`
    pub renew_before: Option<String>,
    /// `kubelet`
    pub kubelet: Written,
    /// `masters`
    pub masters: Vec<RawHost>,
    /// `nodes`
    pub nodes: Vec<RawHost>,
}

/// One entry of `masters` or `nodes`, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawHost {
    /// `name`
    pub name: Option<String>,
    /// `addresses`
    pub addresses: Vec<String>,
    /// `apiServerPort` of a master, `kubeletPort` of a node
    pub port: Option<String>,
    /// `kubelet` of a node
    pub kubelet: Written,
    /// `sealTo`
    pub seal_to: OneOrMore,
}

/// A text or a list of texts: a list of one is not the same as the text, for its path is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneOrMore {
    /// A text.
    One(String),
    /// A list, empty where nothing stands.
    More(Vec<String>),
}

impl Default for OneOrMore {
    fn default() -> Self {
        Self::More(Vec::new())
    }
}

impl OneOrMore {
    /// Every text, with what comes behind the key in its path.
    pub(super) fn texts(&self) -> Vec<(String, &String)> {
        match self {
            Self::One(text) => vec![(String::new(), text)],
            Self::More(texts) => texts.iter().enumerate().map(|(i, text)| (format!("[{i}]"), text)).collect(),
        }
    }
}

/// A cluster in which every value is known good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's name, part of every root's distinguished name.
    pub name: ClusterName,
    /// What nodes dial.
    pub endpoint: Endpoint,
    /// How nodes' accounts are called.
    pub accounts: AccountScheme,
    /// Where services get their addresses.
    pub service_cidrs: Vec<Cidr>,
    /// The cluster's DNS domain.
    pub cluster_domain: DnsName,
    /// What keys are made.
    pub keys: KeyKind,
    /// How long certificates live.
    pub validity: Validity,
    /// Which Kubernetes the control plane runs.
    pub kubernetes: Kubernetes,
    /// The folder of one's own templates, seen from the cluster directory.
    pub templates: Option<String>,
    /// Whether bundles hold units for systemd.
    pub with_units: bool,
    /// How long before they end certificates are replaced; a third of their life where the cluster file does not say.
    pub renew_before: Option<Lifetime>,
    /// What every kubelet's configuration says beyond what clusterctl writes.
    pub kubelet: Setting,
    /// The masters, at least one, in the file's order.
    pub masters: Vec<Host>,
    /// The nodes, in the file's order.
    pub nodes: Vec<Host>,
}

/// How long each kind of certificate lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// CaSet.
    pub ca: Lifetime,
    /// Masters' certificates.
    pub master: Lifetime,
    /// Nodes' certificates.
    pub node: Lifetime,
}

/// A master or a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name, unique in its role.
    pub name: HostName,
    /// Where it is reached; at least one, unique in its role.
    pub addresses: Vec<Address>,
    /// TCP port of the API server on a master, of the kubelet on a node.
    pub port: u16,
    /// What a node's kubelet's configuration says beyond every kubelet's.
    pub kubelet: Setting,
    /// The recipients of its encrypted bundle; empty where the cluster file names none.
    pub recipients: Vec<Recipient>,
}

/// What a host does. A host may do both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Runs an API server.
    Master,
    /// Runs a kubelet that is a member of the cluster.
    Node,
}

impl Role {
    /// `master` or `node`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Node => "node",
        }
    }
}

/// Names that stand in every API server's certificate (kubeadm's), besides the host's own. Loopback stands there, too, but
/// nobody else's loopback can be reached.
pub(super) const API_SERVER_NAMES: [&str; 3] = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"];

/// The name of each host's own loopback, which API servers' certificates have, too.
pub(super) const LOCALHOST: &str = "localhost";

/// What the service `kubernetes` is called in full.
pub(super) fn service_name(domain: &str) -> String {
    format!("kubernetes.default.svc.{domain}")
}

impl Cluster {
    /// How long before its end a certificate that lives so long is replaced.
    #[must_use]
    pub fn renewed_before(&self, life: Duration) -> Duration {
        self.renew_before.map_or(life / 3, Lifetime::duration).min(life)
    }

    /// The master called `name`.
    #[must_use]
    pub fn master(&self, name: &str) -> Option<&Host> {
        self.masters.iter().find(|host| host.name.as_str() == name)
    }

    /// The node called `name`.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Host> {
        self.nodes.iter().find(|host| host.name.as_str() == name)
    }

    /// Every host's name once, masters first, in the file's order.
    #[must_use]
    pub fn host_names(&self) -> Vec<&HostName> {
        let mut seen = std::collections::HashSet::new();
        self.masters.iter().chain(&self.nodes).map(|host| &host.name).filter(|name| seen.insert(*name)).collect()
    }
}
