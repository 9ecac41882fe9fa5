//! Paths from a certificate to a trust anchor, checked as Kubernetes checks them (Go's crypto/x509).
//!
//! Every certificate of a path is checked; certificates that were sent but are not in the path do not matter. ring verifies the
//! signatures, and a valid path also has to be valid for rustls-webpki (RFC 5280 § 6).

mod best;
mod name_constraints;
mod path;
mod rules;
mod search;
#[cfg(test)]
mod tests;

pub use best::{best_path, verify_chain};
pub(crate) use path::describe;
pub use path::{ChainError, Path, PathViolation, Purpose, ViolationKind};
