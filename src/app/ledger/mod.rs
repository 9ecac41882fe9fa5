//! Checks the ledger, and makes a new one where it is lost or damaged.

mod check;
mod error;
mod finding;
mod rebuild;

pub use check::{CheckReport, check};
pub use error::RebuildError;
pub use finding::{LedgerFinding, LedgerFindingId, Severity};
pub use rebuild::{RebuildReport, Unknown, rebuild};
