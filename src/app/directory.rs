//! Opens the cluster directory for use cases: checks its owner, reads its cluster file, its CAs and its ledger, and
//! takes its lock.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::directory_error::DirectoryError;
use super::env::Env;
use super::error::Error;
use super::input;
use super::notice::Notice;
use super::observer::Observer;
use crate::cluster::profile::CaRole;
use crate::cluster::spec::Cluster;
use crate::config;
use crate::pki::ca_set::CaSet;
use crate::pki::trust_bundle::TrustBundle;
use crate::store::ca;
use crate::store::error::StoreError;
use crate::store::files;
use crate::store::identity::{Identity, identity};
use crate::store::layout::Layout;
use crate::store::ledger::Ledger;
use crate::store::ledger::inventory::Inventory;
use crate::store::lock::Lock;
use crate::store::recorded_cas;

/// The time limit for waiting for another process that holds the lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(600);

/// Refuses a directory that another user owns, as git does: its content determines which CAs are trusted, and what is
/// issued and packed.
///
/// `sudo_uid` is the user who became root with `sudo`, if any.
///
/// # Errors
/// Returns [`DirectoryError::AnotherOwner`].
pub fn check_owner(layout: &Layout, sudo_uid: Option<u32>) -> Result<(), DirectoryError> {
    for path in [layout.dir().to_owned(), layout.cluster_file(), layout.pki()] {
        if let Some(owner) = files::another_owner(&path, sudo_uid) {
            return Err(DirectoryError::AnotherOwner { path, owner });
        }
    }
    Ok(())
}

/// Reads and parses the cluster file.
///
/// # Errors
/// Returns an error if there is no cluster file, or it cannot be read; returns [`DirectoryError::ClusterFile`] with all
/// errors in it.
pub fn cluster(layout: &Layout) -> Result<Cluster, Error> {
    let path = layout.cluster_file();
    let bytes = match files::read_named(&path, config::MAX_BYTES as u64) {
        Err(StoreError::Missing(_)) => {
            return Err(DirectoryError::NoClusterFile { dir: layout.dir().to_owned() }.into());
        }
        Err(source @ StoreError::TooLarge { .. }) => {
            return Err(DirectoryError::ClusterFileTooLarge { path, source }.into());
        }
        other => other?,
    };
    config::read(&bytes).map_err(|source| DirectoryError::ClusterFile { path, source }.into())
}

/// A cache of the parsed cluster file, for a process that needs it repeatedly.
#[derive(Debug, Default)]
pub struct ClusterFileCache(Mutex<Option<(Identity, Arc<Cluster>)>>);

impl ClusterFileCache {
    /// Reads and parses the cluster file, unless its inode, size, mtime and ctime are those of the last time.
    ///
    /// # Errors
    /// Returns the errors of [`cluster`].
    pub fn read(&self, layout: &Layout) -> Result<Arc<Cluster>, Error> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = identity(&layout.cluster_file());
        if let Some((of, cluster)) = &*known
            && found == Some(*of)
        {
            return Ok(Arc::clone(cluster));
        }
        *known = None;
        let cluster = Arc::new(cluster(layout)?);
        // If the file changed while it was read, the next call reads it again.
        let same = found.filter(|found| identity(&layout.cluster_file()) == Some(*found));
        *known = same.map(|of| (of, Arc::clone(&cluster)));
        Ok(cluster)
    }
}

/// Reads and parses a cluster file at any path. Blocks on a pipe.
///
/// # Errors
/// Returns the errors of [`cluster`], or [`InputError`](super::input::InputError) if the file cannot be read.
pub fn cluster_in(path: &Path) -> Result<Cluster, Error> {
    let bytes = input::read_named(path, config::MAX_BYTES as u64, "cluster file")?;
    config::read(&bytes).map_err(|source| DirectoryError::ClusterFile { path: path.to_owned(), source }.into())
}

/// Opens the ledger for reading.
///
/// # Errors
/// Returns an error if there is no CA yet, or the ledger cannot be used.
pub fn ledger(layout: &Layout) -> Result<Ledger, Error> {
    Ledger::open_read_only(&layout.ledger()).map_err(|error| match error {
        // Without a CA, the ledger was never created, so it is not lost.
        StoreError::LedgerMissing(_) => ca::trust(layout, CaRole::Cluster).err().map_or(error.into(), Error::from),
        other => other.into(),
    })
}

/// Opens the ledger and reads the CAs' certificates, which must belong to this cluster and be recorded in the ledger.
///
/// The cluster's name must not change once CAs contain it.
///
/// # Errors
/// Returns an error if a certificate is missing, belongs to another cluster, or is not in the ledger, or if the ledger
/// cannot be used.
pub fn cas(layout: &Layout, cluster: &Cluster) -> Result<(Ledger, CaSet), Error> {
    let cas = CaSet::try_from_fn(|role| trust_of(layout, cluster, role))?;
    let ledger = recorded_cas::open_ledger(layout, &cas)?;
    Ok((ledger, cas))
}

/// Like [`cas`], but also reads the inventory, every certificate in the ledger, which is slow for large clusters.
///
/// # Errors
/// Returns the errors of [`cas`].
pub fn cas_and_inventory(layout: &Layout, cluster: &Cluster) -> Result<(Ledger, Inventory, CaSet), Error> {
    let (ledger, cas) = cas(layout, cluster)?;
    let inventory = ledger.inventory()?;
    Ok((ledger, inventory, cas))
}

/// Reads the certificates of the cluster's CA, which must belong to this cluster. It needs neither the ledger nor the other CAs.
///
/// # Errors
/// Returns an error if a certificate is missing, cannot be read, or belongs to another cluster.
pub fn cluster_ca(layout: &Layout, cluster: &Cluster) -> Result<TrustBundle, Error> {
    trust_of(layout, cluster, CaRole::Cluster)
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

/// Takes the lock of the cluster directory, after waiting for another process that holds it.
///
/// Then completes CA files that a killed process left incomplete.
///
/// `purpose` describes this process to other processes that wait for the lock.
///
/// # Errors
/// Returns an error if the lock is not released in time, or the directory is not writable.
pub fn lock(env: &Env, purpose: &str, observer: &mut dyn Observer) -> Result<Lock, StoreError> {
    let lock = Lock::take(&env.layout.lock(), purpose, LOCK_PATIENCE, &mut |holder| {
        observer.notice(Notice::WaitingForLock { holder: holder.to_owned() });
    })?;
    CaRole::ALL.into_iter().try_for_each(|role| ca::complete_trust(&env.layout, role))?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_file_is_read_again_when_it_changed() {
        let dir = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(dir.path().to_owned());
        let write = |node: &str| {
            let text = format!(
                "apiVersion: clusterctl/v1\nkind: Cluster\nname: prod\nendpoint: https://10.0.0.1:6443\n\
                 masters: [{{name: m, addresses: [10.0.0.2]}}]\nnodes: [{{name: {node}, addresses: [10.0.0.3]}}]\n"
            );
            std::fs::write(layout.cluster_file(), text).expect("written");
        };
        let cache = ClusterFileCache::default();
        assert!(cache.read(&layout).is_err(), "there is none");
        write("one");
        let first = cache.read(&layout).expect("a cluster");
        assert!(Arc::ptr_eq(&first, &cache.read(&layout).expect("the same")));
        write("another");
        assert!(cache.read(&layout).expect("a new one").node("another").is_some());
        std::fs::write(layout.cluster_file(), "kind: ").expect("written");
        assert!(cache.read(&layout).is_err(), "the cached cluster does not hide an error");
    }
}
