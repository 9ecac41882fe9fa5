//! The target of a run: its hosts, what is known about them before the run, and the credentials to connect with. The
//! caller builds it from a directory, a bundle or flags; nothing here reads a file.

use std::collections::BTreeSet;

use super::denials::ExpectedDenials;
pub use super::identity::{Identity, IdentityError};
use super::phase::ExpectedPhase;
pub use super::place::Place;
use super::remedy::TargetKind;
use super::token_keys::ExpectedTokenKeys;
use crate::cluster::account::Account;
use crate::cluster::address::Address;
use crate::cluster::profile::{CertificateSpec, Profile};
use crate::cluster::spec::{Cluster, Host};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem::{self, Item};

/// A cluster to verify.
#[derive(Debug, Clone)]
pub struct Target {
    /// The cluster's name, for the report.
    pub cluster: String,
    /// The tool that made it, and which of its files are available here.
    pub kind: TargetKind,
    /// Every certificate of the trust file.
    pub roots: Vec<Certificate>,
    /// The parts of the trust file that are not certificates.
    pub trust_faults: Vec<String>,
    /// The parts of the trust file that Kubernetes ignores and that do not belong there.
    pub trust_notes: Vec<String>,
    /// The API servers' address as nodes have it, unless it is a control-plane node's own.
    pub endpoint: Option<Peer>,
    /// The control-plane nodes, in the cluster file's order.
    pub masters: Vec<Peer>,
    /// The nodes, in the cluster file's order.
    pub nodes: Vec<Peer>,
    /// The verifier's own identity.
    pub verifier: Option<Identity>,
    /// The reason why there is no `verifier`.
    pub verifier_missing: Option<String>,
    /// Certificate revocation lists, DER. Without a CRL, only `revoked` decides.
    pub crls: Vec<Vec<u8>>,
    /// The parts of the CRL files that are not CRLs.
    pub crl_faults: Vec<String>,
    /// The certificates that are known to be revoked; `None` without a ledger.
    pub revoked: Option<BTreeSet<Fingerprint>>,
    /// The certificates that API servers have to deny; `None` if they are not known.
    pub denials: Option<ExpectedDenials>,
    /// The phase of the rotation that the run proves; `None` if none was asked for.
    pub phase: Option<ExpectedPhase>,
    /// The members of etcd, if the run proves a phase of the rotation of etcd's CA.
    pub etcd: Option<EtcdMembers>,
    /// The keys of service accounts, if the run proves a phase of their rotation.
    pub token_keys: Option<ExpectedTokenKeys>,
}

/// The members of etcd.
#[derive(Debug, Clone)]
pub struct EtcdMembers {
    /// The roots that members and their clients trust.
    pub roots: Vec<Certificate>,
    /// The sockets: for each member that for clients, and that for peers.
    pub sockets: Vec<Peer>,
}

/// A host that is dialled.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its name; for the endpoint, its host and port.
    pub name: String,
    /// All addresses at which it is dialled.
    pub addresses: Vec<Address>,
    /// TCP port, 1 to 65535.
    pub port: u16,
    /// The names that its certificate must have besides the address dialled.
    pub names: Vec<Address>,
    /// The server name for TLS, which replaces `addresses` and `names` in the checks: a kubeconfig's `tls-server-name`.
    pub tls_name: Option<Address>,
    /// The serving certificate that was issued for it last, if known.
    pub issued: Option<Fingerprint>,
    /// Its client identity: a control-plane node's for kubelets, a node's for API servers.
    pub client: Option<Identity>,
    /// The reason why there is no `client`.
    pub client_missing: Option<String>,
    /// The account and groups that a node's client certificate authenticates.
    pub account: Option<ExpectedAccount>,
    /// Whether it is dialled. A node that is not dialled can still connect to other nodes.
    pub dialled: bool,
    /// Whether a node's account is checked at every API server.
    pub account_checked: bool,
}

impl Peer {
    /// Creates a peer that is dialled at one address, without further information.
    #[must_use]
    pub fn at(name: String, address: Address, port: u16) -> Self {
        Self {
            name,
            addresses: vec![address],
            port,
            names: Vec::new(),
            tls_name: None,
            issued: None,
            client: None,
            client_missing: None,
            account: None,
            dialled: true,
            account_checked: false,
        }
    }

    /// Creates a peer that is not dialled, and does not connect to others: `missing` is the reason.
    #[must_use]
    pub fn without_client(name: String, missing: String) -> Self {
        Self {
            name,
            addresses: Vec::new(),
            port: 0,
            names: Vec::new(),
            tls_name: None,
            issued: None,
            client: None,
            client_missing: Some(missing),
            account: None,
            dialled: false,
            account_checked: true,
        }
    }

