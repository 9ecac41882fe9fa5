//! Remedies of findings, as data. The words for them are made by the command line, by the tool that made the cluster: a
//! report of a cluster that another tool made names no command of clusterctl.

mod access;
mod certificate;
mod cluster;
mod connection;
mod directory;
mod model;
mod server;

pub use access::{AuthenticationRemedy, AuthorizationRemedy};
pub use certificate::{CertificateRemedy, TrustRemedy};
pub use cluster::{HealthRemedy, VerifierRemedy, VerifierRight};
pub use connection::ConnectionRemedy;
pub use directory::{DirectoryRemedy, FileRemedy};
pub use model::Remedy;
pub use server::{Program, Server, TargetKind};
