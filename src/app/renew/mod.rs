//! Renews what is due: credentials of hosts and of the verifier, administrators' kubeconfigs, and CRLs.
//!
//! `app::issue` issues what was never issued. [`plan()`] finds what is due and changes nothing; [`RenewPlan::apply`]
//! renews it by the use cases of each kind, so that what was done until an interruption is complete, and the same run
//! continues.

mod crls;
mod plan;
mod report;

pub use crls::DueCrl;
pub(in crate::app) use crls::{due_crls, renew_crls};
pub use plan::{DueAdmin, RenewOptions, RenewPlan, plan};
pub use report::RenewReport;
