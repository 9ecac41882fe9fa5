//! What bundles are made from: the cluster file, the roots, the ledger, and the credentials that lie in `pki/`.

use zeroize::Zeroizing;

use super::exposed::Exposed;
use super::lacking::Lacking;
use crate::bundle::images::Settings;
use crate::bundle::input::{Held, Roles};
use crate::cli::error::Result;
use crate::cluster::profile::CertificateSpec;
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::rbac::denials::Denials;
use crate::store::credentials;
use crate::store::layout::Layout;
use crate::store::ledger::inventory::Inventory;
use crate::store::verification_cache::{CacheEntry, Snapshots, VerificationCache};

/// What bundles are made from.
pub(crate) struct Source<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) roots: &'a CaSet,
    pub(crate) service_account: Option<&'a Zeroizing<Vec<u8>>>,
    pub(crate) settings: &'a Settings,
    pub(crate) denials: &'a Denials,
    pub(crate) known: &'a Inventory,
    pub(crate) snapshots: Snapshots,
    pub(crate) cache: &'a VerificationCache,
    pub(crate) layout: &'a Layout,
    pub(crate) now: time::OffsetDateTime,
    /// Filled while credentials are read.
    pub(crate) exposed: Exposed,
}

impl Source<'_> {
    /// What a host is to hold.
    pub(super) fn leaves(&self, roles: &Roles<'_>) -> Vec<CertificateSpec> {
        let master = roles.master().map(|host| self.cluster.master_leaves(host));
        let node = roles.node().map(|host| self.cluster.node_leaves(host));
        master.into_iter().chain(node).flatten().collect()
    }

    /// Checks that all credentials of a host are good: by the verification cache, else by reading them. Returns the entries for
    /// those that were read.
    pub(super) fn judge<'c>(&self, roles: &Roles<'c>) -> Result<Vec<CacheEntry>, Lacking<'c>> {
        let leaves = self.leaves(roles);
        let mut entries = Vec::new();
        // A host that is both has two folders.
        for leaves in leaves.chunk_by(|a, b| a.policy().holder == b.policy().holder) {
            let snapshot = self.snapshots.take(leaves);
            if snapshot.is_some_and(|snapshot| self.cache.covers(&snapshot, self.now, self.now)) {
                continue;
            }
            let mut good = Vec::new();
            for leaf in leaves {
                let (keys, root) = (self.cluster.keys, self.roots.issuer_of(leaf));
                let found = credentials::read_good(self.layout, leaf, keys, root, self.known, self.now);
                let stored = found.map_err(|troubles| Lacking::of(roles, leaf, &troubles))?;
                good.push(stored.credential.certificate);
            }
            entries
                .extend(snapshot.zip(leaves.first()).and_then(|(snapshot, first)| snapshot.entry(first, good.iter())));
        }
        Ok(entries)
    }

    /// A host's credentials. The very bytes that are packed are judged here, in all but the root's signature, for which the
    /// ledger is believed.
    pub(super) fn credentials(&self, roles: &Roles<'_>) -> Result<Vec<Held>> {
        let mut held = Vec::new();
        for leaf in self.leaves(roles) {
            let (keys, root) = (self.cluster.keys, self.roots.issuer_of(&leaf));
            let found = credentials::read_issued(self.layout, &leaf, keys, root, self.known, self.now);
            let stored = found.map_err(|troubles| Lacking::of(roles, &leaf, &troubles).after_the_first_look())?;
            if let Some(trouble) = credentials::mode_problem(self.layout, &leaf, Some(&stored)) {
                self.exposed.add(trouble);
            }
            held.push(Held { profile: leaf.profile, credential: stored.credential });
        }
        Ok(held)
    }
}
