//! Records that keys of hosts are compromised, so that the hosts' SSH keys and tokens of that time prove nothing at enrolment.

use std::collections::BTreeSet;

use crate::cluster::recipient::{Recipient, RecipientKind};
use crate::cluster::spec::{Cluster, Host};
use crate::pki::ssh::fingerprint_of;
use crate::store::error::StoreError;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::{AuditContext, Ledger};

/// Records the SSH keys that the cluster file has for the nodes with these certificates.
///
/// # Errors
/// Returns an error if the ledger cannot be written.
pub(super) fn record<'c>(
    compromised: impl Iterator<Item = &'c IssuedCertificate>,
    cluster: &Cluster,
    ledger: &mut Ledger,
    audit: &AuditContext<'_>,
) -> Result<(), StoreError> {
    let names: BTreeSet<&str> = compromised.filter_map(|one| one.host.as_deref()).collect();
    let nodes = names.into_iter().filter_map(|name| cluster.node(name));
    let hosts: Vec<_> = nodes.map(|node| (node.name.to_string(), ssh_keys(node))).collect();
    ledger.record_compromise(&hosts, audit)
}

/// Returns the fingerprints of a host's SSH keys.
fn ssh_keys(host: &Host) -> Vec<String> {
    let is_ssh = |one: &&Recipient| matches!(one.kind(), RecipientKind::SshEd25519 | RecipientKind::SshRsa);
    let lines = host.recipients.iter().filter(is_ssh).map(ToString::to_string);
    lines.map(|line| fingerprint_of(&line).unwrap_or(line)).collect()
}
