//! The options of a run.

use super::error::LintError;
use super::rule::{Rule, Severity};
use super::rules::RULES;
use crate::cluster::similar::nearest;
use crate::cluster::spec::Cluster;

/// Which findings are reported, and the cluster file to compare with.
#[derive(Debug)]
pub struct LintOptions {
    least: Severity,
    ignored: Vec<String>,
    cluster: Option<Cluster>,
}

impl LintOptions {
    /// Returns options that report findings of severity `least` and worse.
    ///
    /// Findings of the rules in `ignored` are not reported: ids or `FAMILY.*`, also several of them separated by commas.
    /// Certificates of hosts that are in `cluster` are compared with it.
    ///
    /// # Errors
    /// Returns an error if `ignored` names a rule that does not exist.
    pub fn new(least: Severity, ignored: &[String], cluster: Option<Cluster>) -> Result<Self, LintError> {
        let ids = ignored.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|id| !id.is_empty());
        let ignored: Vec<String> = ids.map(str::to_owned).collect();
        if let Some(unknown) = ignored.iter().find(|id| !RULES.iter().any(|rule| names(id, rule))) {
            return Err(LintError::unknown_rule(unknown));
        }
        Ok(Self { least, ignored, cluster })
    }

    /// Returns true if findings of a rule are reported.
    pub(super) fn reports(&self, rule: &Rule) -> bool {
        rule.severity >= self.least && !self.ignored.iter().any(|id| names(id, rule))
    }

    pub(super) fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }
}

fn names(id: &str, rule: &Rule) -> bool {
    rule.id == id || id.strip_suffix(".*") == Some(rule.family())
}

impl LintError {
    pub(super) fn unknown_rule(id: &str) -> Self {
        let similar = nearest(id, RULES.iter().map(|rule| rule.id)).map(str::to_owned);
        Self::UnknownRule { id: id.to_owned(), similar }
    }
}
