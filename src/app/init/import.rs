//! Imports the nodes that kubectl lists into a draft.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use super::abbreviated_list;
use super::draft::Draft;
use super::error::InitError;
use crate::app::{self, Observer};
use crate::cluster::address::Address;
use crate::cluster::config_error::{ConfigError, Reason};
use crate::cluster::inventory::addresses::{AdjustedAddress, Adjustment};
use crate::cluster::inventory::{ExternalIps, Inventory, SkipReason};
use crate::cluster::kubernetes::Version;
use crate::config;
use crate::sanitize::sanitized;

/// A notice of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An address was changed or left out.
    Address(AdjustedAddress),
    /// A host was left out.
    HostSkipped {
        /// Its name.
        host: String,
        /// The reason.
        reason: SkipReason,
    },
    /// A host was left out because its account is too long for a certificate.
    AccountTooLong {
        /// Its name.
        host: String,
        /// The account and its length.
        reason: Reason,
    },
    /// Objects of other kinds were left out.
    OtherKinds(BTreeSet<String>),
    /// Hosts run Windows, for which bundles have no installer.
    Windows(Vec<String>),
    /// The version of Kubernetes was not imported, with the reason as a sentence.
    VersionUnknown(String),
    /// The default service range is used, because kubectl does not list the range.
    ServiceRangeAssumed,
}

impl Draft {
    /// Adds the nodes that kubectl lists, and those marked as control plane as masters if the draft has no master yet.
    ///
    /// A node that the draft already has replaces the listed node of the same name. `path` is the file that the list
    /// was read from.
    ///
    /// # Errors
    /// Returns an error if `list` is not a list of nodes, or a host has no usable address.
    pub fn import(
        &mut self,
        path: &Path,
        list: &[u8],
        external: ExternalIps,
        observer: &mut dyn Observer,
    ) -> Result<(), InitError> {
        self.imported = true;
        let mut found =
            config::from_kubectl(list, external).map_err(|source| InitError::List { path: path.to_owned(), source })?;
        let named: HashSet<String> = self.values.nodes.iter().filter_map(|node| node.name.clone()).collect();
        without(&mut found, &named);
        for notice in notices(&found) {
            observer.notice(app::Notice::Init(notice));
        }
        check_addresses(&found)?;
        if self.values.masters.is_empty() {
            self.values.masters = found.masters;
        }
        let is_named = |name: &Option<String>| name.as_ref().is_some_and(|name| named.contains(name));
        self.values.nodes.extend(found.nodes.into_iter().filter(|node| !is_named(&node.name)));
        self.import_version(&found.kubelet_versions, observer);
        self.leave_out_long_accounts(observer);
        self.leave_out_taken_addresses(&found.internal, observer);
        if self.values.service_cidrs.is_none() {
            observer.notice(app::Notice::Init(Notice::ServiceRangeAssumed));
        }
        Ok(())
    }

    /// Sets the version of Kubernetes that all nodes of the draft run. If they run different ones, or clusterctl does not
    /// support it, a comment in the cluster file says so.
    fn import_version(&mut self, listed: &BTreeMap<String, BTreeSet<String>>, observer: &mut dyn Observer) {
        if self.values.kubernetes_version.is_some() {
            return;
        }
        let nodes: BTreeSet<&str> = self.values.nodes.iter().filter_map(|node| node.name.as_deref()).collect();
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (version, hosts) in listed {
            let hosts = hosts.iter().map(String::as_str).filter(|host| nodes.contains(host));
            // Distributions append a suffix of their own, as in v1.36.2+k3s1, which the tags of images do not have.
            let release = version.split_once('+').map_or(version.as_str(), |(release, _)| release);
            versions.entry(release).or_default().extend(hosts);
        }
        versions.retain(|_, hosts| !hosts.is_empty());
        let note = match versions.keys().copied().collect::<Vec<_>>()[..] {
            [] => return,
            [release] => match Version::parse(release) {
                Ok(_) => {
                    self.values.kubernetes_version = Some(release.to_owned());
                    return;
                }
                Err(error) => format!("The nodes run {}: {error}.", sanitized(release)),
            },
            _ => {
                let of_version = |(version, hosts): (&&str, &BTreeSet<&str>)| {
                    let hosts: Vec<String> = hosts.iter().map(|host| sanitized(host)).collect();
                    format!("{} ({})", sanitized(version), abbreviated_list(&hosts))
                };
                let all: Vec<String> = versions.iter().map(of_version).collect();
                format!("The nodes run different versions: {}. Set the one of the control plane.", all.join("; "))
            }
        };
        observer.notice(app::Notice::Init(Notice::VersionUnknown(note.clone())));
        self.version_note = Some(note);
    }

