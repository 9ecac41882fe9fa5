//! Checks the ledger, rebuilds it if it is lost or damaged, and records certificates that were issued elsewhere.

mod adopt;
mod adopt_files;
mod check;
mod error;
mod finding;
mod rebuild;

pub use adopt::{AdoptOptions, AdoptReport, AdoptedCertificate, adopt};
pub use adopt_files::{SkipReason, Skipped};
pub use check::{CheckReport, check};
pub use error::RebuildError;
pub use finding::{LedgerFinding, LedgerFindingId, Severity};
pub use rebuild::{RebuildReport, Unknown, rebuild};
