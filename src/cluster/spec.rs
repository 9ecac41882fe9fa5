//! The hosts and settings of a cluster.
//!
//! A [`RawCluster`] has the values of the cluster file as text, a [`Cluster`] has valid values; [`RawCluster::check`] converts.

use std::time::Duration;

use super::account::AccountScheme;
use super::address::{Address, Cidr};
use super::endpoint::Endpoint;
use super::enrolment::Enrolment;
use super::key_kind::KeyKind;
use super::kubelet::{RawValue, Setting};
use super::kubernetes::Kubernetes;
use super::lifetime::Lifetime;
use super::name::{ClusterName, DnsName, HostName};
use super::node_index::NodeIndex;
use super::recipient::Recipient;
use super::signer::{RawSigners, Signers};

/// Kubernetes's port of the API server.
pub const API_SERVER_PORT: u16 = 6443;
/// Kubernetes's port of the kubelet.
pub const KUBELET_PORT: u16 = 10250;
/// kubeadm's service range, for a cluster file that names none.
pub const DEFAULT_SERVICE_CIDR: &str = "10.96.0.0/12";
/// Kubernetes's default DNS domain.
pub const DEFAULT_DOMAIN: &str = "cluster.local";

/// The values of a cluster file as text, unchecked; absent ones are `None` or empty.
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
    /// `validity.admin`
    pub validity_admin: Option<String>,
    /// `validity.crl`
    pub validity_crl: Option<String>,
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
    /// `signers`
    pub signers: RawSigners,
    /// `enrolment`, each value as text.
    pub enrolment: RawValue,
    /// `kubelet`
    pub kubelet: RawValue,
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
    pub kubelet: RawValue,
    /// `sealTo`
    pub seal_to: OneOrMore,
}

/// A text or a list of texts; a list of one text differs from the text because its path differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneOrMore {
    /// A text.
    One(String),
    /// A list; empty if absent.
    More(Vec<String>),
}

impl Default for OneOrMore {
    fn default() -> Self {
        Self::More(Vec::new())
    }
}

impl OneOrMore {
    /// Returns every text with the index that follows the key in its path.
    pub(super) fn texts(&self) -> Vec<(String, &String)> {
        match self {
            Self::One(text) => vec![(String::new(), text)],
            Self::More(texts) => texts.iter().enumerate().map(|(i, text)| (format!("[{i}]"), text)).collect(),
        }
    }
}

/// A cluster whose values are all valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's name, part of each CA's distinguished name.
    pub name: ClusterName,
    /// The URL at which nodes reach the API servers.
    pub endpoint: Endpoint,
    /// The naming scheme of nodes' user names and groups.
    pub accounts: AccountScheme,
    /// The ranges of services' addresses.
    pub service_cidrs: Vec<Cidr>,
    /// The cluster's DNS domain.
    pub cluster_domain: DnsName,
    /// The type of new keys.
    pub keys: KeyKind,
    /// The lifetimes of certificates.
    pub validity: Validity,
    /// The Kubernetes release and images of the control plane.
    pub kubernetes: Kubernetes,
    /// The directory of the user's own templates, relative to the cluster directory.
    pub templates: Option<String>,
    /// True if bundles have systemd units.
    pub with_units: bool,
    /// The time before expiry at which certificates are renewed; by default a third of their lifetime.
    pub renew_before: Option<Lifetime>,
    /// The holders of the CAs' keys.
    pub signers: Signers,
    /// How certificates are issued to hosts that ask for them; `None` if they are not.
    pub enrolment: Option<Enrolment>,
    /// Additional settings for every kubelet's configuration.
    pub kubelet: Setting,
    /// The masters, at least one, in the file's order.
    pub masters: Vec<Host>,
    /// The nodes, in the file's order.
    pub nodes: Vec<Host>,
    /// Finds nodes by their names.
    pub(super) node_index: NodeIndex,
}

/// The lifetime of each kind of certificate, and of CRLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The CAs.
    pub ca: Lifetime,
    /// Masters' certificates.
    pub master: Lifetime,
    /// Nodes' certificates.
    pub node: Lifetime,
    /// Certificates of administrators and of other accounts in kubeconfigs, except for emergencies.
    pub admin: Lifetime,
    /// CRLs; `None` means 90 days for new ones, and that a renewed one keeps its own.
    pub crl: Option<Lifetime>,
}

impl Validity {
    /// Returns the lifetime of new CRLs.
    #[must_use]
    pub fn of_new_crl(&self) -> Lifetime {
        self.crl.unwrap_or(Lifetime::NINETY_DAYS)
    }
}

/// A master or a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name, unique in its role.
    pub name: HostName,
    /// Its addresses; at least one, unique in its role.
    pub addresses: Vec<Address>,
    /// TCP port of the API server on a master, of the kubelet on a node.
    pub port: u16,
    /// Additional settings for this node's kubelet.
    pub kubelet: Setting,
    /// The recipients of its encrypted bundle; empty if the cluster file names none.
    pub recipients: Vec<Recipient>,
}

/// The role of a host, which may have both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A control-plane node, called master in the cluster file. It runs an API server.
    Master,
    /// A node. It runs a kubelet.
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

/// The names in every API server's certificate besides the host's own, as with kubeadm. Loopback names are left out.
pub(super) const API_SERVER_NAMES: [&str; 3] = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"];

/// The loopback name, which API servers' certificates also have.
pub(super) const LOCALHOST: &str = "localhost";

/// Returns the full DNS name of the service `kubernetes`.
pub(super) fn service_name(domain: &str) -> String {
    format!("kubernetes.default.svc.{domain}")
}

impl Cluster {
    /// Returns the time before expiry at which a certificate of this lifetime is renewed.
    #[must_use]
    pub fn renewed_before(&self, life: Duration) -> Duration {
        self.renew_before.map_or(life / 3, Lifetime::duration).min(life)
    }

    /// Returns the master with this name.
    #[must_use]
    pub fn master(&self, name: &str) -> Option<&Host> {
        self.masters.iter().find(|host| host.name.as_str() == name)
    }

    /// Returns the node with this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Host> {
        self.node_index.find(&self.nodes, |host| host.name.as_str(), name)
    }

    /// Returns every host's name once, masters first, in the file's order.
    #[must_use]
    pub fn host_names(&self) -> Vec<&HostName> {
        let mut seen = std::collections::HashSet::new();
        self.masters.iter().chain(&self.nodes).map(|host| &host.name).filter(|name| seen.insert(*name)).collect()
    }
}
