//! The signed handover from the cluster's old root to the new one: hosts that know only the old root follow it.

use super::error::RotateError;
use crate::app::error::Error;
use crate::cluster::profile::CaRole;
use crate::enrol::handover::{HandedOver, Handover};
use crate::pki::ca_certificate::CaCertificate;
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::issuer::IssueError;
use crate::pki::local_key::LocalKey;
use crate::store::handovers;
use crate::store::layout::Layout;
use crate::store::rotation::{self, CanaryOf};

/// Signs the handover with the canary of the old CA, and stores it, unless a killed command already did.
///
/// # Errors
/// Returns an error if the canary cannot be read or sign, or the file cannot be written.
pub(super) fn keep(layout: &Layout, old: &CaCertificate, new: &CaCertificate) -> Result<(), Error> {
    if old.role() != CaRole::Cluster {
        return Ok(());
    }
    let roots = HandedOver { old: old.root().clone(), new: new.root().clone() };
    let mut all = handovers::read(layout)?;
    if all.iter().any(|one| one.unverified().is_ok_and(|found| found == roots)) {
        return Ok(());
    }
    let canary = rotation::canary(layout, old.role(), CanaryOf::Old).ok_or(RotateError::NoCanary(old.role()))?;
    let key = LocalKey::open(&canary.key).map_err(IssueError::Key)?;
    let chain: Vec<&Certificate> = canary.certificates().collect();
    // A rotation that was aborted left one from the same old root.
    all.retain(|one| one.unverified().is_ok_and(|found| found.old != roots.old));
    all.push(Handover::sign(&roots, &key, &chain).map_err(IssueError::from)?);
    Ok(handovers::write(layout, &all)?)
}

/// Removes the handover to the new root of a rotation that is aborted.
///
/// # Errors
/// Returns an error if the file cannot be read or written.
pub(super) fn forget(layout: &Layout, role: CaRole, new: Option<Fingerprint>) -> Result<(), Error> {
    if role != CaRole::Cluster {
        return Ok(());
    }
    let mut all = handovers::read(layout)?;
    all.retain(|one| one.unverified().ok().map(|found| found.new.fingerprint()) != new);
    Ok(handovers::write(layout, &all)?)
}
