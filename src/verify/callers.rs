//! Who calls whom, and with what: the neighbours, and the strangers whom everybody must refuse.

use time::OffsetDateTime;

use super::target::{Identity, Peer, Target};
use crate::cluster::account::Account;
use crate::pki::authority::MintError;
use crate::pki::forge;

/// Who calls whom, worked out once.
pub(super) struct Order {
    /// The first master, and the first node, that has a certificate to show.
    pub(super) first_master: Option<usize>,
    pub(super) first_node: Option<usize>,
    /// For each node the next one that has a certificate to show, else the next one; `None` where it is alone.
    pub(super) neighbours: Vec<Option<usize>>,
}

impl Order {
    pub(super) fn of(target: &Target) -> Self {
        let first = |peers: &[Peer]| peers.iter().position(|peer| peer.client.is_some());
        let count = target.nodes.len();
        let first_node = first(&target.nodes);
        let mut next = first_node;
        let mut neighbours = vec![None; count];
        for at in (0..count).rev() {
            // Behind the last one it begins anew; a node is not its own neighbour.
            neighbours[at] = next.filter(|next| *next != at).or_else(|| (count > 1).then(|| (at + 1) % count));
            if target.nodes[at].client.is_some() {
                next = Some(at);
            }
        }
        Self { first_master: first(&target.masters), first_node, neighbours }
    }
}

/// Certificates that say everything right and are signed by nobody's key.
pub(super) struct Strangers {
    pub(super) at_nodes: Option<Identity>,
    pub(super) at_masters: Option<Identity>,
}

impl Strangers {
    pub(super) fn make(target: &Target, now: OffsetDateTime) -> Result<Self, MintError> {
        let Some(root) = target.roots.first() else { return Ok(Self { at_nodes: None, at_masters: None }) };
        let subject = |peers: &[Peer], fallback: &str| {
            let known = peers.iter().find_map(|peer| peer.client.as_ref()).map(|client| client.certificate.account());
            known.unwrap_or_else(|| Account { user: fallback.to_owned(), group: None })
        };
        let make = |subject: Account| -> Result<Option<Identity>, MintError> {
            Ok(Identity::of(&forge::stranger(root, &subject, now)?).ok())
        };
        Ok(Self {
            at_nodes: make(subject(&target.masters, "kube-apiserver-kubelet-client"))?,
            at_masters: make(subject(&target.nodes, "kubelet"))?,
        })
    }
}
