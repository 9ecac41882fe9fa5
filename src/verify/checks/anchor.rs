//! `trust.anchor`: the certificates of the trust file.

use std::collections::BTreeSet;
use std::sync::Arc;

use time::OffsetDateTime;

use super::super::finding::{Cause, CheckId, Finding, Severity, Status};
use super::super::remedy::{CertificateRemedy, Remedy, TrustRemedy};
use super::super::target::{Place, Target};
use crate::cluster::duration::stamp;
use crate::pki::certificate::Certificate;
use crate::pki::lint::root_violations;
use crate::pki::violation::Violation;

/// Returns `trust.anchor` for each certificate in the trust file; which of them are used is not known.
///
/// rustls and webpki do not check this.
#[must_use]
pub fn trust_anchor(target: &Target, now: OffsetDateTime) -> Vec<Finding> {
    anchors(target, &UsedRoots::default(), now)
}

/// The roots of the observed paths, by their positions in the trust file.
#[derive(Debug, Default)]
pub(super) struct UsedRoots {
    issuers: BTreeSet<usize>,
    /// The roots that a server presents as its own certificate.
    leaves: BTreeSet<usize>,
}

impl UsedRoots {
    /// Adds the root at a position, if there is one.
    pub(super) fn add(&mut self, at: Option<usize>, as_its_leaf: bool) {
        if as_its_leaf { self.leaves.extend(at) } else { self.issuers.extend(at) }
    }

    fn is_a_leaf_alone(&self, at: usize) -> bool {
        self.leaves.contains(&at) && !self.issuers.contains(&at)
    }

    fn contains(&self, at: usize) -> bool {
        self.leaves.contains(&at) || self.issuers.contains(&at)
    }
}

/// Returns `trust.anchor`, given the roots of the observed paths.
///
/// Violations for which Kubernetes rejects a root are failures if the root is used, or if no root is usable; all others
/// are warnings. A root that a server presents as its own certificate need not be a CA.
pub(super) fn anchors(target: &Target, used: &UsedRoots, now: OffsetDateTime) -> Vec<Finding> {
    let finding = |status| Finding::new(CheckId::TRUST_ANCHOR, Place::Cluster, &target.cluster, status);
    let expected = "a root that is a CA, may sign certificates, is in date and strong";
    let mut findings = Vec::new();
    for fault in &target.trust_faults {
        findings.push(finding(Status::Fail).saw(fault.clone(), expected).remedy(TrustRemedy::KeepOnlyRoots));
    }
    let warning = |observed: String, remedy: TrustRemedy| {
        let mut finding = finding(Status::Warn).saw(observed, expected).remedy(remedy);
        finding.severity = Severity::Warning;
        finding
    };
    for note in &target.trust_notes {
        findings.push(warning(note.clone(), TrustRemedy::KeepOnlyRoots));
    }
    let judged: Vec<(&Certificate, Vec<Violation>)> =
        target.roots.iter().map(|root| (root, root_violations(root, now))).collect();
    let invalidates = |at: usize, violation: &Violation| {
        violation.invalidates_anchor() && !(violation.invalidates_issuer() && used.is_a_leaf_alone(at))
    };
    let is_invalid =
        |at: usize, violations: &[Violation]| violations.iter().any(|violation| invalidates(at, violation));
    let usable = judged.iter().enumerate().any(|(at, (_, violations))| !is_invalid(at, violations));
    for (at, (root, violations)) in judged.iter().enumerate() {
        let who = format!("{} ({})", root.subject.text, root.spki_fingerprint().as_pin());
        if violations.is_empty() {
            let observed = format!("{who} is valid until {}", stamp(root.not_after));
            findings.push(finding(Status::Pass).saw(observed, expected));
            continue;
        }
        let invalid = is_invalid(at, violations);
        let said: Vec<String> = violations.iter().map(ToString::to_string).collect();
        let observed = format!("{who}: {}", said.join("; "));
        if invalid && (used.contains(at) || !usable) {
            findings.push(finding(Status::Fail).saw(observed, expected).remedy(remedy(root, now)));
        } else if invalid {
            let observed = format!("{observed}; no observed certificate leads to it");
            findings.push(warning(observed, TrustRemedy::RemoveUnusedRoot));
        } else if violations.iter().any(Violation::invalidates_issuer) {
            let observed =
                format!("{observed}; a server presents this certificate itself, so that Kubernetes accepts it");
            findings.push(warning(observed, TrustRemedy::TrustIssuer));
        } else {
            findings.push(warning(observed, TrustRemedy::ImproveNextRoot));
        }
    }
    if target.roots.is_empty() && target.trust_faults.is_empty() {
        findings.push(finding(Status::Fail).saw("the trust file holds no certificate", expected));
    }
    findings
}

/// Returns `trust.anchor` as the cause of other findings.
pub(super) fn anchors_as_cause(target: &Target) -> Arc<Cause> {
    Finding::new(CheckId::TRUST_ANCHOR, Place::Cluster, &target.cluster, Status::Fail).as_cause()
}

fn remedy(root: &Certificate, now: OffsetDateTime) -> Remedy {
    if now > root.not_after {
        TrustRemedy::ReplaceRoot.into()
    } else if now < root.not_before {
        CertificateRemedy::CompareClocks.into()
    } else {
        TrustRemedy::CheckTrustFile.into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{NOW, fixture};
    use super::*;

    #[test]
    fn a_trusted_serving_certificate_gives_a_warning() {
        let mut fixture = fixture();
        let leaf = fixture.node_cert();
        let end = leaf.not_after;
        fixture.target.roots = vec![leaf];
        let mut used = UsedRoots::default();
        used.add(Some(0), true);
        let status = |used: &UsedRoots, now| anchors(&fixture.target, used, now)[0].status;
        assert_eq!(status(&used, NOW), Status::Warn);
        assert_eq!(status(&used, end + time::Duration::DAY), Status::Fail);
        // As the issuer of another certificate it has to be a CA.
        used.add(Some(0), false);
        assert_eq!(status(&used, NOW), Status::Fail);
        assert_eq!(status(&UsedRoots::default(), NOW), Status::Fail);
    }

    #[test]
    fn trust_files_with_a_leaf_garbage_or_nothing_fail() {
        let mut fixture = fixture();
        fixture.target.roots.push(fixture.node_cert());
        fixture.target.trust_faults.push("section 3 is not a certificate".into());
        let found = trust_anchor(&fixture.target, NOW);
        let statuses: Vec<_> = found.iter().map(|f| f.status).collect();
        // Kubernetes ignores an unused certificate that is not a CA.
        assert_eq!(statuses, [Status::Fail, Status::Pass, Status::Warn]);
        fixture.target.roots.remove(0);
        assert_eq!(trust_anchor(&fixture.target, NOW)[1].status, Status::Fail);
        fixture.target.roots.clear();
        fixture.target.trust_faults.clear();
        assert_eq!(trust_anchor(&fixture.target, NOW)[0].status, Status::Fail);
    }
}
