//! Creates requests on a host: generates the keys of a kubelet, and writes certificate requests for them into a file.
//!
//! This needs neither a network nor a cluster directory. The keys have the same paths as in a node's bundle.

mod error;
pub(in crate::app) mod keys;
mod remedy;
pub(in crate::app) mod statement;
mod write;

pub use error::RequestError;
pub use keys::HostKey;
pub use remedy::Remedy;
pub use statement::StatementError;
pub use write::{RequestOptions, RequestReport, request};
