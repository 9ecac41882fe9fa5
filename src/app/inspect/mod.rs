//! Describes files with certificates, keys, certificate requests, CRLs, kubeconfigs or bundles.
//!
//! Certificates can also be looked up in the ledger, the database of issued certificates. If several files are given,
//! each CA in them is shown as the issuer of the certificates that it signed.

pub(in crate::app) mod bundled;
pub(in crate::app) mod content;
mod error;
pub(in crate::app) mod read_all;
mod recorded;
mod report;
mod search;
pub(in crate::app) mod walk;

pub use error::{InspectError, Unreadable};
pub use read_all::{SkipReason, Skipped};
pub use report::{InspectReport, InspectedFile, inspect};
pub use search::InputFile;
pub(in crate::app) use search::{labels, names};
pub use walk::WalkError;
