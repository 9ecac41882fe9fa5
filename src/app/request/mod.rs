//! Requests on a host: makes the keys of a kubelet where they stay, and writes what they ask for into a file.
//!
//! It needs no network, no cluster directory and no clock. The keys are in the paths of a node's bundle.

mod error;
mod keys;
mod write;

pub use error::RequestError;
pub use keys::HostKey;
pub use write::{RequestOptions, RequestReport, request};
