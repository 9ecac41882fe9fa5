//! Chooses the best path from a leaf to a trust anchor.

use time::OffsetDateTime;

use super::path::{ChainError, Path, Purpose, ViolationKind};
use super::rules;
use super::search::Search;
use crate::pki::certificate::Certificate;

/// Returns the best path from `leaf` to one of `anchors` through intermediates in `others`, with its violations at `now`.
///
/// A path without violations is best, then one whose only violations are parts that clusterctl cannot verify, then an invalid one;
/// within each group the one with the fewest violations, and among equal ones the one that expires last.
///
/// # Errors
/// Returns an error if there is no path. A path with violations is no error.
pub fn best_path<'a>(
    leaf: &'a Certificate,
    others: &'a [Certificate],
    anchors: &'a [Certificate],
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<Path<'a>, ChainError> {
    let mut search = Search::new(others, anchors);
    if let Some(anchor) = anchors.iter().find(|anchor| anchor.der() == leaf.der()) {
        search.found.push(Path { leaf_and_intermediates: vec![leaf], anchor, violations: Vec::new() });
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
        let unknown_issuer = || {
            "no path leads to a trusted root: another CA signed the certificate, or an intermediate is missing"
                .to_owned()
        };
        ChainError::NoValidPath(search.wrong_issuer.unwrap_or_else(unknown_issuer))
    })
}

/// Checks that a path leads from `leaf` to one of `anchors` through intermediates in `others`.
///
/// The path is chosen as by [`best_path`]; then its violations of dates and extended key usages are ignored.
///
/// # Errors
/// Returns [`ChainError::NoValidPath`] if there is no path or it violates a rule, and [`ChainError::Unproven`] if clusterctl
/// cannot verify a part of it.
pub fn verify_chain(leaf: &Certificate, others: &[Certificate], anchors: &[Certificate]) -> Result<(), ChainError> {
    let path = best_path(leaf, others, anchors, Purpose::Server, leaf.not_before)?;
    if let Some(violation) = path.violations_of(ViolationKind::Chain).next() {
        return Err(ChainError::NoValidPath(violation.reason.clone()));
    }
    match path.violations_of(ViolationKind::Unproven).next() {
        Some(violation) => Err(ChainError::Unproven(violation.reason.clone())),
        None => Ok(()),
    }
}
