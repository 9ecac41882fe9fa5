//! The CAs of a cluster: created once, opened for signing.

mod create;

pub use create::{CaReport, CreateCaError, CreatedCa, KeyProtection, check_absent, create};
