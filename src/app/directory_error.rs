//! Errors that make a cluster directory unusable.

use std::path::PathBuf;

use super::remedy::Remedy;
use crate::cluster::name::ClusterName;
use crate::cluster::profile::CaRole;
use crate::config::ReadError;
use crate::pki::violation::Violation;
use crate::store::error::StoreError;
use crate::store::files::Owner;
use crate::store::layout::CLUSTER_FILE;

/// Errors that make a cluster directory unusable.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DirectoryError {
    /// There is no cluster file.
    #[error("there is no {CLUSTER_FILE} in {}", dir.display())]
    NoClusterFile {
        /// The cluster directory.
        dir: PathBuf,
    },
    /// The file is too large for a cluster file.
    #[error("cannot read the cluster file {}", path.display())]
    ClusterFileTooLarge {
        /// The cluster file.
        path: PathBuf,
        /// Its size and the limit.
        source: StoreError,
    },
    /// The cluster file has errors.
    #[error("the cluster file {} cannot be used", path.display())]
    ClusterFile {
        /// The cluster file.
        path: PathBuf,
        /// All of its errors.
        source: ReadError,
    },
    /// Another user owns the directory, and could change its content.
    #[error("{} belongs to another user: its owner is uid {}, and clusterctl runs as {}", path.display(), owner.uid, owner.ours)]
    AnotherOwner {
        /// The file or folder.
        path: PathBuf,
        /// Its owner and the current user.
        owner: Owner,
    },
    /// A CA's certificate belongs to another cluster.
    #[error("{} is not the {} of cluster {cluster}: it {violation}", path.display(), role.as_str())]
    CaOfAnotherCluster {
        /// The certificate.
        path: PathBuf,
        /// The role that it should have.
        role: CaRole,
        /// The cluster's name in the cluster file.
        cluster: ClusterName,
        /// What differs.
        violation: Violation,
    },
}

impl DirectoryError {
    pub(super) fn remedy(&self) -> Option<Remedy> {
        Some(match self {
            Self::NoClusterFile { .. } => Remedy::WriteClusterFile,
            Self::ClusterFileTooLarge { .. } => return None,
            Self::ClusterFile { source, .. } => Remedy::CorrectClusterFile(source.clone()),
            Self::AnotherOwner { .. } => Remedy::ChangeOwner,
            Self::CaOfAnotherCluster { .. } => Remedy::RestoreClusterName,
        })
    }
}
