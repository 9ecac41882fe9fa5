//! Evaluates policies: the first rule whose conditions match and whose requirements are met decides.
//!
//! [`decide`] gets the answers to requirements from a function, so that this module reads no ledger and runs no program.

mod decision;
pub mod review;

pub use decision::{Answer, Decision, RequirementTrace, RuleTrace, Target, Verdict, decide, insecure};
