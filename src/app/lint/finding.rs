//! Findings and the report.

use super::rule::{Rule, Severity};

/// The place of a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file, as it was named, or its path below the folder that was named.
    pub file: String,
    /// The part of the file: `certificate 2`, `user admin`, or the path in a bundle.
    pub part: Option<String>,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintFinding {
    /// The rule.
    pub rule: &'static Rule,
    /// The place.
    pub place: Place,
    /// What was observed there.
    pub observed: String,
}

/// What was checked, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LintReport {
    /// The findings that were asked for, the worst first.
    pub findings: Vec<LintFinding>,
    /// The number of files that were checked.
    pub files: usize,
    /// The number of different certificates in them.
    pub certificates: usize,
    /// The number of findings that were ignored, or are less severe than asked for.
    pub hidden: usize,
}

impl LintReport {
    /// Returns the number of findings of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.rule.severity == severity).count()
    }

    /// Returns true if no error and no warning is reported.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.rule.severity == Severity::Note)
    }
}

/// Collects findings.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<LintFinding>);

impl Findings {
    /// Adds a finding.
    pub(super) fn add(&mut self, rule: &'static Rule, place: &Place, observed: impl Into<String>) {
        self.0.push(LintFinding { rule, place: place.clone(), observed: observed.into() });
    }

    /// Returns the findings, the worst first, each once.
    pub(super) fn sorted(mut self) -> Vec<LintFinding> {
        // The sort is stable: the findings of a file stay in the order of its parts.
        self.0.sort_by(|a, b| b.rule.severity.cmp(&a.rule.severity).then_with(|| a.place.file.cmp(&b.place.file)));
        let mut seen = std::collections::HashSet::new();
        self.0.retain(|finding| seen.insert((finding.rule.id, finding.place.clone(), finding.observed.clone())));
        self.0
    }
}
