//! The CAs of a cluster: created once, or taken over from another tool.

mod create;
mod import;

pub use create::{CaReport, CreateCaError, CreatedCa, KeyProtection, create, missing};
pub use import::{CaWarning, CaWarningKind, ImportCaError, ImportOptions, ImportPlan, ImportReport, plan};
