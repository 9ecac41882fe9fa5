//! Reads the history of a cluster directory: who issued, packed and revoked what, and when.

mod error;
mod read;
mod requests;

pub use error::HistoryError;
pub(in crate::app) use read::similar_holder;
pub use read::{HistoryOptions, HistoryReport, history};
