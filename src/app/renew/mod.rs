//! Renews what is due: credentials of hosts and of the verifier, administrators' kubeconfigs, and CRLs.
//!
//! Credentials that were never issued are left to `app::issue`. [`plan()`] finds what is due and changes nothing;
//! [`RenewPlan::apply`] runs the use case of each kind. What was done before an interruption is complete, and running
//! the command again does the rest.

mod crls;
mod plan;
mod report;

pub use crls::DueCrl;
pub(in crate::app) use crls::{due_crls, renew_crls};
pub use plan::{DueAdmin, RenewOptions, RenewPlan, plan};
pub use report::RenewReport;
