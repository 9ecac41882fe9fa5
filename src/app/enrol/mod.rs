//! Enrolment: hosts join a running cluster, and the office decides about their requests.

pub mod announce;
#[cfg(feature = "server")]
pub mod bootstrap;
pub mod join;
#[cfg(feature = "server")]
pub mod serve;
pub mod tokens;
