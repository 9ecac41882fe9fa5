//! Who gets a certificate: a policy's rules in their order, and what each requirement answers.
//!
//! [`decide`] asks what it needs through a function, so that nothing here reads a ledger or runs a program.

mod decision;
pub mod review;

pub use decision::{Answer, Decision, RequirementTrace, RuleTrace, Target, Verdict, decide, insecure};
