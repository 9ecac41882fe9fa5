//! The clients of a run: which other node connects to which node, and the untrusted clients that every server must
//! refuse.

use rustls::{SignatureAlgorithm, SignatureScheme};
use time::OffsetDateTime;

use super::observation::Untrusted;
use super::target::{Identity, Peer, Place, Target};
use crate::cluster::account::Account;
use crate::cluster::key_kind::KeyKind;
use crate::pki::certificate::Certificate;
use crate::pki::chain::{Purpose, best_path};
use crate::pki::untrusted::{self, UntrustedKey, UntrustedKind};

/// The assignment of clients to servers, computed once.
pub(super) struct ClientPlan {
    /// The first control-plane node with a client certificate.
    pub(super) first_master: Option<usize>,
    pub(super) first_node: Option<usize>,
    /// For each node, the next node with a valid certificate, or else the next node; `None` if there is only one node.
    pub(super) others: Vec<Option<usize>>,
    valid: Vec<bool>,
}

impl ClientPlan {
    pub(super) fn of(target: &Target, now: OffsetDateTime) -> Self {
        let first = |peers: &[Peer]| peers.iter().position(|peer| peer.client.is_some());
        let count = target.nodes.len();
        let valid: Vec<bool> = target.nodes.iter().map(|node| is_valid(node, target, now)).collect();
        let mut next = valid.iter().position(|valid| *valid);
        let mut others = vec![None; count];
        for at in (0..count).rev() {
            // The node after the last one is the first; a node is never its own other node.
            others[at] = next.filter(|next| *next != at).or_else(|| (count > 1).then(|| (at + 1) % count));
            if valid[at] {
                next = Some(at);
            }
        }
        Self { first_master: first(&target.masters), first_node: first(&target.nodes), others, valid }
    }

    /// Returns the identity with which a node connects to another node, or the reason why it cannot.
    pub(super) fn other_node<'a>(&self, target: &'a Target, at: usize) -> Result<Option<&'a Identity>, String> {
        let node = &target.nodes[at];
        match &node.client {
            Some(_) if !self.valid[at] => {
                Err(format!("the certificate of {} here would be refused for its own dates or root", node.name))
            }
            Some(client) => Ok(Some(client)),
            None => Err(missing(node)),
        }
    }
}

/// Returns true if a node's certificate is valid by its own content. An invalid certificate is refused for that reason,
/// which proves nothing about other nodes.
fn is_valid(node: &Peer, target: &Target, now: OffsetDateTime) -> bool {
    node.client.as_ref().is_some_and(|client| {
        let certificate = &client.certificate;
        let by = |root: &Certificate| {
            let key_id = &certificate.authority_key_id;
            root.subject.der == certificate.issuer.der && (key_id.is_none() || *key_id == root.subject_key_id)
        };
        (certificate.not_before..=certificate.not_after).contains(&now)
            && certificate.has_extended_usage("clientAuth")
            && (target.roots.iter().any(by) || leads_to_a_root(client, &target.roots, now))
    })
}

/// Returns true if the intermediates that a client sends lead from its certificate to a root.
fn leads_to_a_root(client: &Identity, roots: &[Certificate], now: OffsetDateTime) -> bool {
    let Ok(intermediates) = client.intermediates() else { return false };
    !intermediates.is_empty()
        && best_path(&client.certificate, &intermediates, roots, Purpose::Client, now)
            .is_ok_and(|path| path.violations.is_empty())
}

/// Returns a peer's identity; `Ok` always holds one.
pub(super) fn identity_of(peer: &Peer) -> Result<Option<&Identity>, String> {
    peer.client.as_ref().map(Some).ok_or_else(|| missing(peer))
}

/// Returns the reason why a peer has no client identity.
pub(super) fn missing(peer: &Peer) -> String {
    let why = peer.client_missing.clone();
    why.unwrap_or_else(|| format!("there is no client certificate of {} here", peer.name))
}

