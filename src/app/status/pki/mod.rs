//! The status of any PKI: the certificates, kubeconfigs and CRLs of files and folders, whichever tool made them.

mod certificates;
mod files;
mod rows;
mod tool;

pub use files::{SkipReason, Skipped};
pub use rows::of_files;
