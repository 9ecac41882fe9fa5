//! Writes the folder of access rules: RBAC and admission policies, and the API servers' authorization configuration.

mod error;
mod write;

pub use error::PolicyError;
pub use write::{PolicyReport, write};
