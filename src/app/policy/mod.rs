//! Writes the folder of access rules: RBAC and admission policies, and the API servers' authorization configuration.

mod changes;
mod error;
mod write;

pub use changes::{ChangeKind, PolicyChange};
pub use error::PolicyError;
pub use write::{PolicyReport, preview, write};
