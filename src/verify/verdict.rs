//! The verdict over all findings of a run.

use super::finding::{CheckId, Finding, Severity, Status};

/// The verdict over all findings of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was proven.
    Proven,
    /// A check failed, or could not be proven.
    Unproven,
    /// No check gave a result.
    NothingJudged,
}

impl Verdict {
    /// Returns `proven`, `unproven` or `nothing-judged`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Unproven => "unproven",
            Self::NothingJudged => "nothing-judged",
        }
    }
}

/// The rules for which findings count against a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strictness {
    /// `--allow-skipped`
    pub allow_skipped: bool,
    /// `--fail-on warn`
    pub fail_on_warn: bool,
}

impl Strictness {
    /// Returns true if a finding counts against the run.
    #[must_use]
    pub fn counts(self, finding: &Finding) -> bool {
        match finding.status {
            Status::Pass => false,
            Status::Warn => self.fail_on_warn,
            Status::Skipped => finding.severity == Severity::Error && !self.allow_skipped,
            Status::Fail | Status::NotProven => finding.severity == Severity::Error || self.fail_on_warn,
        }
    }
}

/// Returns the verdict. A finding that is not proven is never a pass.
#[must_use]
pub fn verdict(findings: &[Finding], strictness: Strictness) -> Verdict {
    let judged = |finding: &&Finding| matches!(finding.status, Status::Pass | Status::Warn | Status::Fail);
    let failed = findings.iter().any(|finding| finding.status == Status::Fail);
    let about_hosts = findings.iter().filter(judged).any(|finding| finding.id != CheckId::TRUST_ANCHOR);
    if !about_hosts && !failed {
        return Verdict::NothingJudged;
    }
    if findings.iter().any(|finding| strictness.counts(finding)) { Verdict::Unproven } else { Verdict::Proven }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::finding::{Aspect, Property};
    use crate::verify::place::Place;

    fn finding(aspect: Aspect, status: Status) -> Finding {
        let place = if aspect == Aspect::Anchor { Place::Cluster } else { Place::Node };
        Finding::new(CheckId::at(place, aspect), place, "n", status)
    }

    fn judge(findings: &[(Aspect, Status)], strictness: Strictness) -> Verdict {
        let findings: Vec<_> = findings.iter().map(|&(aspect, status)| finding(aspect, status)).collect();
        verdict(&findings, strictness)
    }

    #[test]
    fn not_proven_and_skipped_do_not_pass() {
        let strict = Strictness::default();
        let pass = (Aspect::Tls, Status::Pass);
        assert_eq!(judge(&[pass], strict), Verdict::Proven);
        for status in [Status::Fail, Status::NotProven, Status::Skipped] {
            assert_eq!(judge(&[pass, (Aspect::Caller, status)], strict), Verdict::Unproven);
        }
        let lenient = Strictness { allow_skipped: true, ..strict };
        assert_eq!(judge(&[pass, (Aspect::Caller, Status::Skipped)], lenient), Verdict::Proven);
        assert_eq!(judge(&[pass, (Aspect::Caller, Status::NotProven)], lenient), Verdict::Unproven);
    }

    #[test]
    fn warnings_count_when_asked() {
        let findings = [(Aspect::Tls, Status::Pass), (Aspect::Expiry, Status::Warn)];
        assert_eq!(judge(&findings, Strictness::default()), Verdict::Proven);
        assert_eq!(judge(&findings, Strictness { fail_on_warn: true, ..Strictness::default() }), Verdict::Unproven);
    }

    #[test]
    fn a_valid_root_alone_proves_nothing() {
        let strict = Strictness::default();
        assert_eq!(judge(&[], strict), Verdict::NothingJudged);
        assert_eq!(judge(&[(Aspect::Anchor, Status::Pass)], strict), Verdict::NothingJudged);
        assert_eq!(judge(&[(Aspect::Anchor, Status::Fail)], strict), Verdict::Unproven);
        let unreached = [(Aspect::Anchor, Status::Pass), (Aspect::Tls, Status::NotProven)];
        assert_eq!(judge(&unreached, strict), Verdict::NothingJudged);
    }

    #[test]
    fn ids_are_the_catalogues() {
        assert_eq!(CheckId::TRUST_ANCHOR.to_string(), "trust.anchor");
        assert_eq!(CheckId::at(Place::Endpoint, Aspect::Whoami).to_string(), "master.whoami");
        assert_eq!(CheckId::at(Place::Node, Aspect::OtherNode).to_string(), "node.other-node");
        assert_eq!(CheckId::at(Place::Node, Aspect::Readonly).severity(), Severity::Warning);
        assert_eq!(CheckId::at(Place::Node, Aspect::Chain).properties(), [Property::P1ii]);
    }
}
