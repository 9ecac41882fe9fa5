//! Checks that no node's certificate names an API server or another node.
//!
//! A node's serving certificate has the node's name and addresses, and clients accept the CA for every name: if it
//! contained another server's name, the node could impersonate that server.

use std::collections::HashMap;
use std::net::IpAddr;

use super::errors::Errors;
use crate::cluster::address::{Address, Cidr};
use crate::cluster::config_error::Reason;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::name::{DnsName, HostName};
use crate::cluster::spec::{API_SERVER_NAMES, Host, LOCALHOST, RawHost, service_name};

/// The names and addresses that API servers are reached at.
pub(super) struct ApiServers<'a> {
    pub(super) masters: &'a [(usize, Host)],
    pub(super) endpoint: &'a Endpoint,
    pub(super) domain: &'a DnsName,
    pub(super) service_cidrs: &'a [Cidr],
}

impl ApiServers<'_> {
    /// Checks that no node has a name or address of an API server, except for a host with both roles, which has the
    /// same name in both lists.
    pub(super) fn check_nodes(&self, raw: &[RawHost], nodes: &[(usize, Host)], errors: &mut Errors) {
        let owners = self.owners();
        for (i, node) in nodes {
            let mut check = |path: &dyn Fn() -> String, address: &Address| {
                let owner = match owners.get(address) {
                    Some((owner, master)) => (*master != Some(&node.name)).then_some(*owner),
                    None => self.is_service(address).then_some("in a service range"),
                };
                if let Some(owner) = owner {
                    errors.add(&path(), Some(address.to_string()), Reason::ApiServerName { owner });
                }
            };
            let name = node.name.to_address();
            check(&|| format!("nodes[{i}].name"), &name);
            for address in node.addresses.iter().filter(|address| **address != name) {
                check(&|| path_of(raw, *i, address), address);
            }
        }
    }

    /// Returns each name and address with a description of its owner, and with the master that it belongs to.
    fn owners(&self) -> HashMap<Address, (&'static str, Option<&HostName>)> {
        let mut owners: HashMap<Address, (&str, Option<&HostName>)> = HashMap::new();
        for text in API_SERVER_NAMES.map(str::to_owned).into_iter().chain([service_name(self.domain.as_str())]) {
            owners.extend(Address::parse(&text).ok().map(|name| (name, ("the API server's own name", None))));
        }
        owners.extend(Address::parse(LOCALHOST).ok().map(|name| (name, ("every host's own name", None))));
        owners.insert(self.endpoint.host.clone(), ("the endpoint", None));
        for (_, master) in self.masters {
            for address in [master.name.to_address()].into_iter().chain(master.addresses.iter().cloned()) {
                owners.insert(address, ("a master's name or address", Some(&master.name)));
            }
        }
        owners
    }

    fn is_service(&self, address: &Address) -> bool {
        address.ip().is_some_and(|ip| self.service_cidrs.iter().any(|cidr| cidr.contains(ip)))
    }
}

/// Checks that no node has another node's name among its addresses.
///
/// If all addresses are IP addresses and no name is one, which is usual, no comparison is necessary.
pub(super) fn check_nodes(raw: &[RawHost], nodes: &[(usize, Host)], errors: &mut Errors) {
    let is_ip = |host: &Host| host.name.as_str().parse::<IpAddr>().is_ok();
    let all_ips = |host: &Host| host.addresses.iter().all(|address| address.ip().is_some());
    if nodes.iter().all(|(_, node)| all_ips(node) && !is_ip(node)) {
        return;
    }
    let names: HashMap<Address, usize> = nodes.iter().map(|(i, node)| (node.name.to_address(), *i)).collect();
    for (i, node) in nodes {
        for address in &node.addresses {
            let Some(other) = names.get(address).filter(|other| *other != i) else { continue };
            let reason = Reason::OtherNodeName { other: format!("nodes[{other}].name") };
            errors.add(&path_of(raw, *i, address), Some(address.to_string()), reason);
        }
    }
}

/// Returns the path of a node's address: `nodes[3].addresses[1]`.
fn path_of(raw: &[RawHost], i: usize, address: &Address) -> String {
    let j = raw[i].addresses.iter().position(|text| Address::parse(text).as_ref() == Ok(address)).unwrap_or(0);
    format!("nodes[{i}].addresses[{j}]")
}
