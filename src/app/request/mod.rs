//! Requests on a host: makes the keys of a kubelet where they stay, and writes the requests into a file.
//!
//! It needs no network and no cluster directory. The keys are in the paths of a node's bundle.

mod error;
mod keys;
mod remedy;
pub(in crate::app) mod statement;
mod write;

pub use error::RequestError;
pub use keys::HostKey;
pub use remedy::Remedy;
pub use statement::StatementError;
pub use write::{RequestOptions, RequestReport, request};
