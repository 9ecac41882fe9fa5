//! What a run is pointed at: the hosts, what is known of them beforehand, and the credentials that calls are made with.
//! It is built by the caller from a directory, a bundle or flags; nothing here reads a file.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::denials::ExpectedDenials;
pub use super::place::Place;
use super::remedy::TargetKind;
use crate::cluster::account::Account;
use crate::cluster::address::Address;
use crate::cluster::profile::{CertificateSpec, Profile};
use crate::cluster::spec::{Cluster, Host};
use crate::pki::certificate::{Certificate, CertificateError};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::Credential;
use crate::pki::pem::{self, Item, PemError};

/// A cluster to verify.
#[derive(Debug, Clone)]
pub struct Target {
    /// The cluster's name, for the report.
    pub cluster: String,
    /// Who made it, and what is at hand here.
    pub kind: TargetKind,
    /// Every certificate of the trust file.
    pub roots: Vec<Certificate>,
    /// What in the trust file is no certificate, in words.
    pub trust_faults: Vec<String>,
    /// What in the trust file Kubernetes passes over and does not belong there, in words.
    pub trust_notes: Vec<String>,
    /// The location as nodes have it, where it is not simply a master's own.
    pub endpoint: Option<Peer>,
    /// The masters, in the cluster file's order.
    pub masters: Vec<Peer>,
    /// The nodes, in the cluster file's order.
    pub nodes: Vec<Peer>,
    /// What the verifier itself calls with.
    pub verifier: Option<Identity>,
    /// Why there is no `verifier`, in words.
    pub verifier_missing: Option<String>,
    /// Certificate revocation lists, DER. Without one, `revoked` alone decides.
    pub crls: Vec<Vec<u8>>,
    /// What in the files of the lists is none, in words.
    pub crl_faults: Vec<String>,
    /// The certificates that are known to be revoked; `None` where no ledger was asked.
    pub revoked: Option<BTreeSet<Fingerprint>>,
    /// What API servers have to deny; `None` where that is not known.
    pub denials: Option<ExpectedDenials>,
}

/// A host that is dialled.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its name; for the endpoint, its host and port.
    pub name: String,
    /// Where it is dialled, each of them.
    pub addresses: Vec<Address>,
    /// TCP port, 1 to 65535.
    pub port: u16,
    /// What its certificate has to name besides the address dialled.
    pub names: Vec<Address>,
    /// What TLS asks for, and the certificate has to name, in place of all of these: a kubeconfig's `tls-server-name`.
    pub tls_name: Option<Address>,
    /// The serving certificate that was issued for it last, where that is known.
    pub issued: Option<Fingerprint>,
    /// What it calls others with: a master its kubelets, a node its masters.
    pub client: Option<Identity>,
    /// Why there is no `client`, in words: "no key for it here".
    pub client_missing: Option<String>,
    /// The account and groups that a node's client certificate stands for.
    pub account: Option<ExpectedAccount>,
    /// Whether it is dialled. One that is not can still be another node to others.
    pub dialled: bool,
    /// Whether every master is asked if it knows this node's account. Means nothing for a master.
    pub asked_for: bool,
}

impl Peer {
    /// A host that is dialled at one place, and of which nothing is known beforehand.
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
            asked_for: false,
        }
    }

    /// A host that is not dialled, and calls others with `client`: it should be known as what its certificate carries.
    #[must_use]
    pub fn caller(name: String, client: Identity) -> Self {
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
            asked_for: true,
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
const KUBEADMS_CA: &str = "kubernetes";
/// The account that kubeadm makes for an administrator, and its group since Kubernetes 1.29.
const KUBEADMS_ADMIN: &str = "kubernetes-admin";
const KUBEADMS_ADMINS: &str = "kubeadm:cluster-admins";

const NO_VERIFIER: &str = "there is no verifier's certificate here";

/// What is held of one certificate of the cluster: the answer that [`Target::of`] asks for.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// The certificate issued last, by the ledger or the file.
    pub issued: Option<Fingerprint>,
    /// The certificate with its key, where both are here.
    pub identity: Option<Identity>,
    /// Why there is no `identity`, in words: "pki/nodes/n1/kubelet-client.key: no such file".
    pub missing: Option<String>,
}

