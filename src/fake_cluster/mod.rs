//! A simulated cluster on loopback, for `demo` and the tests.
//!
//! Its API servers and kubelets respond as recorded from Kubernetes 1.36.2, optionally with an injected fault. A run against it
//! proves nothing about a real cluster.

mod api_server;
pub mod cluster;
mod dry_run;
mod error;
pub mod injected_fault;
mod installed;
mod kubelet;
mod nodes;
mod response;
mod reviews;
mod small;
mod state;
mod tls;
pub mod traffic;

pub use error::FakeClusterError;
