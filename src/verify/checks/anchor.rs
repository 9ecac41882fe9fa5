//! The trust file itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use time::OffsetDateTime;

use super::super::finding::{Cause, CheckId, Finding, Severity, Status};
use super::super::remedy::Remedy;
use super::super::target::{Place, Target};
use crate::pki::certificate::Certificate;
use crate::pki::inspect::{COMPARE_CLOCKS, Flaw, root_flaws, stamp};

/// `trust.anchor`: whether every certificate in the trust file is a usable root, where nothing is known of who uses which. rustls and
/// webpki look at none of this.
#[must_use]
pub fn trust_anchor(target: &Target, now: OffsetDateTime) -> Vec<Finding> {
    anchors(target, &BTreeSet::new(), now)
}

/// `trust.anchor`, where the paths of the peers that were seen lead to the roots at the places `used`. What Kubernetes refuses fails
/// for a root that is used, or that has no usable one beside it; the rest is a warning.
pub(super) fn anchors(target: &Target, used: &BTreeSet<usize>, now: OffsetDateTime) -> Vec<Finding> {
    let finding = |status| Finding::new(CheckId::TRUST_ANCHOR, Place::Cluster, &target.cluster, status);
    let expected = "a root that is a CA, may sign certificates, is in date and strong";
    let mut findings = Vec::new();
    for fault in &target.trust_faults {
        let hint = "the trust file must hold root certificates and nothing else";
        findings.push(finding(Status::Fail).saw(fault.clone(), expected).hint(hint));
    }
    let warning = |observed: String, hint: &'static str| {
        let mut finding = finding(Status::Warn).saw(observed, expected).hint(hint);
        finding.severity = Severity::Warning;
        finding
    };
    for note in &target.trust_notes {
        findings.push(warning(note.clone(), "the trust file should hold root certificates and nothing else"));
    }
    let judged: Vec<(&Certificate, Vec<Flaw>)> =
        target.roots.iter().map(|root| (root, root_flaws(root, now))).collect();
    let usable = judged.iter().any(|(_, flaws)| !flaws.iter().any(Flaw::spoils_an_anchor));
    for (at, (root, flaws)) in judged.iter().enumerate() {
        let who = format!("{} ({})", root.subject.text, root.spki_fingerprint().as_pin());
        if flaws.is_empty() {
            let observed = format!("{who} is valid until {}", stamp(root.not_after));
            findings.push(finding(Status::Pass).saw(observed, expected));
            continue;
        }
        let spoiled = flaws.iter().any(Flaw::spoils_an_anchor);
        let said: Vec<String> = flaws.iter().map(ToString::to_string).collect();
        let observed = format!("{who}: {}", said.join("; "));
        if spoiled && (used.contains(&at) || !usable) {
            findings.push(finding(Status::Fail).saw(observed, expected).hint(remedy(root, now)));
        } else if spoiled {
            let observed = format!("{observed}; no certificate that was seen leads to it");
            findings.push(warning(observed, "take it out of the trust file, wherever that is kept"));
        } else {
            let hint = "Kubernetes takes it as it is; a root that replaces it should have none of this";
            findings.push(warning(observed, hint));
        }
    }
    if target.roots.is_empty() && target.trust_faults.is_empty() {
        findings.push(finding(Status::Fail).saw("the trust file holds no certificate", expected));
    }
    findings
}

/// Returns what names `trust.anchor` to what fails with it.
pub(super) fn anchors_as_cause(target: &Target) -> Arc<Cause> {
    Finding::new(CheckId::TRUST_ANCHOR, Place::Cluster, &target.cluster, Status::Fail).as_cause()
}

fn remedy(root: &Certificate, now: OffsetDateTime) -> Remedy {
    if now > root.not_after {
        Remedy::ReplaceRoot
    } else if now < root.not_before {
        COMPARE_CLOCKS.into()
    } else {
        "check that the trust file is this cluster's ca.crt".into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::bed::{NOW, bed};
    use super::*;

    #[test]
    fn a_trust_file_with_a_leaf_garbage_or_nothing_in_it_is_no_trust() {
        let mut bed = bed();
        bed.target.roots.push(bed.node_cert());
        bed.target.trust_faults.push("section 3 is no certificate".into());
        let found = trust_anchor(&bed.target, NOW);
        let statuses: Vec<_> = found.iter().map(|f| f.status).collect();
        // A certificate that nobody uses and that is no CA is passed over by Kubernetes.
        assert_eq!(statuses, [Status::Fail, Status::Pass, Status::Warn]);
        bed.target.roots.remove(0);
        assert_eq!(trust_anchor(&bed.target, NOW)[1].status, Status::Fail);
        bed.target.roots.clear();
        bed.target.trust_faults.clear();
        assert_eq!(trust_anchor(&bed.target, NOW)[0].status, Status::Fail);
    }
}