    /// Creates a peer that is not dialled and only connects with `client`: its account is expected to be its
    /// certificate's.
    #[must_use]
    pub fn client_only(name: String, client: Identity) -> Self {
        let (user, groups) = {
            let subject = &client.certificate.subject;
            (subject.common_names.last().cloned().unwrap_or_default(), subject.organizations.clone())
        };
        Self {
            name,
            addresses: Vec::new(),
            port: 0,
            names: Vec::new(),
            tls_name: None,
            issued: None,
            client: Some(client),
            client_missing: None,
            account: Some(ExpectedAccount { user, groups }),
            dialled: false,
            account_checked: true,
        }
    }
}

/// An account as the API server should see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedAccount {
    /// User name.
    pub user: String,
    /// Groups from the certificate; `system:authenticated` is added by the API server and not listed here.
    pub groups: Vec<String>,
}

impl From<&Account> for ExpectedAccount {
    fn from(account: &Account) -> Self {
        Self { user: account.user.clone(), groups: account.group.iter().cloned().collect() }
    }
}

/// The common name of kubeadm's CA.
const KUBEADM_CA: &str = "kubernetes";

/// The account that kubeadm creates for an administrator, and its group since Kubernetes 1.29.
const KUBEADM_ADMIN: &str = "kubernetes-admin";

const KUBEADM_ADMIN_GROUP: &str = "kubeadm:cluster-admins";

const NO_VERIFIER: &str = "there is no verifier's certificate here";

/// The known facts about one certificate of the cluster, for [`Target::of`].
#[derive(Debug, Clone, Default)]
pub struct KnownCredential {
    /// The certificate issued last, by the ledger or the file.
    pub issued: Option<Fingerprint>,
    /// The certificate with its key, if both are here.
    pub identity: Option<Identity>,
    /// The reason why there is no `identity`, such as "pki/nodes/n1/kubelet-client.key: no such file".
    pub missing: Option<String>,
}

impl Target {
    /// Creates a target without peers.
    #[must_use]
    pub fn empty(cluster: String) -> Self {
        let (roots, trust_faults) = (Vec::new(), Vec::new());
        Self {
            cluster,
            kind: TargetKind::default(),
            roots,
            trust_faults,
            trust_notes: Vec::new(),
            endpoint: None,
            masters: Vec::new(),
            nodes: Vec::new(),
            verifier: None,
            verifier_missing: Some(NO_VERIFIER.to_owned()),
            crls: Vec::new(),
            crl_faults: Vec::new(),
            revoked: None,
            denials: None,
            phase: None,
            etcd: None,
            token_keys: None,
        }
    }

    /// Adds every certificate of a trust file to the roots; anything else in it is reported by `trust.anchor`.
    pub fn add_trust_file(&mut self, text: &[u8]) {
        let items = match pem::read_all(text) {
            Ok(items) => items,
            Err(error) => return self.trust_faults.push(error.to_string()),
        };
        for item in items {
            match item {
                Item::Certificate(der) => match Certificate::from_der(der) {
                    Ok(certificate) => self.roots.push(certificate),
                    Err(error) => self.trust_faults.push(error.to_string()),
                },
                Item::Key(..) | Item::EncryptedKey(_) => self.trust_notes.push("it contains a private key".to_owned()),
                Item::Csr(_) | Item::Crl(_) | Item::PublicKey(_) => {
                    self.trust_notes.push("it contains more than certificates".to_owned());
                }
            }
        }
    }

    /// Creates the target that a cluster file describes. `known` returns the known facts about each certificate.
    pub fn of(
        cluster: &Cluster,
        roots: Vec<Certificate>,
        mut known: impl FnMut(&CertificateSpec) -> KnownCredential,
    ) -> Self {
        let at =
            |master: &Host| master.port == cluster.endpoint.port && master.addresses.contains(&cluster.endpoint.host);
        let shared = cluster.masters.iter().any(at);
        let mut peer = |host: &Host, leaves: Vec<CertificateSpec>, names: Vec<Address>| {
            let mut peer = Peer {
                name: host.name.to_string(),
                addresses: host.addresses.clone(),
                port: host.port,
                names,
                tls_name: None,
                issued: None,
                client: None,
                client_missing: None,
                account: None,
                dialled: true,
                account_checked: true,
            };
            for leaf in leaves {
                let found = known(&leaf);
                match leaf.profile {
                    Profile::Apiserver | Profile::KubeletServer => peer.issued = found.issued,
                    Profile::ApiserverKubeletClient | Profile::KubeletClient => {
                        peer.account = Some(ExpectedAccount::from(&leaf.subject));
                        (peer.client, peer.client_missing) = (found.identity, found.missing);
                    }
                    _ => {}
                }
            }
            peer
        };
        let endpoint_name = || if shared { Vec::new() } else { vec![cluster.endpoint.host.clone()] };
        let masters =
            cluster.masters.iter().map(|host| peer(host, cluster.master_specs(host), endpoint_name())).collect();
        let nodes = cluster.nodes.iter();
        let nodes = nodes.map(|host| peer(host, cluster.node_specs(host), vec![host.name.to_address()])).collect();
        let endpoint = (!shared).then(|| Peer {
            name: format!("{}:{}", cluster.endpoint.host.for_url(), cluster.endpoint.port),
            addresses: vec![cluster.endpoint.host.clone()],
            port: cluster.endpoint.port,
            names: Vec::new(),
            tls_name: None,
            issued: None,
            client: None,
            client_missing: None,
            account: None,
            dialled: true,
            account_checked: false,
        });
        let verifier = known(&cluster.verifier_spec());
        Self {
            cluster: cluster.name.to_string(),
            kind: TargetKind::default(),
            roots,
            trust_faults: Vec::new(),
            trust_notes: Vec::new(),
            endpoint,
            masters,
            nodes,
            verifier_missing: verifier.missing.or_else(|| verifier.identity.is_none().then(|| NO_VERIFIER.to_owned())),
            verifier: verifier.identity,
            crls: Vec::new(),
            crl_faults: Vec::new(),
            revoked: None,
            denials: None,
            phase: None,
            etcd: None,
            token_keys: None,
        }
    }

