//! What `verify` is pointed at, and what it proves of the directory alone.

pub(crate) mod audit;
mod likeness;
pub(crate) mod target;