impl Target {
    /// A target in which nobody is yet.
    #[must_use]
    pub fn bare(cluster: String) -> Self {
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
        }
    }

    /// Adds every certificate of a trust file to the roots; what else is in it becomes a fault that `trust.anchor` reports.
    pub fn take_trust_file(&mut self, text: &[u8]) {
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
                Item::Key(..) | Item::EncryptedKey(_) => self.trust_notes.push("a private key is in it".to_owned()),
                Item::Csr(_) | Item::Crl(_) | Item::PublicKey(_) => {
                    self.trust_notes.push("something that is no certificate is in it".to_owned());
                }
            }
        }
    }

    /// The target that a cluster file describes. `held` says what is here of each certificate that the policy asks for.
    pub fn of(cluster: &Cluster, roots: Vec<Certificate>, mut held: impl FnMut(&CertificateSpec) -> Held) -> Self {
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
                asked_for: true,
            };
            for leaf in leaves {
                let found = held(&leaf);
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
            cluster.masters.iter().map(|host| peer(host, cluster.master_leaves(host), endpoint_name())).collect();
        let nodes = cluster.nodes.iter();
        let nodes = nodes.map(|host| peer(host, cluster.node_leaves(host), vec![host.name.to_address()])).collect();
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
            asked_for: false,
        });
        let verifier = held(&cluster.verifier_leaf());
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
        }
    }

    /// Restricts a run to the nodes that `wanted` names; the others only connect to them. Masters are dialled as ever.
    pub fn only_nodes(&mut self, wanted: impl Fn(&str) -> bool) {
        for node in &mut self.nodes {
            (node.dialled, node.asked_for) = (wanted(&node.name), wanted(&node.name));
        }
    }

    /// Restricts a run to the masters. Their nodes' accounts are still asked for.
    pub fn only_masters(&mut self) {
        for node in &mut self.nodes {
            node.dialled = false;
        }
    }

    /// Returns which tool made a cluster of which only files and addresses are known.
    ///
    /// kubeadm's CA is CN=kubernetes and nothing else, and its administrators are called kubernetes-admin. So is the CA of EKS,
    /// whose control plane its users cannot renew.
    #[must_use]
    pub fn by_another_tool(&self) -> TargetKind {
        let endpoint = self.endpoint.iter().flat_map(|peer| &peer.addresses).map(ToString::to_string);
        if endpoint.into_iter().any(|host| host.contains(".eks.amazonaws.com")) {
            return TargetKind::Other;
        }
        let is_kubeadms_root =
            |root: &Certificate| root.subject.common_names == [KUBEADMS_CA] && root.subject.organizations.is_empty();
        let clients = self.peers().filter_map(|(_, peer)| peer.client.as_ref()).chain(&self.verifier);
        let mut subjects = clients.map(|client| &client.certificate.subject);
        let is_kubeadms = self.roots.iter().any(is_kubeadms_root)
            || subjects.any(|subject| {
                subject.common_names.iter().any(|name| name == KUBEADMS_ADMIN)
                    || subject.organizations.iter().any(|group| group == KUBEADMS_ADMINS)
            });
        if is_kubeadms { TargetKind::Kubeadm } else { TargetKind::Other }
    }

    /// Whether the verifier itself calls. A recording has no key of it, and still says so.
    pub(super) fn has_verifier(&self) -> bool {
        self.verifier_missing.is_none()
    }

    /// True when there is anything to judge revocation by.
    pub(super) fn knows_revocation(&self) -> bool {
        !self.crls.is_empty() || !self.crl_faults.is_empty() || self.revoked.is_some()
    }

    /// The nodes whose accounts are asked for, with their positions.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (usize, &Peer)> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.asked_for)
    }

    /// The peer at a position of [`Self::peers`].
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

    /// Every peer with its place: endpoint, masters, nodes. The order of observations and findings.
    pub fn peers(&self) -> impl Iterator<Item = (Place, &Peer)> {
        let endpoint = self.endpoint.iter().map(|peer| (Place::Endpoint, peer));
        let masters = self.masters.iter().map(|peer| (Place::Master, peer));
        endpoint.chain(masters).chain(self.nodes.iter().map(|peer| (Place::Node, peer)))
    }
}

