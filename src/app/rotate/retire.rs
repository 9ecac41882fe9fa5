//! Refuses to retire a root that is in use.

use std::collections::BTreeSet;

use super::error::RotateError;
use super::left::{LeftCertificate, LeftHolder, RetiredRoot};
use crate::app::env::Env;
use crate::app::error::Error;
use crate::cluster::name::HostName;
use crate::cluster::profile::{Holder, Policy, TABLE};
use crate::cluster::spec::Cluster;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::credentials;
use crate::store::ledger::Ledger;
use crate::store::ledger::certificates::IssuedCertificate;
use crate::store::ledger::current::CurrentCertificate;

/// Refuses to retire a root while it signed a present certificate. Certificates that were revoked, have expired or were
/// replaced are not counted.
///
/// # Errors
/// Returns [`RotateError::Left`], or an error if the ledger cannot be read.
pub(super) fn check_left(
    root: RetiredRoot,
    trust: &TrustBundle,
    ledger: &Ledger,
    (cluster, env): (&Cluster, &Env),
) -> Result<(), Error> {
    let Some(rotation) = trust.rotation() else { return Ok(()) };
    let retired = match root {
        RetiredRoot::Old => rotation.old,
        RetiredRoot::New => rotation.new,
    };
    let hosts: BTreeSet<&str> = cluster.host_names().iter().map(|host| host.as_str()).collect();
    // After an earlier rotation that was aborted, the last certificate may be one that was taken back.
    let counts = |issued: &IssuedCertificate| issued.issuer == rotation.old || issued.issuer == rotation.new;
    let is_left = |current: &CurrentCertificate| {
        let issued = &current.issued;
        issued.issuer == retired && issued.revocation.is_none() && issued.not_after > env.now
    };
    // What an abort put back was issued earlier than the last certificate in the ledger.
    let is_put_back = |policy: &Policy, host: Option<&HostName>| {
        let present = credentials::certificate_of(&env.layout, policy.profile, host);
        root == RetiredRoot::New && present.is_some_and(|one| trust.ca_of(&one).certificate().fingerprint() != retired)
    };
    let mut left = Vec::new();
    for row in TABLE.iter().filter(|row| row.signed_by == trust.role()) {
        for current in ledger.current_of_hosts(row.name)?.rows_where(counts) {
            let current = current?;
            let name = current.issued.host.clone().unwrap_or_default();
            if !is_left(&current) {
                continue;
            }
            // A host outside of the file is not verified, so the files of the directory prove nothing about it.
            let holder = if hosts.contains(name.as_str()) { LeftHolder::Host } else { LeftHolder::FormerHost };
            let host = HostName::parse(&name).ok().filter(|_| holder == LeftHolder::Host);
            if !host.is_some_and(|host| is_put_back(row, Some(&host))) {
                left.push(LeftCertificate { holder, name, profile: row.name });
            }
        }
        for current in ledger.current_of_accounts(row.name)?.rows_where(counts) {
            let current = current?;
            let is_verifier = row.holder == Holder::Cluster;
            if is_left(&current) && !(is_verifier && is_put_back(row, None)) {
                let holder = if is_verifier { LeftHolder::Host } else { LeftHolder::Account };
                left.push(LeftCertificate { holder, name: current.issued.account, profile: row.name });
            }
        }
    }
    match left.is_empty() {
        true => Ok(()),
        false => Err(RotateError::Left { root, left }.into()),
    }
}
