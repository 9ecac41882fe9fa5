//! Chooses the best path from a leaf to a trust anchor.

use time::OffsetDateTime;

use super::path::{ChainError, Concern, Path, Purpose};
use super::rules;
use super::search::Search;
use crate::pki::certificate::Certificate;

/// Returns the best path from `leaf` over some of `others` to one of `anchors`, with its violations at `now`.
///
/// Among several valid paths, the one that expires last is returned.
///
/// # Errors
/// Returns an error if there is no path.
pub fn best_path<'a>(
    leaf: &'a Certificate,
    others: &'a [Certificate],
    anchors: &'a [Certificate],
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<Path<'a>, ChainError> {
    let mut search = Search::new(others, anchors);
    if let Some(anchor) = anchors.iter().find(|anchor| anchor.der() == leaf.der()) {
        search.found.push(Path { sent: vec![leaf], anchor, violations: Vec::new() });
    } else {
        search.extend(&mut vec![leaf], &mut Vec::new());
    }
    let mut best: Option<Path<'a>> = None;
    for mut path in search.found {
        rules::check(&mut path, purpose, now);
        let better = best.as_ref().is_none_or(|best| {
            let (this, that) = (path.rank(), best.rank());
            this < that || (this == that && path.not_after() > best.not_after())
        });
        if better {
            best = Some(path);
        }
    }
    best.ok_or_else(|| {
        let unknown_issuer = || "no path leads to a trusted root: another CA signed the certificate".to_owned();
        ChainError::Path(search.wrong_issuer.unwrap_or_else(unknown_issuer))
    })
}

/// Checks that a path leads from `leaf` over `others` to one of `anchors`, except for dates and extended key usages.
///
/// # Errors
/// Returns an error if there is no such path.
pub fn verify_chain(leaf: &Certificate, others: &[Certificate], anchors: &[Certificate]) -> Result<(), ChainError> {
    let path = best_path(leaf, others, anchors, Purpose::Server, leaf.not_before)?;
    if let Some(violation) = path.violations_of(Concern::Chain).next() {
        return Err(ChainError::Path(violation.reason.clone()));
    }
    match path.violations_of(Concern::Unproven).next() {
        Some(violation) => Err(ChainError::Unproven(violation.reason.clone())),
        None => Ok(()),
    }
}
