//! Revocation: in the ledger, in the CAs' CRLs and in the authorization configuration of API servers.
//!
//! [`plan()`] finds what is revoked under the cluster directory's lock; [`RevokePlan::apply`] records, signs and
//! writes. CRLs and rendered files are compared with the ledger, too: a ledger that was restored from a backup may lack
//! revocations that they have.

pub mod certificates;
mod changes;
mod compromise;
pub mod crl;
pub(crate) mod crl_comparison;
pub mod crl_file;
mod crl_report;
pub mod denials;
mod error;
pub(in crate::app) mod learn;
mod lookup;
mod lookup_error;
mod missing;
pub mod not_in_ledger;
mod notice;
mod options;
mod plan;
mod remedy;
pub mod removed_host;
pub mod removed_hosts;
pub mod rendered;
mod report;
pub mod superseded;

pub use crl_comparison::CrlComparison;
pub use crl_report::{CrlProblem, CrlReport, CrlSource, CrlState, describe};
pub use error::{LedgerEvidence, RevokeError};
pub use lookup_error::LookupError;
pub use not_in_ledger::check_ledger_is_current;
pub use notice::Notice;
pub use options::{Request, RevokeOptions, Subject};
pub(in crate::app) use plan::preview;
pub use plan::{RevokePlan, RevokePreview, plan};
pub use remedy::Remedy;
pub(crate) use remedy::record_missing;
pub use report::{Advice, Learnt, Outcome, RevokeReport};
