//! Checks the ledger.

mod check;
mod finding;

pub use check::{CheckReport, check};
pub use finding::{LedgerFinding, LedgerFindingId, Severity};
