//! Verifies a live cluster: assembles the target, runs the checks, and writes and reads recordings.

mod bundle;
pub(crate) mod denials;
mod directory;
mod error;
mod files;
mod kubeconfig;
mod node;
mod recording;
mod revocations;
mod run;
mod target;

pub use error::{Remedy, TargetError, UnusableBundle, UnusableKubeconfig, VerifyError};
pub use files::{CredentialFiles, TargetFiles};
pub(in crate::app) use kubeconfig::other_server_name;
pub use node::NodeError;
pub use recording::{check_writable, read, write};
pub use run::{RunOptions, run};
pub use target::{AssembledTarget, TargetOptions, TargetSource, assemble};
