//! Assigns client certificates to their users: the verifier or a node.

use super::assembled::AssembledTarget;
use crate::cluster::profile::ADMINS;
use crate::pki::certificate::Certificate;
use crate::verify::finding::{Aspect, CheckId, Finding, Status};
use crate::verify::remedy::VerifierRemedy;
use crate::verify::target::{Identity, Peer, Place, Target};

/// The prefixes of nodes' user names: Kubernetes's own, and that of `accounts: kubelet`.
const NODE_USERS: [&str; 2] = ["system:node:", "kubelet:"];
/// The groups of nodes: Kubernetes's own, and that of `accounts: kubelet`.
const NODE_GROUPS: [&str; 2] = ["system:nodes", "kubelets"];
/// The groups of administrators: Kubernetes's, kubeadm's and clusterctl's.
const ADMIN_GROUPS: [&str; 3] = ["system:masters", "kubeadm:cluster-admins", ADMINS];

/// Returns true if a certificate has the account of a node.
pub(super) fn is_node(certificate: &Certificate) -> bool {
    let subject = &certificate.subject;
    let user = subject.common_names.last().map(String::as_str).unwrap_or_default();
    NODE_USERS.iter().any(|prefix| user.starts_with(prefix))
        || subject.organizations.iter().any(|group| NODE_GROUPS.contains(&group.as_str()))
}

/// Returns true if a certificate has a group of administrators.
pub(super) fn is_admin(certificate: &Certificate) -> bool {
    certificate.subject.organizations.iter().any(|group| ADMIN_GROUPS.contains(&group.as_str()))
}

/// Uses a client certificate as the verifier's, and records a finding: no node's client certificate was given.
pub(super) fn use_as_verifier(assembled: &mut AssembledTarget, client: Identity) {
    assembled.findings.push(no_node_account(&assembled.target, &client.certificate));
    (assembled.target.verifier, assembled.target.verifier_missing) = (Some(client), None);
}

fn no_node_account(target: &Target, certificate: &Certificate) -> Finding {
    let subject = &certificate.subject;
    let user = subject.common_names.last().map(String::as_str).unwrap_or_default();
    let host = target.endpoint.as_ref().map_or("", |endpoint| endpoint.name.as_str());
    let id = CheckId::at(Place::Endpoint, Aspect::Caller);
    let groups = subject.organizations.join(", ");
    Finding::new(id, Place::Endpoint, host, Status::Skipped)
        .saw(
            format!("{user} ({groups}) is not a node's account; it is used as the verifier"),
            "a node's own certificate",
        )
        .remedy(VerifierRemedy::NameKubeletCredentials)
}

/// Uses a client certificate as that of the node in its subject, which is added if the target has no such node.
pub(super) fn use_as_node(target: &mut Target, client: Identity) {
    let caller = Peer::client_only(String::new(), client);
    let user = caller.account.as_ref().map(|account| account.user.clone()).unwrap_or_default();
    let host = user.rsplit(':').next().unwrap_or(&user).to_owned();
    match target.nodes.iter_mut().find(|node| node.name == host) {
        Some(node) => {
            (node.client, node.account, node.account_checked) = (caller.client, caller.account, true);
        }
        None => target.nodes.push(Peer { name: host, ..caller }),
    }
}
