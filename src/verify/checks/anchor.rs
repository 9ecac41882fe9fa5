//! The trust file itself.

use time::OffsetDateTime;

use super::super::finding::{CheckId, Finding, Status};
use super::super::target::{Place, Target};
use crate::pki::inspect::{COMPARE_CLOCKS, root_flaws, stamp};

/// `trust.anchor`: whether every certificate in the trust file is a usable root. rustls and webpki look at none of this.
#[must_use]
pub fn trust_anchor(target: &Target, now: OffsetDateTime) -> Vec<Finding> {
    let finding = |status| Finding::new(CheckId::TRUST_ANCHOR, Place::Cluster, &target.cluster, status);
    let expected = "a root that is a CA, may sign certificates, is in date and strong";
    let mut findings = Vec::new();
    for fault in &target.trust_faults {
        let hint = "the trust file must hold root certificates and nothing else";
        findings.push(finding(Status::Fail).saw(fault.clone(), expected).hint(hint));
    }
    for root in &target.roots {
        let flaws = root_flaws(root, now);
        let who = format!("{} ({})", root.subject.text, root.spki_fingerprint().as_pin());
        if flaws.is_empty() {
            let observed = format!("{who} is valid until {}", stamp(root.not_after));
            findings.push(finding(Status::Pass).saw(observed, expected));
            continue;
        }
        let said: Vec<String> = flaws.iter().map(ToString::to_string).collect();
        let hint = if now > root.not_after {
            "a root cannot be renewed in place: make a new one with `clusterctl init-ca` in a new directory, then issue and \
             distribute every certificate again"
        } else if now < root.not_before {
            COMPARE_CLOCKS
        } else {
            "check that the trust file is this cluster's ca.crt"
        };
        findings.push(finding(Status::Fail).saw(format!("{who}: {}", said.join("; ")), expected).hint(hint));
    }
    if findings.is_empty() {
        findings.push(finding(Status::Fail).saw("the trust file holds no certificate", expected));
    }
    findings
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
        assert_eq!(statuses, [Status::Fail, Status::Pass, Status::Fail]);
        bed.target.roots.clear();
        bed.target.trust_faults.clear();
        assert_eq!(trust_anchor(&bed.target, NOW)[0].status, Status::Fail);
    }
}
