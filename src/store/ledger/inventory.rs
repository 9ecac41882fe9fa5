//! All certificates of the ledger in memory, for commands that check every file.

use std::collections::{HashMap, HashSet};

use rusqlite::Row;

use super::Ledger;
use super::columns::Column;
use super::revocations::Revocation;
use crate::cluster::profile::CaRole;
use crate::pki::fingerprint::Fingerprint;
use crate::store::error::StoreError;

/// Every certificate in the ledger, by the SHA-256 of its DER.
#[derive(Debug, Default)]
pub struct Inventory {
    order: HashMap<Fingerprint, u64>,
    roots: HashMap<Fingerprint, String>,
    discarded: HashSet<Fingerprint>,
    on_hosts: HashSet<Fingerprint>,
    renewed_by_hosts: HashSet<Fingerprint>,
    revoked: HashMap<Fingerprint, Revocation>,
}

impl Inventory {
    /// Returns the sequence number of a certificate, from 1; `None` for a certificate that the ledger does not have.
    #[must_use]
    pub fn sequence(&self, certificate: Fingerprint) -> Option<u64> {
        self.order.get(&certificate).copied()
    }

    /// Returns true if the key of this certificate was deleted on purpose: only its host has it.
    #[must_use]
    pub fn is_key_discarded(&self, certificate: Fingerprint) -> bool {
        self.discarded.contains(&certificate)
    }

    /// Returns true if this certificate was signed for a key that only its host has.
    #[must_use]
    pub fn is_key_on_host(&self, certificate: Fingerprint) -> bool {
        self.on_hosts.contains(&certificate)
    }

    /// Returns true if any certificate was ever signed for a key that only its host has.
    #[must_use]
    pub fn has_keys_on_hosts(&self) -> bool {
        !self.on_hosts.is_empty()
    }

    /// Returns true if a host asked for this certificate itself, in place of an earlier one with the same key.
    #[must_use]
    pub fn is_renewed_by_host(&self, certificate: Fingerprint) -> bool {
        self.renewed_by_hosts.contains(&certificate)
    }

    /// Returns the reason and the time of a certificate's revocation, if it was revoked.
    #[must_use]
    pub fn revocation(&self, certificate: Fingerprint) -> Option<&Revocation> {
        self.revoked.get(&certificate)
    }

    /// Returns all certificates that were ever revoked.
    pub fn revoked(&self) -> impl Iterator<Item = Fingerprint> + '_ {
        self.revoked.keys().copied()
    }

    /// Returns true if this certificate was recorded as the root CA of that role.
    #[must_use]
    pub fn is_root(&self, certificate: Fingerprint, role: CaRole) -> bool {
        self.roots.get(&certificate).is_some_and(|profile| profile == role.as_str())
    }
}

impl Ledger {
    /// Reads the whole inventory: expensive for large fleets.
    ///
    /// # Errors
    /// Returns an error if SQLite fails, or a row has a value that clusterctl never writes.
    pub fn inventory(&self) -> Result<Inventory, StoreError> {
        let (order, roots) = self.read(|connection| {
            let digest = |row: &Row<'_>| row.get::<_, Column<Fingerprint>>(0).map(|column| column.0);
            let mut select = connection.prepare("SELECT sha256, seq FROM certificates")?;
            let rows = select.query_map([], |row| Ok((digest(row)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
            let order = rows.collect::<rusqlite::Result<_>>()?;
            let mut select =
                connection.prepare("SELECT sha256, profile FROM certificates WHERE sha256 = issuer_sha256")?;
            let roots =
                select.query_map([], |row| Ok((digest(row)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
            Ok((order, roots))
        })?;
        let (discarded, on_hosts) = (self.discarded_keys()?, self.keys_on_hosts()?);
        let renewed_by_hosts = self.renewed_by_hosts()?;
        let mut revoked = self.revocations()?;
        // Also includes revoked certificates that the ledger does not have, if their digest is known.
        for one in self.unrecorded()? {
            if let Some(certificate) = one.fingerprint {
                revoked.entry(certificate).or_insert(one.revocation);
            }
        }
        Ok(Inventory { order, roots, discarded, on_hosts, renewed_by_hosts, revoked })
    }
}
