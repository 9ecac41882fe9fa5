//! Makes the cluster directory match the cluster file: credentials of hosts and of the verifier, CRLs, access rules and
//! bundles.
//!
//! [`plan()`] finds what differs and changes nothing. [`ApplyPlan::apply`] changes it by the use cases of each kind, so
//! that what was done until an interruption is complete, and the same run continues. What is up to date is left alone.

mod changes;
mod plan;

pub use changes::{BundleChange, BundleReason, Changes};
pub use plan::{ApplyPlan, plan};
