//! Hosts and accounts that still have a certificate of the root that is retired.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use crate::cluster::profile::TABLE;
use crate::cluster::spec::Cluster;
use crate::pki::rotation::Rotation;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;
use crate::store::ledger::current::CurrentCertificate;

/// The holder of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftHolder {
    /// A host of the cluster file.
    Host,
    /// A host that is not in the cluster file, and was not removed: it may still run.
    FormerHost,
    /// An account that is not a host's.
    Account,
}

/// A certificate of the root that is retired: its holder would be cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftCertificate {
    /// The holder.
    pub holder: LeftHolder,
    /// The name of the host or account.
    pub name: String,
    /// The profile.
    pub profile: &'static str,
}

/// Returns the present certificates that the old root signed. Certificates that were revoked, have expired or were replaced are
/// not counted.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(super) fn left_of_old(
    rotation: &Rotation,
    trust: &TrustBundle,
    ledger: &Ledger,
    (cluster, now): (&Cluster, OffsetDateTime),
) -> Result<Vec<LeftCertificate>, StoreError> {
    let hosts: BTreeSet<&str> = cluster.host_names().iter().map(|host| host.as_str()).collect();
    let is_left = |current: &CurrentCertificate| {
        let issued = &current.issued;
        issued.issuer == rotation.old && issued.revocation.is_none() && issued.not_after > now
    };
    let mut left = Vec::new();
    for row in TABLE.iter().filter(|row| row.signed_by == trust.role()) {
        for current in ledger.current_of_hosts(row.name)?.rows() {
            let current = current?;
            let name = current.issued.host.as_deref().unwrap_or_default();
            if is_left(&current) {
                let holder = if hosts.contains(name) { LeftHolder::Host } else { LeftHolder::FormerHost };
                left.push(LeftCertificate { holder, name: name.to_owned(), profile: row.name });
            }
        }
        for current in ledger.current_of_accounts(row.name)?.rows() {
            let current = current?;
            if is_left(&current) {
                let name = current.issued.account.clone();
                left.push(LeftCertificate { holder: LeftHolder::Account, name, profile: row.name });
            }
        }
    }
    Ok(left)
}
