//! Administrators' kubeconfigs.
//!
//! [`plan()`] checks the request under the cluster directory's lock; [`AdminPlan::apply`] signs, records and writes.

mod error;
mod foreign;
pub mod kubeconfig;
mod notice;
mod plan;
mod reissue;

pub use error::{AdminError, NameOwner};
pub use foreign::ForeignKubeconfig;
pub(in crate::app) use foreign::check as check_kubeconfig;
pub use notice::Notice;
pub use plan::{AdminAccount, AdminOptions, AdminPlan, AdminReport, plan};
pub(in crate::app) use reissue::reissue;
