//! Probing: makes the connections of a run and records what they observe. Judges nothing. A tokio runtime of its own
//! keeps everything above synchronous.

mod api_servers;
mod context;
mod denials;
mod dial;
mod dry_runs;
mod exchanges;
mod in_order;
mod lists;
mod plan;
mod run;

pub use run::{Progress, RunError, run};
