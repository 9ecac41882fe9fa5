//! Searches for the paths from a leaf to trust anchors.

use super::path::{Path, PathViolation, ViolationKind};
use super::rules::MIN_RSA;
use crate::pki::certificate::{Certificate, PublicKeyKind, SignatureStatus};

/// The limit of signatures that are verified for one leaf, the same as Go's (`maxChainSignatureChecks`).
const MAX_SIGNATURES: usize = 100;

/// A search for all paths with valid or unverifiable signatures.
pub(super) struct Search<'a> {
    others: &'a [Certificate],
    anchors: &'a [Certificate],
    pub(super) found: Vec<Path<'a>>,
    checked: usize,
    /// The reason why a certificate with the name of an issuer was not signed by that issuer.
    pub(super) wrong_issuer: Option<String>,
}

impl<'a> Search<'a> {
    pub(super) fn new(others: &'a [Certificate], anchors: &'a [Certificate]) -> Self {
        Self { others, anchors, found: Vec::new(), checked: 0, wrong_issuer: None }
    }

    pub(super) fn extend(&mut self, chain: &mut Vec<&'a Certificate>, unproven: &mut Vec<PathViolation>) {
        let (at, Some(&child)) = (chain.len(), chain.last()) else { return };
        let (anchors, others) = (self.anchors, self.others);
        let candidates = anchors.iter().map(|anchor| (anchor, true)).chain(others.iter().map(|other| (other, false)));
        for (candidate, is_anchor) in candidates {
            if candidate.subject.der != child.issuer.der || chain.iter().any(|before| is_same_ca(before, candidate)) {
                continue;
            }
            self.checked += 1;
            if self.checked > MAX_SIGNATURES {
                return;
            }
            let before = unproven.len();
            match child.signed_by(candidate) {
                SignatureStatus::Valid => {}
                SignatureStatus::Invalid => {
                    self.wrong_issuer.get_or_insert_with(|| wrong_issuer(candidate));
                    continue;
                }
                SignatureStatus::Unverifiable(reason) => {
                    unproven.push(PathViolation { kind: ViolationKind::Unproven, at: at - 1, reason });
                }
            }
            if is_anchor {
                self.found.push(Path {
                    leaf_and_intermediates: chain.clone(),
                    anchor: candidate,
                    violations: unproven.clone(),
                });
            } else {
                chain.push(candidate);
                self.extend(chain, unproven);
                chain.pop();
            }
            unproven.truncate(before);
        }
    }
}

/// Returns the message that a certificate with the name of this issuer was not signed by it.
fn wrong_issuer(issuer: &Certificate) -> String {
    match &issuer.key {
        PublicKeyKind::Rsa(bits) if *bits < MIN_RSA => {
            format!("the key of {} is RSA {bits}, and Kubernetes accepts no signature by it", issuer.subject.text)
        }
        _ => "a certificate is not signed by the key of the issuer that it names (another CA of the same name?)"
            .to_owned(),
    }
}

/// Returns true if two certificates belong to one CA, which is how Go detects loops.
fn is_same_ca(one: &Certificate, other: &Certificate) -> bool {
    one.subject.der == other.subject.der && one.spki == other.spki && one.names == other.names
}
