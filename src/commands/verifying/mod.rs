//! What `verify` is pointed at, and what it proves of the directory alone.

mod admins;
pub(crate) mod audit;
mod bundles;
pub(crate) mod denials;
mod likeness;
mod surroundings;
pub(crate) mod target;
