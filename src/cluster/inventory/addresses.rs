//! Selects the addresses of a listed host that its certificate can have.

use std::collections::HashMap;
use std::net::IpAddr;

use super::listed::{AddressKind, ListedHost};
use crate::cluster::address::{Address, AddressError};
use crate::cluster::name::{HostName, NameError};

/// A listed address that was changed or left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {value} {adjustment}")]
pub struct AdjustedAddress {
    /// The host.
    pub host: String,
    /// The address, as listed.
    pub value: String,
    /// The change and its reason.
    pub adjustment: Adjustment,
}

/// A change to a listed address, or the reason why it was left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Adjustment {
    /// Capital letters: DNS ignores case.
    #[error("has capital letters and is written {lower}")]
    Capitals {
        /// The same in lower case.
        lower: String,
    },
    /// Not an address that a certificate can have.
    #[error("is left out: {0}")]
    Unusable(AddressError),
    /// A loopback address or name.
    #[error("is left out: it is a loopback name or address, which each host has")]
    Loopback,
    /// A link-local address, 169.254.0.0/16.
    #[error("is left out: a link-local address is only valid on its own link")]
    LinkLocal,
    /// Several hosts have it, and it is not an InternalIP.
    #[error("is left out: {} also {} it", others.join(", "), if others.len() == 1 { "has" } else { "have" })]
    Shared {
        /// The other hosts, at most three.
        others: Vec<String>,
    },
    /// The name of another host.
    #[error("is left out: it is the name of another host")]
    OtherHostName,
    /// An ExternalIP of a family in which the host has no InternalIP.
    #[error("is left out: the host has no InternalIP of that family, so it would listen on this address and report it")]
    NoInternalOfFamily,
    /// Another part of the cluster already has it.
    #[error("is left out: {0}")]
    Taken(String),
}

/// A usable address with its spelling and type in the list.
pub(super) struct Usable {
    pub(super) address: Address,
    pub(super) listed: String,
    pub(super) kind: AddressKind,
}

/// Returns the addresses that a certificate can have, each once, InternalIPs first; records the others.
pub(super) fn usable(host: &ListedHost, adjusted: &mut Vec<AdjustedAddress>) -> Vec<Usable> {
    let mut found: Vec<Usable> = Vec::with_capacity(host.addresses.len());
    for (kind, text) in &host.addresses {
        let Some(address) = read(&host.name, text, adjusted) else { continue };
        match found.iter_mut().find(|usable| usable.address == address) {
            // An IP address may also be listed as a host name: the more specific type counts.
            Some(known) if *kind == AddressKind::Internal || known.kind == AddressKind::Name => known.kind = *kind,
            Some(_) => {}
            None => found.push(Usable { address, listed: text.clone(), kind: *kind }),
        }
    }
    found.sort_by_key(|usable| usable.kind);
    found
}

fn read(host: &str, text: &str, adjusted: &mut Vec<AdjustedAddress>) -> Option<Address> {
    let read = match Address::parse(text) {
        Err(AddressError::Neither(NameError::UpperCase { lower })) => {
            let read = Address::parse(&lower);
            if read.is_ok() {
                adjust(adjusted, host, text, Adjustment::Capitals { lower });
            }
            read
        }
        read => read,
    };
    let adjustment = match read {
        Ok(address) if is_loopback(&address) => Adjustment::Loopback,
        Ok(address) if is_link_local(&address) => Adjustment::LinkLocal,
        Ok(address) => return Some(address),
        Err(error) => Adjustment::Unusable(error),
    };
    adjust(adjusted, host, text, adjustment);
    None
}

/// Records an adjustment, and returns false so that filters can drop the address.
pub(super) fn adjust(adjusted: &mut Vec<AdjustedAddress>, host: &str, value: &str, adjustment: Adjustment) -> bool {
    adjusted.push(AdjustedAddress { host: host.to_owned(), value: value.to_owned(), adjustment });
    false
}

/// The hosts that list an address, and the host whose name it is.
pub(super) struct Owners {
    listed: HashMap<Address, Vec<(usize, String)>>,
    named: HashMap<Address, usize>,
}

impl Owners {
    pub(super) fn of(hosts: &[ListedHost], usable: &[Vec<Usable>]) -> Self {
        let mut listed: HashMap<Address, Vec<(usize, String)>> = HashMap::new();
        for (i, (host, usable)) in hosts.iter().zip(usable).enumerate() {
            for usable in usable {
                listed.entry(usable.address.clone()).or_default().push((i, host.name.clone()));
            }
        }
        let named = hosts.iter().enumerate().filter_map(|(i, host)| {
            let name = HostName::parse(&host.name).ok()?;
            Some((name.to_address(), i))
        });
        Self { listed, named: named.collect() }
    }

    /// Returns the reason why the host at `i` cannot have this address; `None` if it can.
    pub(super) fn conflict(&self, i: usize, usable: &Usable) -> Option<Adjustment> {
        if usable.kind == AddressKind::Internal {
            return None;
        }
        match self.named.get(&usable.address) {
            Some(owner) if *owner != i => return Some(Adjustment::OtherHostName),
            // It is this host's own name, so it is removed from the other hosts.
            Some(_) => return None,
            None => {}
        }
        let owners = self.listed.get(&usable.address)?;
        let others: Vec<String> =
            owners.iter().filter(|(other, _)| *other != i).map(|(_, name)| name.clone()).take(3).collect();
        (!others.is_empty()).then_some(Adjustment::Shared { others })
    }
}

fn is_loopback(address: &Address) -> bool {
    match address {
        Address::Ip(ip) => ip.is_loopback(),
        Address::Dns(name) => {
            let first = name.as_str().split('.').next().unwrap_or_default();
            let last = name.as_str().rsplit('.').next().unwrap_or_default();
            ["localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"].contains(&first)
                || last == "localhost"
        }
    }
}

/// Returns true for an IPv4 link-local address; [`Address::parse`] rejects those of IPv6.
fn is_link_local(address: &Address) -> bool {
    matches!(address, Address::Ip(IpAddr::V4(ip)) if ip.is_link_local())
}
