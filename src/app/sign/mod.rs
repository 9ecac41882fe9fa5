//! Signs requests: only the public key is taken from a request; every name, usage and date comes from the cluster file.
//!
//! [`preview`] reads and checks the requests and changes nothing. [`plan()`] does the same under the directory's lock;
//! [`SignPlan::apply`] signs, records and writes.

pub(in crate::app) mod certify;
mod error;
mod host_key;
pub(in crate::app) mod judge;
mod options;
mod plan;
mod read;
mod report;

pub use error::{RefusedRequest, RequestProblem, SignError};
pub use options::{MAX_REQUEST, SignOptions};
pub use plan::{SignPlan, SignPreview, plan, preview};
pub use report::{Asked, EarlierCertificate, Granted, HostKeyEvidence, SignReport, SignedCertificate};
