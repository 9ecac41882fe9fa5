//! The phase of a rotation in the manifests of bundles.

use time::OffsetDateTime;

use super::state::ROTATED;
use crate::bundle::manifest::{MarkedPhase, RotationMark};
use crate::cluster::profile::CaRole;
use crate::pki::ca_set::CaSet;
use crate::pki::rotation::Phase;
use crate::pki::token_rotation::{TokenPhase, TokenRotation};
use crate::store::error::StoreError;
use crate::store::ledger::Ledger;
use crate::verify::token_keys::TOKEN_ROLE;

/// Returns the phase for which bundles are packed now, `None` without a rotation, and then those for which earlier bundles
/// may have been packed, each once and the latest first. `tokens` is the rotation of the token key that is under way.
///
/// # Errors
/// Returns an error if the ledger cannot be read.
pub(in crate::app) fn marks(
    cas: &CaSet,
    tokens: Option<&TokenRotation>,
    ledger: &Ledger,
) -> Result<Vec<Option<RotationMark>>, StoreError> {
    let mut present: Vec<(OffsetDateTime, RotationMark)> = Vec::new();
    let mut earlier: Vec<(OffsetDateTime, RotationMark)> = Vec::new();
    for role in CaRole::ALL {
        let shipped = |phase: Phase| phase.trusts_new().then(|| mark(role.name(), MarkedPhase::Ca(phase)));
        let rotation = cas.of(role).rotation();
        present.extend(rotation.and_then(|rotation| Some((rotation.began, shipped(rotation.phase)?))));
        let steps = ledger.events_about(ROTATED, role.name())?.into_iter();
        earlier.extend(steps.filter_map(|(at, text)| Some((at, shipped(Phase::parse(name_in(&text))?)?))));
    }
    let shipped =
        |phase: TokenPhase| (phase > TokenPhase::Prepare).then(|| mark(TOKEN_ROLE, MarkedPhase::Tokens(phase)));
    present.extend(tokens.and_then(|rotation| Some((rotation.began, shipped(rotation.phase)?))));
    let steps = ledger.events_about(ROTATED, TOKEN_ROLE)?.into_iter();
    earlier.extend(steps.filter_map(|(at, text)| Some((at, shipped(TokenPhase::parse(name_in(&text))?)?))));
    earlier.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    // A manifest has one phase. In an emergency beside another rotation, it is the one that began last.
    let mut marks = vec![present.into_iter().rev().max_by_key(|(began, _)| *began).map(|(_, mark)| mark)];
    for mark in earlier.into_iter().map(|(_, mark)| Some(mark)).chain([None]) {
        if !marks.contains(&mark) {
            marks.push(mark);
        }
    }
    Ok(marks)
}

fn mark(role: &str, phase: MarkedPhase) -> RotationMark {
    RotationMark { role: role.to_owned(), phase }
}

/// Returns the name of the step in the text of its event.
fn name_in(text: &str) -> &str {
    text.split(',').next().unwrap_or_default()
}
