//! The signer: approves and signs what a policy approves, at one mailbox or several.

mod event;
mod metrics;
mod options;
mod reviewers;
mod round;
mod run;
mod waiting;

pub use event::{Counts, SignerEvent};
pub use metrics::SignerMetrics;
pub use options::SignerOptions;
pub use reviewers::LocalReviewers;
pub use run::{SignerError, run};