    /// Leaves out the nodes whose accounts are too long for a certificate.
    fn leave_out_long_accounts(&mut self, observer: &mut dyn Observer) {
        let errors = self.errors();
        let too_long = errors.into_iter().filter(|error| matches!(error.reason, Reason::AccountTooLong { .. }));
        let nodes: BTreeMap<usize, ConfigError> = too_long.filter_map(|error| Some((error.node()?, error))).collect();
        // In reverse order, so that removals do not change the remaining positions.
        for (node, error) in nodes.into_iter().rev() {
            if node < self.values.nodes.len() {
                let host = self.values.nodes.remove(node).name.unwrap_or_default();
                observer.notice(app::Notice::Init(Notice::AccountTooLong { host, reason: error.reason }));
            }
        }
    }

    /// Leaves out addresses that the masters, the endpoint, the services or other nodes already have.
    ///
    /// An InternalIP is kept: it is the node's real address, so two nodes with the same one are an error.
    fn leave_out_taken_addresses(&mut self, internal: &HashSet<Address>, observer: &mut dyn Observer) {
        let is_taken = |reason: &Reason| {
            matches!(reason, Reason::ApiServerName { .. } | Reason::OtherNodeName { .. } | Reason::Duplicate { .. })
        };
        let errors = self.errors().into_iter().filter(|error| is_taken(&error.reason));
        let taken: BTreeMap<(usize, usize), Reason> =
            errors.filter_map(|error| Some((error.address_of_a_node()?, error.reason))).collect();
        // In reverse order, so that removals do not change the remaining positions.
        for ((node, address), reason) in taken.into_iter().rev() {
            let Some(host) = self.values.nodes.get_mut(node).filter(|host| host.addresses.len() > 1) else { continue };
            let Some(value) = host.addresses.get(address).cloned() else { continue };
            if Address::parse(&value).is_ok_and(|address| !internal.contains(&address)) {
                host.addresses.remove(address);
                let host = host.name.clone().unwrap_or_default();
                let adjustment = Adjustment::Taken(reason.to_string());
                let address = AdjustedAddress { host, value, adjustment };
                observer.notice(app::Notice::Init(Notice::Address(address)));
            }
        }
    }
}

/// Removes notices about hosts that were named directly.
fn without(found: &mut Inventory, named: &HashSet<String>) {
    found.adjusted.retain(|address| !named.contains(&address.host));
    found.skipped.retain(|(host, _)| !named.contains(host));
    found.without_addresses.retain(|host| !named.contains(host));
    found.external_only.retain(|(host, _)| !named.contains(host));
}

fn notices(found: &Inventory) -> Vec<Notice> {
    let mut notices: Vec<Notice> = found.adjusted.iter().cloned().map(Notice::Address).collect();
    let skipped = found.skipped.iter().cloned();
    notices.extend(skipped.map(|(host, reason)| Notice::HostSkipped { host, reason }));
    if !found.other_kinds.is_empty() {
        notices.push(Notice::OtherKinds(found.other_kinds.clone()));
    }
    if !found.windows.is_empty() {
        notices.push(Notice::Windows(found.windows.clone()));
    }
    notices
}

fn check_addresses(found: &Inventory) -> Result<(), InitError> {
    if !found.external_only.is_empty() {
        return Err(InitError::OnlyExternalIps { hosts: found.external_only.clone() });
    }
    if !found.without_addresses.is_empty() {
        return Err(InitError::NoAddresses { hosts: found.without_addresses.clone() });
    }
    Ok(())
}
