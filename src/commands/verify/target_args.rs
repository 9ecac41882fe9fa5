//! The arguments that describe a target without a cluster directory.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::app::verify::{CredentialFiles, TargetFiles, TargetSource};

/// A target without a cluster directory.
#[derive(Debug, Args)]
#[command(next_help_heading = "Without a cluster directory")]
pub(super) struct TargetArgs {
    /// Verify by the content of this bundle: a verifier bundle, or a node's own
    #[arg(long, value_name = "BUNDLE", value_hint = clap::ValueHint::FilePath, conflicts_with_all = ["ca", "endpoint", "kubeconfig", "master_cert", "node_cert"])]
    from: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current-context]
    #[arg(long, value_name = "NAME", requires = "kubeconfig", conflicts_with_all = ["from", "ca", "endpoint", "node_cert"])]
    context: Option<String>,
    /// Roots to trust, PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    ca: Option<PathBuf>,
    /// Endpoint of the masters, https://HOST:PORT
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Take the endpoint, the roots and the node's certificate from this kubeconfig
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with_all = ["ca", "endpoint", "node_cert"])]
    kubeconfig: Option<PathBuf>,
    /// Client certificate with which masters connect to nodes, PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "master_key")]
    master_cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "master_cert")]
    master_key: Option<PathBuf>,
    /// Client certificate with which a node connects to masters, PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "node_key")]
    node_cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, requires = "node_cert")]
    node_key: Option<PathBuf>,
}

impl TargetArgs {
    /// Returns true if a target is given, so that the cluster directory is not read.
    pub(super) fn is_given(&self) -> bool {
        let files = [&self.from, &self.ca, &self.kubeconfig, &self.master_cert, &self.node_cert];
        self.endpoint.is_some() || files.iter().any(|file| file.is_some())
    }

    /// Returns the source of the target, with paths resolved from the folder `dir`.
    pub(super) fn source(&self, dir: &Path) -> TargetSource {
        let path = |given: &Option<PathBuf>| given.as_ref().map(|given| dir.join(given));
        if !self.is_given() {
            return TargetSource::Directory;
        }
        if let Some(bundle) = path(&self.from) {
            return TargetSource::Bundle(bundle);
        }
        let pair = |certificate: &Option<PathBuf>, key: &Option<PathBuf>| {
            Some(CredentialFiles { certificate: path(certificate)?, key: path(key)? })
        };
        TargetSource::Files(Box::new(TargetFiles {
            kubeconfig: path(&self.kubeconfig),
            context: self.context.clone(),
            ca: path(&self.ca),
            endpoint: self.endpoint.clone(),
            master: pair(&self.master_cert, &self.master_key),
            node: pair(&self.node_cert, &self.node_key),
        }))
    }
}
