//! Reports what expires and what needs attention.
//!
//! [`of_directory`] reports on a cluster directory, from the ledger and without any passphrase: CAs, CRLs, the
//! credentials of hosts, of the verifier and of administrators, bundles that are older than their certificates, hosts
//! that left the cluster, and open requests of hosts. [`of_files`] reports on the files of any PKI. Rows are passed on one
//! at a time, so that the report of a large cluster need not fit into memory.

mod admins;
mod authorities;
mod bundles;
mod directory;
mod error;
mod expiry;
mod hosts;
mod options;
mod pki;
mod remedy;
mod removed;
mod report;
mod requests;
mod rotations;
mod row;
mod sort;
mod source;
mod state;
mod summary;

pub use directory::{crls_of_directory, of_directory};
pub use error::StatusError;
pub use options::StatusOptions;
pub use pki::{SkipReason, Skipped, of_files};
pub use remedy::Remedy;
pub use report::{EnrolmentReport, StatusReport};
pub use rotations::RotationSummary;
pub use row::{CertificateId, Credential, FileKind, Problem, StatusRow, Subject};
pub use sort::{SortBy, sort};
pub use state::State;
pub use summary::Summary;
