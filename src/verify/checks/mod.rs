//! Checks: pure functions from observations, the target and `now` to findings. No network, no clock. A response counts
//! only if the server proved on its connection that it belongs to the cluster.

mod acceptance;
mod admission;
mod anchor;
mod answer;
mod api_server;
mod backend;
mod cause;
mod certificate;
mod clients;
mod context;
mod dates;
mod denials;
mod etcd;
#[cfg(test)]
mod fixture;
mod heartbeat;
mod inventory;
mod judge;
mod kubelet;
mod location;
mod missing;
mod naming;
mod other_certificates;
mod paths;
mod phase;
mod proven;
mod proxy;
mod reach;
mod refusal;
mod review;
mod server_settings;
mod token_keys;
mod trust;

pub use anchor::trust_anchor;
pub use context::Clock;
pub use judge::{Detail, judge, judge_in};
pub(in crate::verify) use location::expectation;
