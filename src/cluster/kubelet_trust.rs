//! Checks a kubelet's configuration for fields that weaken authentication, authorization or TLS.
//!
//! One table of rules applies to the settings in the cluster file, to rendered configurations, and to the files in existing bundles.

mod rule;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;

use super::kubelet_setting::Setting;
use rules::RULES;

pub use rule::{ConfigKind, RenderedValues, Rule};

/// A rule that a configuration violates, with the value found.
#[derive(Debug, PartialEq, Eq)]
pub struct TrustViolation {
    /// The field, such as `authentication.anonymous.enabled`; if a `null` removes the mapping around it, that mapping.
    pub field: String,
    /// The value found, as text; `nothing` if the field is missing.
    pub seen: String,
    /// The rule that the value violates.
    pub rule: &'static Rule,
}

impl fmt::Display for TrustViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen: String = self.seen.chars().take(80).collect();
        write!(f, "{} is {seen:?}: {}", self.field, self.rule)
    }
}

/// Returns the violations of `config`, at most one for each field or removed mapping, in the order of the rules.
///
/// A field violates its rule if its value is not allowed. A required field also violates it if it is missing in a rendered or foreign
/// configuration, or if a `null` in a patch removes it.
#[must_use]
pub fn trust_violations(config: &Setting, kind: ConfigKind<'_>) -> Vec<TrustViolation> {
    let mut found: Vec<TrustViolation> = Vec::new();
    for rule in RULES {
        let Some((field, seen)) = rule.violation(config, kind) else { continue };
        // Each field has one rule. A removed mapping would be found once for each required field in it.
        if !found.iter().any(|earlier| earlier.field == field) {
            found.push(TrustViolation { field, seen, rule });
        }
    }
    found
}
