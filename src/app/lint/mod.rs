//! Checks files against rules for Kubernetes: certificates, keys, CRLs, kubeconfigs and bundles, made by any tool.
//! Nothing is written, and no passphrase is needed.

mod authorities;
mod certificates;
mod error;
mod finding;
mod identities;
mod keys;
mod kubeconfigs;
mod material;
mod names;
mod options;
mod purpose;
mod remedy;
mod rule;
mod rules;
mod run;
mod sources;
mod usages;

pub use error::LintError;
pub use finding::{LintFinding, LintReport, Place};
pub use options::LintOptions;
pub use remedy::LintRemedy;
pub use rule::{Rule, Severity};
pub use rules::{RULES, rule};
pub use run::lint;
