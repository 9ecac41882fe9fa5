//! Enrolment: hosts join a running cluster, and a policy or a person decides about their requests.

mod distrust;
pub mod inventory;
pub mod issue;
pub mod judge;
pub mod persons;
pub mod prepared;
mod proofs;
pub(in crate::app) mod queue;
pub mod remedy;
pub mod review;

pub mod announce;
mod announce_error;
#[cfg(feature = "server")]
pub mod bootstrap;
#[cfg(feature = "server")]
pub mod connection;
#[cfg(feature = "server")]
pub mod decide;
pub mod join;
pub mod prove;
#[cfg(feature = "server")]
pub mod serve;
#[cfg(feature = "server")]
pub mod signer;
mod token_error;
pub mod tokens;

pub use announce_error::AnnounceError;
#[cfg(feature = "server")]
pub use connection::{ConnectionError, ConnectionProblem};
#[cfg(feature = "server")]
pub use decide::DecisionError;
pub use remedy::ReviewRemedy;
#[cfg(feature = "server")]
pub use signer::SignerError;
pub use token_error::JoinTokenError;
