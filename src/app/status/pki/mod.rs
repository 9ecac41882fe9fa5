//! The status of any PKI: the certificates, kubeconfigs and CRLs of files and folders, made by any tool.

mod certificates;
mod rows;
mod tool;

pub use crate::app::inspect::{SkipReason, Skipped};
pub use rows::of_files;
