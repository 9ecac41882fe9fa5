//! The phase of a rotation in the manifests of bundles.

use super::state::ROTATED;
use crate::bundle::manifest::RotationMark;
use crate::cluster::profile::CaRole;
use crate::pki::ca_set::CaSet;
use crate::pki::rotation::Phase;
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;

/// Returns the phase for which bundles are packed now, `None` without a rotation, and then those for which earlier bundles
/// may have been packed, each once and the latest first.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(in crate::app) fn marks(cas: &CaSet, ledger: &Ledger) -> Result<Vec<Option<RotationMark>>, StoreError> {
    let mut marks = Vec::new();
    let mut earlier = Vec::new();
    for role in CaRole::ALL {
        let mark = |phase: Phase| RotationMark { role: role.name().to_owned(), phase };
        let phase = cas.of(role).rotation().map(|rotation| rotation.phase).filter(|phase| phase.trusts_new());
        marks.extend(phase.map(|phase| Some(mark(phase))));
        for (at, text) in ledger.events_about(ROTATED, role.name())? {
            let phase = text.split(',').next().and_then(Phase::parse).filter(|phase| phase.trusts_new());
            earlier.extend(phase.map(|phase| (at, mark(phase))));
        }
    }
    earlier.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    marks.truncate(1);
    if marks.is_empty() {
        marks.push(None);
    }
    for mark in earlier.into_iter().map(|(_, mark)| Some(mark)).chain([None]) {
        if !marks.contains(&mark) {
            marks.push(mark);
        }
    }
    Ok(marks)
}
