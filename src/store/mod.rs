//! The cluster directory: the layout of its files, crash-safe writes, the lock, and the ledger.
//!
//! Only this module names `std::fs` or `rusqlite`; it makes no decisions about policy.

pub mod backup_source;
pub mod ca;
mod ca_error;
pub mod credentials;
pub mod error;
pub mod files;
pub mod handovers;
pub mod identity;
pub mod issuance;
pub mod layout;
pub mod ledger;
pub mod lock;
pub mod queue;
pub mod recorded_cas;
pub mod registrations;
pub mod restored;
pub mod rotation;
pub mod service_account;
pub mod signed;
pub mod staged;
pub mod token_rotation;
pub mod tokens;
pub mod trees;
pub mod trust_file;
pub mod verification_cache;
