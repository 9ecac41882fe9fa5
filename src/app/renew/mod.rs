//! Renews what is due: credentials of hosts and of the verifier, administrators' kubeconfigs, and CRLs.
//!
//! `app::issue` issues what was never issued. [`plan()`] finds what is due and changes nothing; [`RenewPlan::apply`]
//! renews it by the use cases of each kind, so that what was done until an interruption is complete, and the same run
//! continues.

mod observer;
mod plan;
mod report;

pub use plan::{DueAdmin, RenewOptions, RenewPlan, plan};
pub use report::RenewReport;
