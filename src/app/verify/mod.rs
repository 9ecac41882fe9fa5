//! Verifies a live cluster: assembles the target, runs the checks, and writes and reads recordings.

mod assembled;
mod bundle;
mod clients;
pub(crate) mod denials;
mod directory;
mod endpoint;
mod error;
mod files;
mod kubeconfig;
mod node;
mod options;
mod recording;
mod revocations;
mod run;
mod target;

pub use assembled::AssembledTarget;
pub use error::{NodeError, Remedy, TargetError, UnusableBundle, UnusableKubeconfig, VerifyError};
pub(in crate::app) use kubeconfig::other_server_name;
pub use options::{CredentialFiles, ProvenRotation, TargetFiles, TargetOptions, TargetSource};
pub use recording::{check_writable, read, write};
pub use run::{RunOptions, run};
pub use target::assemble;
