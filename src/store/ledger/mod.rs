//! The ledger: the inventory of every certificate ever issued, of revocations, and a log of everything else that was done.
//!
//! It is an SQLite database in write-ahead mode (WAL) with one writer and any number of readers, and holds no keys. A certificate
//! is recorded, durably, before any file with it is written.

pub mod adopt;
pub mod cache;
pub mod certificates;
pub mod chain;
pub mod check;
pub mod connection;
pub mod crls;
pub mod current;
pub mod distrust;
pub mod encrypted_bundles;
pub mod enrolments;
pub mod events;
pub mod generations;
pub mod history;
pub mod images;
pub mod inventory;
pub mod query;
pub mod records;
pub mod replace;
pub mod revocations;
pub mod sequence;
pub mod unrecorded;

mod columns;
mod schema;
mod sqlite_error;
mod wal;

pub use connection::Ledger;
pub use events::AuditContext;
