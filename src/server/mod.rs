//! The server of the enrolment CA: Kubernetes's `certificates.k8s.io/v1` over TLS, for hosts, approvers and the signer.
//!
//! It has the queue and no CA key. Clients are authenticated at each request, so that a revocation applies to the next one. What
//! depends on the cluster directory is in an implementation of [`Site`](site::Site).

pub mod bootstrap;
pub mod client;
pub mod clock;
pub mod credential;
pub mod listener;
pub mod notice;
pub mod notify;
pub mod site;
pub mod trust;

mod api;
mod connections;
mod descriptors;
mod figures;
mod lasting;
mod metrics;
mod recent;
mod sources;
mod state;
mod tls;
mod watchers;
mod writer;

pub use api::{read_change, read_request};
pub use listener::{Options, Server, ServerError};
