//! Which client connects to which server, and with what: other nodes, and the untrusted clients that every server must refuse.

use time::OffsetDateTime;

use super::target::{Identity, Peer, Target};
use crate::cluster::account::Account;
use crate::pki::authority::MintError;
use crate::pki::certificate::Certificate;
use crate::pki::forge;

/// Who calls whom, worked out once.
pub(super) struct Order {
    /// The first master, and the first node, that has a certificate to show.
    pub(super) first_master: Option<usize>,
    pub(super) first_node: Option<usize>,
    /// For each node the next one that is fit to connect to it as another node, else the next one; `None` where it is alone.
    pub(super) others: Vec<Option<usize>>,
    fit: Vec<bool>,
}

impl Order {
    pub(super) fn of(target: &Target, now: OffsetDateTime) -> Self {
        let first = |peers: &[Peer]| peers.iter().position(|peer| peer.client.is_some());
        let count = target.nodes.len();
        let fit: Vec<bool> = target.nodes.iter().map(|node| is_fit(node, target, now)).collect();
        let mut next = fit.iter().position(|fit| *fit);
        let mut others = vec![None; count];
        for at in (0..count).rev() {
            // Behind the last one it begins anew; a node is not another to itself.
            others[at] = next.filter(|next| *next != at).or_else(|| (count > 1).then(|| (at + 1) % count));
            if fit[at] {
                next = Some(at);
            }
        }
        Self { first_master: first(&target.masters), first_node: first(&target.nodes), others, fit }
    }

    /// What the node at a place in the target connects to another node with, or why it cannot.
    pub(super) fn other_node<'a>(&self, target: &'a Target, at: usize) -> Result<Option<&'a Identity>, String> {
        let node = &target.nodes[at];
        match &node.client {
            Some(_) if !self.fit[at] => Err(format!(
                "the certificate of {} here would be refused for itself, by its dates or its root",
                node.name
            )),
            Some(client) => Ok(Some(client)),
            None => Err(missing(node)),
        }
    }
}

/// Whether a node's certificate is in order, as far as its own words go: one that is not is refused for that, and its
/// refusal says nothing of how others fare.
fn is_fit(node: &Peer, target: &Target, now: OffsetDateTime) -> bool {
    node.client.as_ref().is_some_and(|client| {
        let certificate = &client.certificate;
        let by = |root: &Certificate| {
            let key_id = &certificate.authority_key_id;
            root.subject.der == certificate.issuer.der && (key_id.is_none() || *key_id == root.subject_key_id)
        };
        (certificate.not_before..=certificate.not_after).contains(&now)
            && certificate.has_extended_usage("clientAuth")
            && target.roots.iter().any(by)
    })
}

/// What a peer calls with; `Ok` always holds an identity.
pub(super) fn client(peer: &Peer) -> Result<Option<&Identity>, String> {
    peer.client.as_ref().map(Some).ok_or_else(|| missing(peer))
}

/// Why a peer has nothing to call with.
pub(super) fn missing(peer: &Peer) -> String {
    let why = peer.client_missing.clone();
    why.unwrap_or_else(|| format!("there is no client certificate of {} here", peer.name))
}

/// Certificates that say everything right and are worth nothing, for each kind of place.
pub(super) struct UntrustedClients {
    pub(super) at_nodes: Pair,
    pub(super) at_masters: Pair,
}

/// The two kinds of untrusted clients. A server may overlook one and refuse the other.
pub(super) struct Pair {
    /// Under our root's names, signed by nobody's key.
    forged: Option<Identity>,
    /// Of a root that nobody knows, which comes along.
    unknown: Option<Identity>,
}

impl UntrustedClients {
    pub(super) fn make(target: &Target) -> Result<Self, MintError> {
        let subject = |peers: &[Peer], fallback: &str| {
            let known = peers.iter().find_map(|peer| peer.client.as_ref()).map(|client| client.certificate.account());
            known.unwrap_or_else(|| Account { user: fallback.to_owned(), group: None })
        };
        Ok(Self {
            at_nodes: Pair::make(target, &subject(&target.masters, "kube-apiserver-kubelet-client"))?,
            at_masters: Pair::make(target, &subject(&target.nodes, "kubelet"))?,
        })
    }
}

impl Pair {
    fn make(target: &Target, subject: &Account) -> Result<Self, MintError> {
        let Some(root) = target.roots.first() else { return Ok(Self { forged: None, unknown: None }) };
        let (outsider, its_root) = forge::outsider(root, subject)?;
        let chain = [outsider.certificate.der().to_vec(), its_root.der().to_vec()];
        Ok(Self {
            forged: Identity::of(&forge::untrusted(root, subject)?).ok(),
            unknown: Identity::new(&chain, outsider.key.expose_pkcs8()).ok(),
        })
    }

    pub(super) fn forged(&self) -> Result<Option<&Identity>, String> {
        pretended(self.forged.as_ref())
    }

    pub(super) fn unknown(&self) -> Result<Option<&Identity>, String> {
        pretended(self.unknown.as_ref())
    }
}

fn pretended(identity: Option<&Identity>) -> Result<Option<&Identity>, String> {
    identity.map(Some).ok_or_else(|| "there is no root to pretend to".to_owned())
}