/// A client certificate with its key, ready to be shown to a server. The key cannot be read back, and `Debug` shows the
/// certificate's fingerprint only.
#[derive(Clone)]
pub struct Identity {
    /// The leaf.
    pub certificate: Arc<Certificate>,
    pub(super) key: Arc<CertifiedKey>,
    /// What is presented where the server takes no signature of `key`.
    pub(super) other: Option<Arc<Identity>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.certificate.fingerprint())
    }
}

/// Why a certificate and a key are no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No certificate at all.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// A file is not PEM, or damaged.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The leaf cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The key file holds none, or an encrypted one.
    #[error("there is no private key in the clear")]
    NoKey,
    /// The key is of a kind that TLS cannot use here.
    #[error("the key cannot be used: {0}")]
    Key(String),
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    KeyDoesNotFit,
}

impl Identity {
    /// Takes a chain, leaf first, and its key as PKCS#8, SEC 1 or PKCS#1 DER.
    ///
    /// # Errors
    /// When the two cannot be used together.
    pub fn new(chain: &[Vec<u8>], key_der: &[u8]) -> Result<Self, IdentityError> {
        let leaf = chain.first().ok_or(IdentityError::NoCertificate)?;
        let certificate = Arc::new(Certificate::from_der(leaf.clone())?);
        let unusable = |reason: String| IdentityError::Key(reason);
        let der = PrivateKeyDer::try_from(key_der).map_err(|reason| unusable(reason.to_owned()))?;
        let key = any_supported_type(&der).map_err(|error| unusable(error.to_string()))?;
        let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                Err(IdentityError::KeyDoesNotFit)
            }
            // What webpki cannot read may still be presented: the server judges it.
            Ok(()) | Err(_) => Ok(Self { certificate, key: Arc::new(key), other: None }),
        }
    }

    /// Takes a chain, leaf first, and its key in any of the three PEM forms.
    ///
    /// # Errors
    /// When one of them cannot be read, or the two cannot be used together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = pem::certificates(chain)?;
        let key = pem::read_all(key)?.into_iter().find_map(|item| match item {
            Item::Key(_, secret) => Some(secret),
            _ => None,
        });
        Self::new(&chain, key.ok_or(IdentityError::NoKey)?.expose())
    }

    /// With another identity that is presented where a server takes no signature of this one's key.
    pub(super) fn or_else_with(self, other: Self) -> Self {
        Self { other: Some(Arc::new(other)), ..self }
    }

    /// The certificate and key to present to a server that takes signatures of `schemes`.
    pub(super) fn for_schemes(&self, schemes: &[SignatureScheme]) -> Option<&Self> {
        let signs = self.key.key.choose_scheme(schemes).is_some();
        if signs { Some(self) } else { self.other.as_ref()?.for_schemes(schemes) }
    }

    /// Takes a credential of ours.
    ///
    /// # Errors
    /// When its key does not fit.
    pub fn of(credential: &Credential) -> Result<Self, IdentityError> {
        let chain: Vec<Vec<u8>> = credential.certificates().map(|sent| sent.der().to_vec()).collect();
        Self::new(&chain, credential.key.expose_pkcs8())
    }
}
