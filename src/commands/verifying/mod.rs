//! What `verify` is pointed at, and what it proves of the directory alone.

mod admins;
pub(crate) mod audit;
mod bundles;
mod likeness;
mod surroundings;
pub(crate) mod target;
