//! Revocation: in the ledger, in the CAs' CRLs and in the authorization configuration of API servers.
//!
//! CRLs and rendered files are compared with the ledger, too: a ledger that was restored from a backup may lack revocations that
//! they have.

pub mod certificates;
pub mod crl;
pub mod denials;
mod error;
pub mod forgotten;
mod notice;
mod remedy;
pub mod removed_hosts;
pub mod rendered;
pub mod superseded;

pub use error::{LedgerEvidence, RevokeError};
pub use forgotten::check_ledger_is_current;
pub use notice::Notice;
pub use remedy::Remedy;
