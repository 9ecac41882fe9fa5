//! The judgement: pure functions from observations, the target and `now` to findings. No network, no clock.
//! An answer counts only when it came over a connection whose peer proved that it belongs to the root.

mod admission;
mod anchor;
mod answer;
mod api_server;
mod backend;
mod cause;
mod certificate;
mod clients;
mod denials;
#[cfg(test)]
mod fixture;
mod heartbeat;
mod judge;
mod kubelet;
mod location;
mod naming;
mod reach;
mod refusal;
mod trust;

pub use anchor::trust_anchor;
pub use judge::{Clock, Detail, judge, judge_in};
