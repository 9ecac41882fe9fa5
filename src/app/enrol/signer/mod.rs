//! The signer: decides about requests by the policy, and signs approved ones, at one mailbox or several.

mod error;
mod event;
mod metrics;
mod options;
mod pipeline;
mod reviewers;
mod round;
mod run;
mod waiting;

pub use error::SignerError;
pub use event::{Counts, SignerEvent};
pub use metrics::SignerMetrics;
pub use options::SignerOptions;
pub use reviewers::LocalReviewers;
pub use run::run;
