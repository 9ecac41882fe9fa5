//! Compares the SSH key that signed a request with the known keys of its host.

use super::error::RequestProblem;
use super::options::SignOptions;
use super::report::HostKeyEvidence;
use crate::app::package::encryption::names_of;
use crate::app::request::statement::Signed;
use crate::cluster::recipient::{Recipient, RecipientKind};
use crate::cluster::spec::{Cluster, Host};
use crate::pki::ca_set::CaSet;
use crate::pki::known_hosts::KnownHostError;

/// Returns what the SSH signature of a request proves, or why the request is refused.
pub(super) fn compare(
    signed: Option<&Signed>,
    host: &Host,
    options: &SignOptions,
    cluster: &Cluster,
    cas: &CaSet,
) -> Result<Option<HostKeyEvidence>, Vec<RequestProblem>> {
    let keys = keys_of(host, options, cluster).map_err(|error| vec![RequestProblem::HostKeyUnusable(error)])?;
    let Some(signed) = signed else {
        return if options.require_host_key { Err(vec![RequestProblem::NoHostKey]) } else { Ok(None) };
    };
    let (statement, fingerprint) = (&signed.statement, signed.fingerprint.clone());
    let mut problems = Vec::new();
    if statement.host != host.name {
        problems.push(RequestProblem::OtherHost(statement.host.clone()));
    }
    problems
        .extend(statement.cluster.filter(|pin| !cas.cluster.pins().contains(pin)).map(RequestProblem::OtherCluster));
    let is_known = keys.contains(&signed.key);
    if !is_known && !keys.is_empty() {
        problems.push(RequestProblem::OtherHostKey(fingerprint.clone()));
    } else if !is_known && options.require_host_key {
        problems.push(RequestProblem::UnknownHostKey(fingerprint.clone()));
    }
    let evidence = HostKeyEvidence { fingerprint, is_known, time: statement.time };
    if problems.is_empty() { Ok(Some(evidence)) } else { Err(problems) }
}

/// Returns the known SSH keys of a host, as lines of OpenSSH; none if the host is not known.
fn keys_of(host: &Host, options: &SignOptions, cluster: &Cluster) -> Result<Vec<String>, KnownHostError> {
    let entries = || cluster.master(host.name.as_str()).into_iter().chain([host]);
    match &options.known_hosts {
        Some(known) => known.keys_of(&names_of(entries())),
        None => {
            let recipients = entries().flat_map(|host| host.recipients.iter());
            let is_ssh = |one: &&Recipient| matches!(one.kind(), RecipientKind::SshEd25519 | RecipientKind::SshRsa);
            Ok(recipients.filter(is_ssh).map(ToString::to_string).collect())
        }
    }
}
