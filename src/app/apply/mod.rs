//! Makes the cluster directory match the cluster file: credentials of hosts and of the verifier, CRLs, access rules and
//! bundles.
//!
//! [`plan()`] finds what differs and changes nothing. [`ApplyPlan::apply`] runs the use case of each kind. What was
//! done before an interruption is complete, and running the command again does the rest. What is up to date is not
//! written.

mod changes;
mod plan;

pub use changes::{BundleChange, BundleReason, Changes};
pub use plan::{ApplyPlan, plan};
