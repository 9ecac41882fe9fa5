//! Fills a rebuilt ledger with the revocations in CRLs and rendered files.

use super::not_in_ledger::NotInLedger;
use super::{missing, rendered};
use crate::app::env::Env;
use crate::app::error::Error;
use crate::cluster::profile::CaRole;
use crate::pki::ca_set::CaSet;
use crate::store::files;
use crate::store::ledger::Ledger;

/// The revocations that were recorded from CRLs and rendered files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct LearntRevocations {
    /// The number of revocations of certificates that the ledger has.
    pub(in crate::app) recorded: usize,
    /// The minimum number of revoked certificates that the ledger does not have: some may be listed twice, by serial
    /// number and by SHA-256.
    pub(in crate::app) unrecorded: usize,
    /// The roles whose CRLs cannot be used.
    pub(in crate::app) unusable: Vec<(CaRole, String)>,
    /// The reason why revocations may be missing.
    pub(in crate::app) incomplete: Option<String>,
    /// Whether there is a CRL or a file with the API servers' rules.
    pub(in crate::app) has_evidence: bool,
}

/// Records the revocations of the directory's CRLs and rendered files, and raises the ledger's sequence and generation
/// to the highest ones in these files.
///
/// # Errors
/// Returns an error if a file or the ledger cannot be used.
pub(in crate::app) fn learn(ledger: &mut Ledger, cas: &CaSet, env: &Env) -> Result<LearntRevocations, Error> {
    let (layout, audit) = (&env.layout, env.audit());
    let states = rendered::of_directory(layout, &cas.cluster)?;
    let unusable = missing::missing_revocations(layout, cas, ledger, env.now)?.unusable;
    let found = NotInLedger::find(layout, cas, &states, ledger, env.now)?;
    let recorded: Vec<_> =
        found.recorded.iter().filter_map(|one| Some((one.fingerprint, one.revocation.clone()?))).collect();
    let unrecorded: Vec<_> = found.serials.iter().chain(&found.digests).cloned().collect();
    let has_evidence = states.iter().any(|state| state.is_rules)
        || CaRole::ALL.iter().any(|role| files::exists(&layout.revocation_list(*role)));
    ledger.revoke(&recorded, &audit)?;
    ledger.revoke_unrecorded(&unrecorded, &audit)?;
    let incomplete = rendered::check_complete(&states, ledger).err().map(|error| error.to_string());
    let highest = |of: fn(&rendered::RenderedState) -> u64| states.iter().map(of).max().unwrap_or(0);
    // If revocations are missing, the sequence is not raised. The ledger then stays older than the files, so that no
    // command writes files without these revocations.
    let sequence = if incomplete.is_none() { highest(|state| state.sequence) } else { 0 };
    ledger.raise_sequences(sequence, highest(|state| state.generation))?;
    Ok(LearntRevocations {
        recorded: recorded.len(),
        unrecorded: found.serials.len().max(found.digests.len()),
        unusable: unusable.into_iter().map(|(role, why)| (role, why.to_string())).collect(),
        incomplete,
        has_evidence,
    })
}
