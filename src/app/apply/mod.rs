//! Makes the cluster directory match the cluster file: credentials of hosts and of the verifier, CRLs, access rules and
//! bundles.
//!
//! [`plan()`] finds the differences and changes nothing. [`ApplyPlan::apply`] runs the use case for each kind of
//! difference. Files that are up to date are not written. After an interruption, every completed step is whole, and
//! another run does the rest.

mod changes;
mod plan;

pub use changes::{BundleChange, BundleReason, Changes};
pub use plan::{ApplyPlan, plan};
