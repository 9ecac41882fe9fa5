//! The queue of the enrolment server: requests of hosts, their events, Leases, and used one-time tokens, in an SQLite
//! database of its own.
//!
//! Every change is one transaction together with its event. [`Queue::commit`] groups the changes of many clients into
//! one transaction, because each commit waits for the disk. The resource version is a number that grows with every
//! change.

pub mod change;
pub mod connection;
pub mod error;
pub mod history;
pub mod read;
pub mod row;

mod batch;
mod create;
mod expire;
mod leases;
mod schema;
mod update;

pub use change::{Answer, Change, Kind, Published};
pub use connection::Queue;
pub use error::{QueueError, Refused};
pub use row::StoredRequest;

/// The name of the queue's file in its folder.
pub const FILE: &str = "enrolment.sqlite";
