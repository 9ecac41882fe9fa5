//! The options of a target.

use std::path::PathBuf;

use crate::cluster::profile::CaRole;

/// The source of a target.
#[derive(Debug)]
pub enum TargetSource {
    /// The cluster directory.
    Directory,
    /// A verifier bundle or a node's bundle.
    Bundle(PathBuf),
    /// Single files and addresses.
    Files(Box<TargetFiles>),
}

/// The rotation whose phase is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvenRotation {
    /// The only one that is under way.
    Only,
    /// That of a CA.
    Ca(CaRole),
    /// That of the key that signs service account tokens.
    TokenKey,
}

/// The target to verify.
#[derive(Debug)]
pub struct TargetOptions {
    /// The source.
    pub source: TargetSource,
    /// The only nodes to verify: names, or `NAME=HOST[:PORT]` if the source has no addresses. All nodes if empty.
    pub nodes: Vec<String>,
    /// If true, no node is verified.
    pub masters_only: bool,
    /// The number of nodes to verify, evenly spaced; all if `None`.
    pub sample: Option<usize>,
    /// The rotation whose phase is proven, too.
    pub phase: Option<ProvenRotation>,
    /// Files with CRLs to check revocation with, in addition to the directory's own CRL.
    pub crls: Vec<PathBuf>,
}

/// The files and addresses of a target.
#[derive(Debug, Clone, Default)]
pub struct TargetFiles {
    /// A kubeconfig with the endpoint, the CAs and a client certificate.
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context; its current context if `None`.
    pub context: Option<String>,
    /// The CAs to trust, PEM.
    pub ca: Option<PathBuf>,
    /// The masters' endpoint, `https://HOST:PORT`.
    pub endpoint: Option<String>,
    /// The client certificate with which masters connect to nodes.
    pub master: Option<CredentialFiles>,
    /// The client certificate with which a node connects to masters.
    pub node: Option<CredentialFiles>,
}

/// The files of a certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct CredentialFiles {
    /// The certificate, with its chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}
