//! The rotation of a CA, phase by phase.
//!
//! [`start()`] makes the new CA, and [`next`] begins the next phase if the report of a run of `verify` proves the present one.
//! A phase only changes `trust.json`: what follows for certificates and trust files is done by `apply`. [`abort()`] puts back
//! what was before. Every step is recorded in the ledger first, and a killed command is continued by the same command.

mod abort;
mod accounts;
mod advance;
mod behind;
mod delivered;
mod emergency;
mod error;
mod gate;
mod handover;
mod installed;
mod last_crl;
mod left;
mod mark;
mod notice;
mod plan;
mod rereads;
mod retire;
mod sockets;
mod start;
mod state;
pub mod tokens;

pub use abort::{AbortReport, abort, abort_needs_proof};
pub(in crate::app) use accounts::outdated_accounts;
pub use accounts::{OutdatedAccount, OutdatedReason};
pub use advance::{NextOptions, NextReport, check_forward, deletes_key, is_recorded, next, preview};
pub use behind::Behind;
pub(in crate::app) use delivered::keys_on_hosts_only;
pub use emergency::{EmergencyPlan, EmergencyReport, emergency, plan_emergency};
pub use error::RotateError;
pub use gate::{GateReport, REQUIRED, parse};
pub use installed::read_at_start;
pub use last_crl::needs_last_crl;
pub use left::{LeftCertificate, LeftHolder, RetiredRoot};
pub(in crate::app) use mark::marks;
pub use notice::Notice;
pub use plan::{Change, Group, PhasePlan, Restart, Target, plan};
pub use rereads::{Component, Input, READS, Reread, reread};
pub use start::{ImportedCa, ImportedFiles, NewCa, StartOptions, StartReport, check, start};
pub(in crate::app) use state::of_trust;
pub use state::{FailedProof, NAMED, RotatedCa, RotationState, state};
