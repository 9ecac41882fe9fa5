//! Assembles the target that single files and addresses describe, for clusters that another tool created.

use std::path::Path;

use zeroize::Zeroizing;

use super::assembled::{AssembledTarget, LIMIT};
use super::clients::{is_admin, use_as_node, use_as_verifier};
use super::endpoint::{endpoint_peer, parse_endpoint};
use super::error::{TargetError, VerifyError};
use super::kubeconfig;
use super::node;
use super::options::{CredentialFiles, TargetFiles};
use crate::app::{Error, input};
use crate::verify::target::{Identity, Peer, Target};

/// Returns the target. Each of `nodes` is `NAME=HOST[:PORT]`.
///
/// # Errors
/// Returns an error if a file cannot be read or used, or an option is missing.
pub(super) fn target(named: &TargetFiles, nodes: &[String]) -> Result<AssembledTarget, Error> {
    let mut assembled = match &named.kubeconfig {
        Some(path) => kubeconfig::target(path, named.context.as_deref())?,
        None => {
            let endpoint = named.endpoint.as_deref().map(parse_endpoint).transpose().map_err(VerifyError::Target)?;
            let name = endpoint.as_ref().map_or_else(|| "cluster".to_owned(), ToString::to_string);
            let mut target = Target::empty(name);
            target.endpoint = endpoint.map(endpoint_peer);
            target.into()
        }
    };
    if let Some(path) = &named.ca {
        assembled.target.add_trust_file(&input::read_named(path, LIMIT, "trust file")?);
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
    let pem = input::read_named(&files.certificate, LIMIT, "certificate")?;
    let key = Zeroizing::new(input::read_named(&files.key, LIMIT, "key")?);
    let path: &Path = &files.certificate;
    let unusable = |reason| VerifyError::Target(TargetError::Identity { owner, path: path.to_owned(), reason });
    Ok(Identity::from_pem(&pem, &key).map_err(unusable)?)
}