    /// Restricts a run to the nodes that `wanted` names; the others only connect to them. Control-plane nodes are
    /// always dialled.
    pub fn only_nodes(&mut self, wanted: impl Fn(&str) -> bool) {
        for node in &mut self.nodes {
            (node.dialled, node.account_checked) = (wanted(&node.name), wanted(&node.name));
        }
    }

    /// Restricts a run to the control-plane nodes. Nodes' accounts are still checked.
    pub fn only_masters(&mut self) {
        for node in &mut self.nodes {
            node.dialled = false;
        }
    }

    /// Returns the tool that created a cluster, given only its files and addresses.
    ///
    /// kubeadm's CA is CN=kubernetes, and its administrators are called kubernetes-admin. EKS gives its CA
    /// the same name, but its users cannot renew its control plane.
    #[must_use]
    pub fn by_another_tool(&self) -> TargetKind {
        let endpoint = self.endpoint.iter().flat_map(|peer| &peer.addresses).map(ToString::to_string);
        if endpoint.into_iter().any(|host| host.contains(".eks.amazonaws.com")) {
            return TargetKind::Other;
        }
        let is_kubeadms_root =
            |root: &Certificate| root.subject.common_names == [KUBEADM_CA] && root.subject.organizations.is_empty();
        let clients = self.peers().filter_map(|(_, peer)| peer.client.as_ref()).chain(&self.verifier);
        let mut subjects = clients.map(|client| &client.certificate.subject);
        let is_kubeadms = self.roots.iter().any(is_kubeadms_root)
            || subjects.any(|subject| {
                subject.common_names.iter().any(|name| name == KUBEADM_ADMIN)
                    || subject.organizations.iter().any(|group| group == KUBEADM_ADMIN_GROUP)
            });
        if is_kubeadms { TargetKind::Kubeadm } else { TargetKind::Other }
    }

    /// Returns true if the verifier itself connects. A recording contains this, but not the key.
    pub(super) fn has_verifier(&self) -> bool {
        self.verifier_missing.is_none()
    }

    /// Returns true if CRLs or a ledger provide revocations.
    #[must_use]
    pub fn knows_revocation(&self) -> bool {
        !self.crls.is_empty() || !self.crl_faults.is_empty() || self.revoked.is_some()
    }

    /// Returns the nodes whose accounts are checked, with their positions.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (usize, &Peer)> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.account_checked)
    }

    /// Returns the node as whose kubelet the run connects to each API server.
    ///
    /// It is the first one whose client certificate and key are here, which hosts that made their own keys keep.
    pub(super) fn calling_node(&self) -> Option<usize> {
        let with_client = self.accounts().find(|(_, node)| node.client.is_some());
        with_client.or_else(|| self.accounts().next()).map(|(at, _)| at)
    }

    /// Returns the peer at a position of [`Self::peers`].
    pub(super) fn peer(&self, at: usize) -> Option<(Place, &Peer)> {
        let (endpoint, masters) = (usize::from(self.endpoint.is_some()), self.masters.len());
        if at < endpoint {
            return self.endpoint.as_ref().map(|peer| (Place::Endpoint, peer));
        }
        match self.masters.get(at - endpoint) {
            Some(master) => Some((Place::Master, master)),
            None => self.nodes.get(at - endpoint - masters).map(|node| (Place::Node, node)),
        }
    }

    /// Returns every peer with its role, in the order of observations and findings: endpoint, control-plane nodes,
    /// nodes.
    pub fn peers(&self) -> impl Iterator<Item = (Place, &Peer)> {
        let endpoint = self.endpoint.iter().map(|peer| (Place::Endpoint, peer));
        let masters = self.masters.iter().map(|peer| (Place::Master, peer));
        endpoint.chain(masters).chain(self.nodes.iter().map(|peer| (Place::Node, peer)))
    }
}
