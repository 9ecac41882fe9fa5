//! Finds the hosts to remove by names and patterns.

use std::collections::BTreeSet;

use super::error::RemoveError;
use crate::app::env::Env;
use crate::app::error::Error;
use crate::app::history::similar_holder;
use crate::cluster::host_pattern::HostPattern;
use crate::cluster::name::HostName;
use crate::cluster::profile::Profile;
use crate::cluster::spec::{Cluster, Role};
use crate::store::error::StoreError;
use crate::store::issuance::HostFolders;
use crate::store::ledger::Ledger;

/// The hosts that are in the ledger or have a folder, by role.
#[derive(Debug)]
pub(super) struct KnownHosts {
    masters: BTreeSet<String>,
    nodes: BTreeSet<String>,
}

impl KnownHosts {
    /// Reads them from the ledger and from the hosts' folders.
    ///
    /// # Errors
    /// Returns an error if the ledger or a folder cannot be read.
    pub(super) fn read(env: &Env, ledger: &Ledger) -> Result<Self, StoreError> {
        let folders = HostFolders::list(&env.layout)?;
        let of = |role, profile: Profile| -> Result<BTreeSet<String>, StoreError> {
            let recorded = ledger.hosts_of(profile.policy().name)?;
            Ok(recorded.into_iter().chain(folders.of(role).iter().cloned()).collect())
        };
        Ok(Self { masters: of(Role::Master, Profile::Apiserver)?, nodes: of(Role::Node, Profile::KubeletClient)? })
    }

    /// Returns the roles that a host has, or had.
    pub(super) fn roles(&self, host: &HostName) -> Vec<Role> {
        let has = |role: &Role| match role {
            Role::Master => self.masters.contains(host.as_str()),
            Role::Node => self.nodes.contains(host.as_str()),
        };
        [Role::Master, Role::Node].into_iter().filter(has).collect()
    }

    /// Returns the hosts that names and patterns select, each once, sorted by name.
    ///
    /// # Errors
    /// Returns [`RemoveError`] for the first one that cannot be removed.
    pub(super) fn named(
        &self,
        patterns: &[HostPattern],
        cluster: &Cluster,
        ledger: &Ledger,
    ) -> Result<Vec<HostName>, Error> {
        let present: BTreeSet<&HostName> = cluster.host_names().into_iter().collect();
        let mut named = BTreeSet::new();
        for pattern in patterns {
            match pattern.is_pattern() {
                true => named.extend(self.matching(pattern, &present)?),
                false => {
                    named.insert(self.host(pattern.as_str(), ledger, &present)?);
                }
            }
        }
        let present: Vec<HostName> = named.iter().filter(|host| present.contains(host)).cloned().collect();
        match present.is_empty() {
            true => Ok(named.into_iter().collect()),
            false => Err(RemoveError::InClusterFile { hosts: present }.into()),
        }
    }

    /// Returns the host with this name.
    fn host(&self, name: &str, ledger: &Ledger, present: &BTreeSet<&HostName>) -> Result<HostName, Error> {
        let host = HostName::parse(name).map_err(|source| RemoveError::Name { name: name.to_owned(), source })?;
        if present.contains(&host) || !self.roles(&host).is_empty() {
            return Ok(host);
        }
        let similar = similar_holder(ledger, name)?;
        Err(RemoveError::Unknown { host, similar }.into())
    }

    /// Returns the hosts that left the cluster and match a pattern; if there are none, the hosts of the cluster file that
    /// match.
    fn matching(&self, pattern: &HostPattern, present: &BTreeSet<&HostName>) -> Result<Vec<HostName>, RemoveError> {
        let known = self.masters.union(&self.nodes).filter(|name| pattern.matches(name));
        // A folder whose name is not a host name does not belong to a host.
        let known = known.filter_map(|name| HostName::parse(name).ok());
        let left: Vec<HostName> = known.filter(|host| !present.contains(host)).collect();
        if !left.is_empty() {
            return Ok(left);
        }
        let present: Vec<HostName> =
            present.iter().filter(|host| pattern.matches(host.as_str())).map(|host| (*host).clone()).collect();
        match present.is_empty() {
            true => Err(pattern.unmatched([]).into()),
            false => Ok(present),
        }
    }
}
