//! Removes hosts that left the cluster: revokes their certificates, and deletes their files and bundles.
//!
//! [`preview`] finds what is left of a host and changes nothing. [`plan()`] does the same under the cluster directory's
//! lock; [`RemovePlan::apply`] revokes first, then deletes. Running the same command again completes an interrupted
//! run.

mod error;
mod hosts;
mod next_step;
mod options;
mod plan;
mod removal;

pub use error::RemoveError;
pub use next_step::NextStep;
pub use options::RemoveOptions;
pub use plan::{RemovePlan, RemoveReport, plan, preview};
pub use removal::{HostRemoval, Removal};
