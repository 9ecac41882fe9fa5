//! Hosts whose keys were deleted here, and whose encrypted bundle has the roots of an earlier phase.

use std::collections::HashSet;

use super::state::ROTATED;
use crate::cluster::profile::CaRole;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::rotation::Phase;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;

/// Returns the certificates whose keys were deleted before a rotation of the cluster's CA changed the trust files of nodes. The
/// bundles with these keys have the roots of before; a new one can only have the certificates, and is for hosts on which the
/// keys are installed.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(in crate::app) fn keys_on_hosts_only(ledger: &Ledger) -> Result<HashSet<Fingerprint>, StoreError> {
    match last_change(&ledger.numbered_events_about(ROTATED, CaRole::Cluster.name())?) {
        Some(number) => ledger.keys_discarded_before(number),
        None => Ok(HashSet::new()),
    }
}

/// Returns the position of the last step that changed trust files.
fn last_change(steps: &[(u64, String)]) -> Option<u64> {
    let (mut last, mut trusts_new) = (None, false);
    for (number, text) in steps {
        match text.split(',').next().unwrap_or_default() {
            step if step == Phase::Prepare.as_str() => trusts_new = false,
            // The first step of an abort comes back to this phase with the same roots.
            step if step == Phase::TrustBoth.as_str() && !trusts_new => (last, trusts_new) = (Some(*number), true),
            step if step == Phase::DropOld.as_str() => last = Some(*number),
            // Before a host trusted the new root, an abort changes nothing there.
            "abort" if trusts_new => (last, trusts_new) = (Some(*number), false),
            _ => {}
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_steps_that_change_trust_files_count() {
        let last = |steps: &[&str]| {
            let steps: Vec<(u64, String)> =
                (1..).zip(steps.iter().map(|step| format!("{step}, old a, new b"))).collect();
            last_change(&steps)
        };
        assert_eq!(last(&[]), None);
        assert_eq!(last(&["prepare", "abort"]), None);
        assert_eq!(last(&["prepare", "trust-both", "canary", "servers", "clients"]), Some(2));
        assert_eq!(last(&["prepare", "trust-both", "abort", "prepare", "abort"]), Some(3));
        assert_eq!(last(&["prepare", "trust-both", "clients", "drop-old", "retire"]), Some(4));
        assert_eq!(last(&["prepare", "trust-both", "canary", "trust-both"]), Some(2));
        assert_eq!(last(&["prepare", "trust-both", "canary", "trust-both", "abort"]), Some(5));
        assert_eq!(last(&["prepare", "drop-old"]), Some(2), "an emergency");
    }
}
