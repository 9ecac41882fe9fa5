//! Remedies of findings, as data. The command line renders them as text, depending on the tool that created the
//! cluster: a report about a cluster of another tool contains no command of clusterctl.

mod access;
mod certificate;
mod cluster;
mod connection;
mod directory;
mod enrolment;
mod model;
mod server;

pub use access::{AuthenticationRemedy, AuthorizationRemedy};
pub use certificate::{CertificateRemedy, TrustRemedy};
pub use cluster::{HealthRemedy, VerifierRemedy, VerifierRight};
pub use connection::ConnectionRemedy;
pub use directory::{DirectoryRemedy, FileRemedy};
pub use enrolment::EnrolmentRemedy;
pub use model::Remedy;
pub use server::{Program, Server, TargetKind};
