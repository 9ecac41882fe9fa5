//! A rule of the catalogue.

use super::remedy::LintRemedy;

/// How bad a finding is; the worst comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It works, but clusterctl does it differently.
    Note,
    /// It works, but is dangerous, or fails in some programs or later.
    Warning,
    /// It does not work, or lets others take over the cluster.
    Error,
}

impl Severity {
    /// All, the worst first.
    pub const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Note];

    /// Returns the severity as text, which is also SARIF's level.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A rule. Its id is part of the interface.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The stable id.
    pub id: &'static str,
    /// The severity of a finding.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub title: &'static str,
    /// Why that matters to Kubernetes, and where the rule comes from.
    pub reason: &'static str,
    /// The remedy.
    pub remedy: LintRemedy,
}

impl Rule {
    /// Returns the first part of the id.
    #[must_use]
    pub fn family(&self) -> &'static str {
        self.id.split_once('.').map_or(self.id, |(family, _)| family)
    }
}
