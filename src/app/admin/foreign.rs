//! Finds kubeconfigs that are not what their name in the directory says.

use crate::cluster::profile::{ADMINS, ANNOUNCERS, APPROVERS, SIGNERS, SYSTEM_MASTERS};
use crate::pki::certificate::Certificate;
use crate::pki::trust_bundle::TrustBundle;

/// The groups of accounts whose kubeconfigs clusterctl issues.
const GROUPS: [&str; 5] = [ADMINS, APPROVERS, SIGNERS, ANNOUNCERS, SYSTEM_MASTERS];

/// Reasons why a kubeconfig is not one that `issue-admin` issued for the account that its file is named after.
///
/// Issuing it again would give the rights of an administrator to an account that never had them, and replace a file that may
/// be another cluster's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignKubeconfig {
    /// Its certificate is of another CA.
    #[error("no CA of this cluster signed its certificate")]
    OtherCa,
    /// Its certificate is that of another account.
    #[error("its certificate is that of {0}")]
    OtherAccount(String),
    /// Its certificate is in none of the groups of administrators.
    #[error("its certificate is in none of the groups of kubeconfigs that clusterctl issues")]
    OtherGroup,
}

/// Checks that the certificate of a kubeconfig is that of the account `name`, in a group that clusterctl issues for.
///
/// Whether the certificate has expired does not matter.
///
/// # Errors
/// Returns [`ForeignKubeconfig`] if it is not.
pub(in crate::app) fn check(
    name: &str,
    certificate: &Certificate,
    trust: &TrustBundle,
) -> Result<(), ForeignKubeconfig> {
    if trust.signer_of(certificate).is_none() {
        return Err(ForeignKubeconfig::OtherCa);
    }
    let account = certificate.account().user;
    if account != name {
        return Err(ForeignKubeconfig::OtherAccount(account));
    }
    let has = |group: &&str| certificate.subject.organizations.iter().any(|own| own == group);
    if GROUPS.iter().any(has) { Ok(()) } else { Err(ForeignKubeconfig::OtherGroup) }
}
