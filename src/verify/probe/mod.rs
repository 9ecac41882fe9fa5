//! Probing: makes the connections of a run and records what they observe. It evaluates nothing. It has its own tokio
//! runtime, so that everything above is synchronous.

mod api_servers;
mod context;
mod denials;
mod dial;
mod dry_runs;
mod etcd;
mod exchanges;
mod in_order;
mod lists;
mod plan;
mod run;

pub use run::{Progress, RunError, run};
