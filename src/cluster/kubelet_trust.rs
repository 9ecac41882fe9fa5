//! Checks a kubelet's configuration for fields that weaken authentication, authorization or TLS.
//!
//! One table of rules applies to the settings in the cluster file, to rendered configurations, and to files found on hosts.

mod rule;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;

use super::kubelet_setting::Setting;
use rules::RULES;

pub use rule::{Mode, OwnValues, Rule};

/// A rule that a configuration violates, with the value found.
#[derive(Debug, PartialEq, Eq)]
pub struct TrustViolation {
    /// The field: `authentication.anonymous.enabled`, or the mapping around it that was removed.
    pub field: String,
    /// The value.
    pub seen: String,
    /// The rule.
    pub rule: &'static Rule,
}

impl fmt::Display for TrustViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen: String = self.seen.chars().take(80).collect();
        write!(f, "{} is {seen:?}: {}", self.field, self.rule)
    }
}

/// Returns the rules that `settings` violate by a value, by a removed field, or, in whole configurations, by a missing one.
#[must_use]
pub fn trust_violations(settings: &Setting, mode: Mode<'_>) -> Vec<TrustViolation> {
    let mut found: Vec<TrustViolation> = Vec::new();
    for rule in RULES {
        let Some((field, seen)) = rule.violation(settings, mode) else { continue };
        // A removed mapping is reported once, not for each field in it.
        if !found.iter().any(|earlier| earlier.field == field) {
            found.push(TrustViolation { field, seen, rule });
        }
    }
    found
}
