//! The selection of hosts whose bundles are packed.

use std::collections::{BTreeMap, HashSet};

use super::error::PackageError;
use crate::bundle::input::Roles;
use crate::cluster::name::HostName;
use crate::cluster::similar::nearest;
use crate::cluster::spec::{Cluster, Host};

/// Hosts of the cluster file, masters first, each once.
#[derive(Debug, Clone)]
pub struct Selection<'c> {
    hosts: Vec<Roles<'c>>,
    all: bool,
}

impl<'c> Selection<'c> {
    /// Selects all hosts.
    #[must_use]
    pub fn all(cluster: &'c Cluster) -> Self {
        let mut nodes: BTreeMap<&str, &Host> = cluster.nodes.iter().map(|node| (node.name.as_str(), node)).collect();
        let masters = cluster.masters.iter().map(|master| {
            let node = nodes.remove(master.name.as_str());
            Roles::from_entries(Some(master), node)
        });
        let mut hosts: Vec<Roles<'c>> = masters.flatten().collect();
        let only_nodes = cluster.nodes.iter().filter(|node| nodes.contains_key(node.name.as_str()));
        hosts.extend(only_nodes.map(Roles::Node));
        Self { hosts, all: true }
    }

    /// Selects the hosts with these names.
    ///
    /// # Errors
    /// Returns an error if there is no name, or the cluster file does not have one of them.
    pub fn named(cluster: &'c Cluster, names: &[String]) -> Result<Self, PackageError> {
        if names.is_empty() {
            return Err(PackageError::NoHost);
        }
        let mut wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
        let all = Self::all(cluster).hosts;
        let known = |roles: &Roles<'c>| roles.host().as_str();
        let hosts: Vec<Roles<'c>> = all.iter().filter(|roles| wanted.remove(known(roles))).copied().collect();
        match names.iter().find(|name| wanted.contains(name.as_str())) {
            None => Ok(Self { hosts, all: false }),
            Some(unknown) => {
                let similar = nearest(unknown, all.iter().map(known)).map(str::to_owned);
                Err(PackageError::UnknownHost { name: unknown.clone(), similar })
            }
        }
    }

    /// Returns the selected hosts for which `is_wanted` is true.
    #[must_use]
    pub fn only(&self, is_wanted: impl Fn(&HostName) -> bool) -> Self {
        Self { hosts: self.hosts.iter().filter(|roles| is_wanted(roles.host())).copied().collect(), all: self.all }
    }

    /// Returns the hosts.
    #[must_use]
    pub fn hosts(&self) -> &[Roles<'c>] {
        &self.hosts
    }

    /// Returns true if all hosts are selected, rather than some by name.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.all
    }
}
