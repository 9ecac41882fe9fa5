//! The signer: decides about requests by the policy, and signs approved ones, at one mailbox or several.

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
