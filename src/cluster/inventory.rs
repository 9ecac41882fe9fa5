//! Converts the hosts that a running cluster lists into hosts for a cluster file.
//!
//! An entry that no certificate can have is left out and reported, so that one malformed address does not prevent a
//! whole import.

pub mod addresses;
mod listed;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::address::Address;
use super::name::{HostName, NameError};
use super::spec::RawHost;
use addresses::{AdjustedAddress, Adjustment, Owners, Usable, adjust};

pub use listed::{AddressKind, ListedHost, Provider};

/// Whether ExternalIPs may become addresses that a host listens on, advertises or reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExternalIps {
    /// Only as additional names of hosts that have an InternalIP of the same family.
    #[default]
    NamesOnly,
    /// Like InternalIPs, but after them.
    AsAddresses,
}

/// The hosts of a list that a cluster file can have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The hosts with a usable address, in the list's order.
    pub nodes: Vec<RawHost>,
    /// The control-plane nodes among them. Lists do not contain the API servers' ports.
    pub masters: Vec<RawHost>,
    /// The names of hosts without a usable address.
    pub without_addresses: Vec<String>,
    /// The names of hosts that have an ExternalIP and no InternalIP, with the ExternalIP.
    pub external_only: Vec<(String, String)>,
    /// The addresses that were changed or left out.
    pub adjusted: Vec<AdjustedAddress>,
    /// The names of hosts that were left out, with the reasons.
    pub skipped: Vec<(String, SkipReason)>,
    /// The names of hosts that run Windows.
    pub windows: Vec<String>,
    /// The kinds of other objects in the list.
    pub other_kinds: BTreeSet<String>,
    /// The versions of the kubelets, each with the names of the hosts that reported it.
    pub kubelet_versions: BTreeMap<String, BTreeSet<String>>,
    /// Every InternalIP in use. Two hosts with the same one are an error in the list, which is kept for the user to
    /// correct.
    pub internal: HashSet<Address>,
}

/// The reason for leaving out a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// A virtual node.
    #[error("it is a virtual node of {0}, so nothing can be installed there")]
    NotAHost(&'static str),
    /// Not a valid name.
    #[error("its name cannot be used: {0}")]
    Name(NameError),
}

impl Inventory {
    /// Imports the hosts and addresses that a cluster file can have.
    #[must_use]
    pub fn from_list(listed: Vec<ListedHost>, external: ExternalIps) -> Self {
        let mut inventory = Self::default();
        let listed = inventory.hosts_among(listed);
        let usable: Vec<Vec<Usable>> =
            listed.iter().map(|host| addresses::usable(host, &mut inventory.adjusted)).collect();
        let owners = Owners::of(&listed, &usable);
        for (i, (host, addresses)) in listed.into_iter().zip(usable).enumerate() {
            let kept: Vec<Usable> = addresses
                .into_iter()
                .filter(|usable| match owners.conflict(i, usable) {
                    Some(adjustment) => adjust(&mut inventory.adjusted, &host.name, &usable.listed, adjustment),
                    None => true,
                })
                .collect();
            inventory.take(host, kept, external);
        }
        inventory
    }

    /// Returns the entries that are hosts with a valid name; records the others.
    fn hosts_among(&mut self, listed: Vec<ListedHost>) -> Vec<ListedHost> {
        let mut hosts = Vec::with_capacity(listed.len());
        for host in listed {
            let reason = match (host.provider, HostName::parse(&host.name)) {
                (Some(provider), _) => SkipReason::NotAHost(provider.name()),
                (None, Err(error)) => SkipReason::Name(error),
                (None, Ok(_)) => {
                    hosts.push(host);
                    continue;
                }
            };
            self.skipped.push((host.name, reason));
        }
        hosts
    }

    fn take(&mut self, host: ListedHost, mut addresses: Vec<Usable>, external: ExternalIps) {
        if external == ExternalIps::NamesOnly {
            let families: BTreeSet<bool> = addresses
                .iter()
                .filter(|usable| usable.kind == AddressKind::Internal)
                .filter_map(|usable| usable.address.ip().map(|ip| ip.is_ipv4()))
                .collect();
            let first = addresses.iter().find(|usable| usable.kind == AddressKind::External);
            if let (true, Some(first)) = (families.is_empty(), first) {
                self.external_only.push((host.name, first.listed.clone()));
                return;
            }
            addresses.retain(|usable| {
                let fits = usable.kind == AddressKind::Internal
                    || families.is_empty()
                    || usable.address.ip().is_none_or(|ip| families.contains(&ip.is_ipv4()));
                fits || adjust(&mut self.adjusted, &host.name, &usable.listed, Adjustment::NoInternalOfFamily)
            });
        }
        if addresses.is_empty() {
            self.without_addresses.push(host.name);
            return;
        }
        let internal = addresses.iter().filter(|usable| usable.kind == AddressKind::Internal);
        self.internal.extend(internal.map(|usable| usable.address.clone()));
        let addresses: Vec<String> = addresses.iter().map(|usable| usable.address.to_string()).collect();
        if host.is_master {
            let (name, addresses) = (Some(host.name.clone()), addresses.clone());
            self.masters.push(RawHost { name, addresses, ..RawHost::default() });
        }
        let (name, port) = (Some(host.name), host.kubelet_port);
        self.nodes.push(RawHost { name, addresses, port, ..RawHost::default() });
    }
}
