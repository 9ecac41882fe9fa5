//! The enrolment CA's server: listens for hosts, approvers and the signer.
//!
//! It needs the cluster file, the CAs' certificates, their CRLs and a serving credential, and no CA key.

mod cluster_info;
mod error;
mod preview;
mod proofs;
mod run;
mod site;

pub use error::ServeError;
pub use run::{MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, PORT, ServeOptions, serve};
pub use site::DirectorySite;
