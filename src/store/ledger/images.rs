//! The images of each control-plane node's last bundle, and the hosts whose bundles had systemd units, so that packing
//! can report changes.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;

use super::Ledger;
use crate::cluster::name::HostName;
use crate::store::error::StoreError;

impl Ledger {
    /// Returns the images of each control-plane node's last bundle, by the node's name.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn images(&self) -> Result<BTreeMap<String, String>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare("SELECT host, images FROM images")?;
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    /// Returns the hosts whose last bundles had units for systemd.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn hosts_with_units(&self) -> Result<BTreeSet<String>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare("SELECT host FROM units")?;
            select.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Records whether the bundles of these hosts have units now, all or none.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn record_units<'h>(
        &mut self,
        hosts: impl IntoIterator<Item = &'h HostName>,
        with_units: bool,
    ) -> Result<(), StoreError> {
        let change = match with_units {
            true => "INSERT OR REPLACE INTO units (host) VALUES (?1)",
            false => "DELETE FROM units WHERE host = ?1",
        };
        self.write(|transaction| {
            let mut change = transaction.prepare(change)?;
            hosts.into_iter().try_for_each(|host| change.execute([host.as_str()]).map(|_| ()))
        })
    }

    /// Records that the bundles of these control-plane nodes have `images` now, all or none.
    ///
    /// # Errors
    /// Returns an error if SQLite fails.
    pub fn record_images<'h>(
        &mut self,
        hosts: impl IntoIterator<Item = &'h HostName>,
        images: &str,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut insert = transaction.prepare("INSERT OR REPLACE INTO images (host, images) VALUES (?1, ?2)")?;
            hosts.into_iter().try_for_each(|host| insert.execute(params![host.as_str(), images]).map(|_| ()))
        })
    }
}
