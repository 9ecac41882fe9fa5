//! Reads the parts of kubeconfigs (Kubernetes client-go `clientcmd/api/v1`) that concern trust: CAs and client
//! credentials.
//!
//! Nothing that a kubeconfig names is opened or run here.

mod data;
mod error;
mod model;
mod raw;
mod read;
#[cfg(test)]
mod tests;
mod weakness;

pub use error::KubeconfigError;
pub use model::{ContextError, Credential, KubeCluster, KubeContext, KubeUser, Kubeconfig, ResolvedContext};
pub use read::read;
pub use weakness::Weakness;
