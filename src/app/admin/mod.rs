//! Administrators' kubeconfigs.
//!
//! [`plan()`] checks what is asked for under the cluster directory's lock; [`AdminPlan::apply`] signs, records and writes.

mod error;
pub mod kubeconfig;
mod notice;
mod plan;

pub use error::{AdminError, NameOwner};
pub use notice::Notice;
pub use plan::{AdminOptions, AdminPlan, AdminReport, plan};
