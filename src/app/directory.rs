//! The cluster directory as use cases begin with it: its owner, its cluster file, its CAs and its ledger.

use std::path::PathBuf;
use std::time::Duration;

use super::env::Env;
use super::error::Error;
use super::notice::Notice;
use super::observer::Observer;
use super::remedy::Remedy;
use crate::cluster::name::ClusterName;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::config::{self, ReadError};
use crate::pki::ca_set::CaSet;
use crate::pki::trust_bundle::TrustBundle;
use crate::pki::violation::Violation;
use crate::store::ca;
use crate::store::error::StoreError;
use crate::store::files::{self, Owner};
use crate::store::layout::{CLUSTER_FILE, Layout};
use crate::store::ledger::Ledger;
use crate::store::ledger::inventory::Inventory;
use crate::store::lock::Lock;

/// How long a use case waits for another that writes in the same directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(600);

/// Why a cluster directory cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DirectoryError {
    /// There is no cluster file.
    #[error("there is no {CLUSTER_FILE} in {}", dir.display())]
    NoClusterFile {
        /// The cluster directory.
        dir: PathBuf,
    },
    /// The cluster file is too large to be one.
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
    /// Another user owns the directory, and so decides what it says.
    #[error("{} belongs to another user: its owner is uid {}, and clusterctl runs as {}", path.display(), owner.uid, owner.ours)]
    AnotherOwner {
        /// The file or folder.
        path: PathBuf,
        /// Its owner and the current user.
        owner: Owner,
    },
    /// A CA's certificate belongs to another cluster.
    #[error("the root {} is not the {} of the cluster {cluster}: it {violation}", path.display(), role.as_str())]
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
    /// A CA's certificate is not the one in the ledger.
    #[error("the {} {} is not the one that the ledger knows", role.as_str(), path.display())]
    CaNotInLedger {
        /// The certificate.
        path: PathBuf,
        /// The role that it should have.
        role: CaRole,
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
            Self::CaNotInLedger { .. } => Remedy::RestoreCaAndLedger,
        })
    }
}

/// Refuses a directory that another user owns, as git does: its owner decides whom it trusts, and what is issued and packed.
///
/// `sudo_uid` is the user who became root with `sudo`, if any.
///
/// # Errors
/// [`DirectoryError::AnotherOwner`]
pub fn check_owner(layout: &Layout, sudo_uid: Option<u32>) -> Result<(), DirectoryError> {
    for path in [layout.dir().to_owned(), layout.cluster_file(), layout.pki()] {
        if let Some(owner) = files::another_owner(&path, sudo_uid) {
            return Err(DirectoryError::AnotherOwner { path, owner });
        }
    }
    Ok(())
}

/// Reads the bytes of the cluster file.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn cluster_file(layout: &Layout) -> Result<Vec<u8>, Error> {
    let path = layout.cluster_file();
    match files::read(&path, config::MAX_BYTES as u64) {
        Err(StoreError::Missing(_)) => Err(DirectoryError::NoClusterFile { dir: layout.dir().to_owned() }.into()),
        Err(source @ StoreError::TooLarge { .. }) => Err(DirectoryError::ClusterFileTooLarge { path, source }.into()),
        other => Ok(other?),
    }
}

/// Parses the bytes of the cluster file.
///
/// # Errors
/// [`DirectoryError::ClusterFile`] with all of its errors.
pub fn parse_cluster(layout: &Layout, bytes: &[u8]) -> Result<Cluster, DirectoryError> {
    config::read(bytes).map_err(|source| DirectoryError::ClusterFile { path: layout.cluster_file(), source })
}

/// Reads and parses the cluster file.
///
/// # Errors
/// As [`cluster_file`] and [`parse_cluster`].
pub fn cluster(layout: &Layout) -> Result<Cluster, Error> {
    let bytes = cluster_file(layout)?;
    Ok(parse_cluster(layout, &bytes)?)
}

/// Opens the ledger and reads the CAs' certificates, which have to be this cluster's and in the ledger.
///
/// A name cannot change once CAs carry it, and one CA in another's place would let every node into etcd.
///
/// # Errors
/// When a certificate is missing, another cluster's, or not in the ledger; or the ledger cannot be used.
pub fn cas(layout: &Layout, cluster: &Cluster) -> Result<(Ledger, CaSet), Error> {
    in_ledger(layout, CaSet::try_from_fn(|role| trust_of(layout, cluster, role))?)
}

/// As [`cas`], with what the ledger knows of every certificate: much to read for a large fleet.
///
/// # Errors
/// As [`cas`].
pub fn trust(layout: &Layout, cluster: &Cluster) -> Result<(Ledger, Inventory, CaSet), Error> {
    let (ledger, cas) = cas(layout, cluster)?;
    let known = ledger.inventory()?;
    Ok((ledger, known, cas))
}

/// As [`cas`], whatever cluster the certificates name.
///
/// # Errors
/// When a certificate is missing or not in the ledger, or the ledger cannot be used.
pub fn cas_of_any_cluster(layout: &Layout) -> Result<(Ledger, CaSet), Error> {
    in_ledger(layout, CaSet::try_from_fn(|role| ca::trust(layout, role))?)
}

fn trust_of(layout: &Layout, cluster: &Cluster, role: CaRole) -> Result<TrustBundle, Error> {
    let trust = ca::trust(layout, role)?;
    let violation = trust.all().find_map(|(ca, _)| ca.is_of_another_cluster(&cluster.name));
    match violation {
        None => Ok(trust),
        Some(violation) => {
            let (path, cluster) = (layout.root_certificate(role), cluster.name.clone());
            Err(DirectoryError::CaOfAnotherCluster { path, role, cluster, violation }.into())
        }
    }
}

fn in_ledger(layout: &Layout, cas: CaSet) -> Result<(Ledger, CaSet), Error> {
    let ledger = Ledger::open(&layout.ledger())?;
    for role in CaRole::ALL {
        for (ca, _) in cas.of(role).all() {
            if !ledger.has_ca(ca.certificate().fingerprint(), role)? {
                return Err(DirectoryError::CaNotInLedger { path: layout.root_certificate(role), role }.into());
            }
        }
    }
    Ok((ledger, cas))
}

/// Takes the lock of the cluster directory, and waits for another process that has it.
///
/// `purpose` is what that process is told of this one.
///
/// # Errors
/// When the lock is not released in time, or the directory is not writable.
pub fn lock(env: &Env, purpose: &str, observer: &mut dyn Observer) -> Result<Lock, StoreError> {
    Lock::take(&env.layout.lock(), purpose, LOCK_PATIENCE, &mut |holder| {
        observer.notice(Notice::WaitingForLock { holder: holder.to_owned() });
    })
}