/// Clients whose certificates no server may accept, for kubelets and API servers.
pub(super) struct UntrustedClients {
    pub(super) at_nodes: Vec<UntrustedClient>,
    pub(super) at_masters: Vec<UntrustedClient>,
}

/// An untrusted client, or the reason why it cannot be created.
pub(super) type UntrustedClient = (Untrusted, Result<Identity, String>);

impl UntrustedClients {
    pub(super) fn make(target: &Target) -> Self {
        let of = |place: Place, permitted: &[Peer], fallback: &str| {
            let permitted = permitted.iter().find_map(|peer| peer.client.as_ref());
            let account = permitted.map(|client| client.certificate.account());
            let account = account.unwrap_or_else(|| Account { user: fallback.to_owned(), group: None });
            let kind = permitted.map_or(UntrustedKey::New(KeyKind::EcdsaP256), kind_of_key);
            let client = |kind_of_client: &Untrusted| {
                let made = target.roots.first().ok_or_else(|| "there is no root to imitate".to_owned());
                (*kind_of_client, made.and_then(|root| untrusted(*kind_of_client, root, &account, kind)))
            };
            Untrusted::at(place).iter().map(client).collect()
        };
        Self {
            at_nodes: of(Place::Node, &target.masters, "kube-apiserver-kubelet-client"),
            at_masters: of(Place::Master, &target.nodes, "kubelet"),
        }
    }
}

/// Returns the kind of an identity's key, so that an untrusted client gets as far in a handshake as the permitted one.
fn kind_of_key(client: &Identity) -> UntrustedKey {
    let signs = |scheme| client.key.key.choose_scheme(&[scheme]).is_some();
    match client.key.key.algorithm() {
        SignatureAlgorithm::RSA => UntrustedKey::Rsa,
        SignatureAlgorithm::ED25519 => UntrustedKey::New(KeyKind::Ed25519),
        _ if signs(SignatureScheme::ECDSA_NISTP384_SHA384) => UntrustedKey::New(KeyKind::EcdsaP384),
        _ => UntrustedKey::New(KeyKind::EcdsaP256),
    }
}

/// Creates an untrusted client. It has a second key, RSA or ECDSA, for servers that accept no signatures of the first.
fn untrusted(kind: Untrusted, root: &Certificate, permitted: &Account, key: UntrustedKey) -> Result<Identity, String> {
    let masters = || Account { user: "kubernetes-admin".to_owned(), group: Some("system:masters".to_owned()) };
    let (forgery, subject) = match kind {
        Untrusted::ForgedCa => (UntrustedKind::ForgedIssuer, permitted.clone()),
        Untrusted::UnknownCa => (UntrustedKind::OtherCaSent, permitted.clone()),
        Untrusted::LoneLeaf => (UntrustedKind::OtherCa, permitted.clone()),
        Untrusted::SelfSigned => (UntrustedKind::SelfSigned, permitted.clone()),
        Untrusted::UnknownCaMasters => (UntrustedKind::OtherCaSent, masters()),
        Untrusted::ForgedRoot => (UntrustedKind::ForgedIssuerSent, permitted.clone()),
        Untrusted::LoneLeafMasters => (UntrustedKind::OtherCa, masters()),
        Untrusted::SelfSignedMasters => (UntrustedKind::SelfSigned, masters()),
    };
    let make = |key| {
        let failed = |error: &dyn std::fmt::Display| format!("no untrusted certificate could be made: {error}");
        let forged = untrusted::untrusted(forgery, root, &subject, key).map_err(|error| failed(&error))?;
        let chain: Vec<Vec<u8>> = forged.chain.iter().map(|certificate| certificate.der().to_vec()).collect();
        Identity::new(&chain, forged.pkcs8()).map_err(|error| failed(&error))
    };
    let other = if key == UntrustedKey::Rsa { UntrustedKey::New(KeyKind::EcdsaP256) } else { UntrustedKey::Rsa };
    Ok(make(key)?.with_fallback(make(other)?))
}
