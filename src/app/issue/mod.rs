//! Issues credentials of control-plane nodes, of nodes and of the verifier that are missing or have to be replaced.
//!
//! [`preview`] compares the cluster directory with the cluster file and changes nothing. [`plan()`] does the same under
//! the directory's lock; [`IssuePlan::apply`] signs, records and writes.

mod compare;
mod error;
mod notice;
mod options;
mod plan;
mod reason;
mod report;
mod service_account;
mod sign;

pub use error::{CredentialName, IssuanceError};
pub use notice::Notice;
pub use options::{IssueOptions, Subjects};
pub(in crate::app) use plan::plan_after;
pub use plan::{IssuePlan, IssuePreview, plan, preview};
pub use reason::{IssueReason, PlannedCertificate};
pub use report::{IssueReport, NextStep};
pub use service_account::ServiceAccountStep;
