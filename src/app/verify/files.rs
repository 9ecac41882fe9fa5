//! The target that single files and addresses describe, for clusters that another tool made.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::{TargetError, VerifyError};
use super::kubeconfig;
use super::node;
use super::target::AssembledTarget;
use crate::app::{Error, input};
use crate::cluster::endpoint::Endpoint;
use crate::cluster::profile::ADMINS;
use crate::pki::certificate::Certificate;
use crate::verify::finding::{Aspect, CheckId, Finding, Status};
use crate::verify::remedy::VerifierRemedy;
use crate::verify::target::{Identity, Peer, Place, Target};

/// The largest bundle, trust file or kubeconfig that is read, in bytes.
pub(super) const LIMIT: u64 = 16 << 20;
/// The prefixes of nodes' user names: Kubernetes's own, and that of `accounts: kubelet`.
const NODE_USERS: [&str; 2] = ["system:node:", "kubelet:"];
/// The groups of nodes: Kubernetes's own, and that of `accounts: kubelet`.
const NODE_GROUPS: [&str; 2] = ["system:nodes", "kubelets"];
/// The groups of administrators: Kubernetes's, kubeadm's and clusterctl's.
const ADMIN_GROUPS: [&str; 3] = ["system:masters", "kubeadm:cluster-admins", ADMINS];

/// The files and addresses of a target.
#[derive(Debug, Clone, Default)]
pub struct TargetFiles {
    /// A kubeconfig with the endpoint, the CAs and a client certificate.
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context; its current context where `None`.
    pub context: Option<String>,
    /// The CAs to trust, PEM.
    pub ca: Option<PathBuf>,
    /// The masters' endpoint, `https://HOST:PORT`.
    pub endpoint: Option<String>,
    /// The client certificate with which masters connect to nodes.
    pub master: Option<CredentialFiles>,
    /// The client certificate with which a node connects to masters.
    pub node: Option<CredentialFiles>,
}

/// The files of a certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct CredentialFiles {
    /// The certificate, with its chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Returns the target. Each of `nodes` is `NAME=HOST[:PORT]`.
///
/// # Errors
/// When a file cannot be read or used, or an option is missing.
pub(super) fn target(named: &TargetFiles, nodes: &[String]) -> Result<AssembledTarget, Error> {
    let mut assembled = match &named.kubeconfig {
        Some(path) => kubeconfig::target(path, named.context.as_deref())?,
        None => {
            let endpoint = named.endpoint.as_deref().map(parse_endpoint).transpose().map_err(VerifyError::Target)?;
            let name = endpoint.as_ref().map_or_else(|| "cluster".to_owned(), ToString::to_string);
            let mut target = Target::bare(name);
            target.endpoint = endpoint.map(endpoint_peer);
            target.into()
        }
    };
    if let Some(path) = &named.ca {
        assembled.target.take_trust_file(&input::read_or_wait(path, LIMIT, "trust file")?);
    }
    add_nodes(&mut assembled.target, nodes).map_err(VerifyError::Target)?;
    if let Some(files) = &named.master {
        let client = identity("master", files)?;
        assembled.target.masters.push(Peer::client_only("master".to_owned(), client));
    }
    if let Some(files) = &named.node {
        let client = identity("node", files)?;
        match is_admin(&client.certificate) {
            true => use_as_verifier(&mut assembled, client),
            false => use_as_node(&mut assembled.target, client),
        }
    }
    assembled.target.kind = assembled.target.by_another_tool();
    Ok(assembled)
}

fn add_nodes(target: &mut Target, nodes: &[String]) -> Result<(), TargetError> {
    if target.roots.is_empty() && target.trust_faults.is_empty() && target.trust_notes.is_empty() {
        return Err(TargetError::NoRoots);
    }
    for text in nodes {
        let peer = node::parse(text).map_err(|reason| TargetError::Node { text: text.clone(), reason })?;
        node::add(target, peer)?;
    }
    if target.endpoint.is_none() && nodes.is_empty() {
        return Err(TargetError::NoPeers);
    }
    Ok(())
}

fn identity(owner: &'static str, files: &CredentialFiles) -> Result<Identity, Error> {
    let pem = input::read_or_wait(&files.certificate, LIMIT, "certificate")?;
    let key = Zeroizing::new(input::read_or_wait(&files.key, LIMIT, "key")?);
    let path: &Path = &files.certificate;
    let unusable = |reason| VerifyError::Target(TargetError::Identity { owner, path: path.to_owned(), reason });
    Ok(Identity::from_pem(&pem, &key).map_err(unusable)?)
}

/// Returns true when a certificate has the account of a node.
pub(super) fn is_node(certificate: &Certificate) -> bool {
    let subject = &certificate.subject;
    let user = subject.common_names.last().map(String::as_str).unwrap_or_default();
    NODE_USERS.iter().any(|prefix| user.starts_with(prefix))
        || subject.organizations.iter().any(|group| NODE_GROUPS.contains(&group.as_str()))
}

/// Returns true when a certificate has a group of administrators.
fn is_admin(certificate: &Certificate) -> bool {
    certificate.subject.organizations.iter().any(|group| ADMIN_GROUPS.contains(&group.as_str()))
}

/// Connects with a client certificate as the verifier: no node's account is here, which a finding says.
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

/// Connects with a client certificate as the node of its account: one of the target's, or another that is not verified itself.
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

pub(super) fn parse_endpoint(text: &str) -> Result<Endpoint, TargetError> {
    // DNS knows no case, and cloud providers write capitals.
    Endpoint::parse(&text.to_ascii_lowercase())
        .map_err(|reason| TargetError::Endpoint { text: text.to_owned(), reason })
}

pub(super) fn endpoint_peer(endpoint: Endpoint) -> Peer {
    let name = format!("{}:{}", endpoint.host.for_url(), endpoint.port);
    Peer::at(name, endpoint.host, endpoint.port)
}
