//! The cluster directory: where things lie, writes that survive a crash, the lock, the ledger.
//! The only room that names `std::fs` or `rusqlite`; it decides nothing about policy.

pub mod ca;
pub mod credentials;
pub mod error;
pub mod files;
pub mod generations;
pub mod identity;
pub mod images;
pub mod issuance;
pub mod layout;
pub mod ledger;
pub mod lock;
pub mod revocations;
pub mod sealed;
pub mod sequence;
pub mod service_account;
pub mod staged;
pub mod trees;
pub mod unrecorded;
pub mod verification_cache;
