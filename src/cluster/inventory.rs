//! Hosts as a running cluster lists them → hosts for a cluster file. A list is never perfect: what no certificate may hold is
//! left out and named, so that one odd address does not keep a whole fleet from being written down.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use super::address::{Address, AddressError};
use super::name::{HostName, NameError};
use super::spec::RawHost;

/// What a listed address is for (Kubernetes `core/v1`, `NodeAddressType`), in the order in which a cluster file lists them:
/// the first IP address of a family becomes the one that a host listens on, advertises and reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressKind {
    /// `InternalIP`, and IP addresses of no known type.
    Internal,
    /// `Hostname`, `InternalDNS`, and names of no known type.
    Name,
    /// `ExternalDNS`
    ExternalName,
    /// `ExternalIP`: often an address of a NAT gateway, which the host itself does not have.
    External,
}

impl AddressKind {
    /// Reads Kubernetes's word for it; `address` decides where there is none.
    #[must_use]
    pub fn of(kind: &str, address: &str) -> Self {
        match kind {
            "InternalIP" => Self::Internal,
            "Hostname" | "InternalDNS" => Self::Name,
            "ExternalDNS" => Self::ExternalName,
            "ExternalIP" => Self::External,
            _ if address.parse::<IpAddr>().is_ok() => Self::Internal,
            _ => Self::Name,
        }
    }
}

/// A host as a running cluster lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedHost {
    /// Its name.
    pub name: String,
    /// Its addresses, in the list's order.
    pub addresses: Vec<(AddressKind, String)>,
    /// The kubelet's port, where it is not the usual one.
    pub kubelet_port: Option<String>,
    /// Whether it is marked as control plane.
    pub is_master: bool,
    /// What stands for the host, where there is none that anything could be installed on.
    pub stands_for: Option<Provider>,
}

/// What lists nodes that are no hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// AWS Fargate: a virtual machine for each pod, whose kubelet is Amazon's.
    Fargate,
    /// Virtual Kubelet, and what is built on it: Azure's and Alibaba's container instances, Liqo, Admiralty.
    VirtualKubelet,
    /// KWOK, which simulates nodes.
    Kwok,
}

/// Whether ExternalIPs may become addresses that a host listens on, advertises or reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExternalIps {
    /// Only as further names of hosts that have an InternalIP of the same family.
    #[default]
    NamesOnly,
    /// Like InternalIPs, but behind them.
    AsAddresses,
}

/// What a cluster file can take over from a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Every host with an address that can be used, in the list's order.
    pub nodes: Vec<RawHost>,
    /// Those of them that are marked as control plane. Lists do not say their API server's port.
    pub masters: Vec<RawHost>,
    /// The names of hosts without any address that can be used.
    pub without_addresses: Vec<String>,
    /// The names of hosts that have an ExternalIP and no InternalIP, with the ExternalIP.
    pub external_only: Vec<(String, String)>,
    /// What was changed or left out.
    pub oddities: Vec<Oddity>,
    /// Whole hosts that were left out, by their names.
    pub left_out: Vec<(String, LeftOut)>,
    /// The names of hosts that run Windows.
    pub windows: Vec<String>,
    /// The kinds of what else was in the list.
    pub other_kinds: BTreeSet<String>,
    /// Every InternalIP that was taken. Two hosts with the same one are a fault of the list, and remain one.
    pub internal: HashSet<Address>,
}

/// Why a whole host is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeftOut {
    /// Nothing can be installed there.
    #[error("{0} stands for it, and nothing can be installed there")]
    NoHost(&'static str),
    /// A name that no host can have here.
    #[error("its name cannot be used: {0}")]
    Name(NameError),
}

impl Provider {
    fn called(self) -> &'static str {
        match self {
            Self::Fargate => "AWS Fargate",
            Self::VirtualKubelet => "a virtual kubelet",
            Self::Kwok => "KWOK",
        }
    }
}

/// A listed address that was changed or left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {value} {why}")]
pub struct Oddity {
    /// The host.
    pub host: String,
    /// The address, as listed.
    pub value: String,
    /// What was done to it, and the reason.
    pub why: Why,
}

/// What is odd about a listed address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Capital letters, which mean nothing in DNS.
    #[error("has capital letters and is written {lower}")]
    Capitals {
        /// The same in lower case.
        lower: String,
    },
    /// Not an address that a certificate may hold.
    #[error("is left out: {0}")]
    Unusable(AddressError),
    /// 127.0.0.1, localhost.
    #[error("is left out: on every host it means that host itself")]
    Loopback,
    /// 169.254.0.0/16
    #[error("is left out: a link-local address means something on its own link only")]
    LinkLocal,
    /// Several hosts list it, and it is no host's InternalIP.
    #[error("is left out: {} {} it, too", others.join(", "), if others.len() == 1 { "lists" } else { "list" })]
    Shared {
        /// The other hosts, at most three.
        others: Vec<String>,
    },
    /// Another host's own name.
    #[error("is left out: it is the name of another host")]
    AnothersName,
    /// An ExternalIP of a family in which the host has no InternalIP.
    #[error("is left out: the host has no InternalIP of that family, so it would listen on this one and report it")]
    OnlyOfItsFamily,
    /// Something else in the cluster has it.
    #[error("is left out: {0}")]
    Taken(String),
}

/// An address that can be used, and what it is listed as.
struct Usable {
    address: Address,
    listed: String,
    kind: AddressKind,
}

impl Inventory {
    /// Takes over what a cluster file can hold.
    #[must_use]
    pub fn of(listed: Vec<ListedHost>, external: ExternalIps) -> Self {
        let mut inventory = Self::default();
        let listed = inventory.hosts_among(listed);
        let usable: Vec<Vec<Usable>> = listed.iter().map(|host| inventory.usable(host)).collect();
        let owners = Owners::of(&listed, &usable);
        for (i, (host, addresses)) in listed.into_iter().zip(usable).enumerate() {
            let kept: Vec<Usable> = addresses
                .into_iter()
                .filter(|usable| match owners.objection(i, usable) {
                    Some(why) => inventory.odd(&host.name, &usable.listed, why),
                    None => true,
                })
                .collect();
            inventory.take(host, kept, external);
        }
        inventory
    }

    /// Those that a cluster file can name, and that are hosts.
    fn hosts_among(&mut self, listed: Vec<ListedHost>) -> Vec<ListedHost> {
        let mut hosts = Vec::with_capacity(listed.len());
        for host in listed {
            let why = match (host.stands_for, HostName::parse(&host.name)) {
                (Some(provider), _) => LeftOut::NoHost(provider.called()),
                (None, Err(error)) => LeftOut::Name(error),
                (None, Ok(_)) => {
                    hosts.push(host);
                    continue;
                }
            };
            self.left_out.push((host.name, why));
        }
        hosts
    }

    /// The addresses that a certificate may hold, each once, InternalIPs first.
    fn usable(&mut self, host: &ListedHost) -> Vec<Usable> {
        let mut found: Vec<Usable> = Vec::with_capacity(host.addresses.len());
        for (kind, text) in &host.addresses {
            let Some(address) = self.read(&host.name, text) else { continue };
            match found.iter_mut().find(|usable| usable.address == address) {
                // An IP address may be listed as host name, too: the type that says most of it counts.
                Some(known) if *kind == AddressKind::Internal || known.kind == AddressKind::Name => known.kind = *kind,
                Some(_) => {}
                None => found.push(Usable { address, listed: text.clone(), kind: *kind }),
            }
        }
        found.sort_by_key(|usable| usable.kind);
        found
    }

    fn read(&mut self, host: &str, text: &str) -> Option<Address> {
        let read = match Address::parse(text) {
            Err(AddressError::Neither(NameError::UpperCase { lower })) => {
                let read = Address::parse(&lower);
                if read.is_ok() {
                    self.odd(host, text, Why::Capitals { lower });
                }
                read
            }
            read => read,
        };
        let why = match read {
            Ok(address) if is_loopback(&address) => Why::Loopback,
            Ok(address) if is_link_local(&address) => Why::LinkLocal,
            Ok(address) => return Some(address),
            Err(error) => Why::Unusable(error),
        };
        self.odd(host, text, why);
        None
    }

    /// Notes an oddity. Returns false: most are left out.
    fn odd(&mut self, host: &str, value: &str, why: Why) -> bool {
        self.oddities.push(Oddity { host: host.to_owned(), value: value.to_owned(), why });
        false
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
                fits || self.odd(&host.name, &usable.listed, Why::OnlyOfItsFamily)
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

/// Which hosts list an address, and which host is called by it.
struct Owners {
    listed: HashMap<Address, Vec<(usize, String)>>,
    named: HashMap<Address, usize>,
}

impl Owners {
    fn of(hosts: &[ListedHost], usable: &[Vec<Usable>]) -> Self {
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

    /// Why the host at `i` cannot have this address.
    fn objection(&self, i: usize, usable: &Usable) -> Option<Why> {
        if usable.kind == AddressKind::Internal {
            return None;
        }
        match self.named.get(&usable.address) {
            Some(owner) if *owner != i => return Some(Why::AnothersName),
            // The others lose it.
            Some(_) => return None,
            None => {}
        }
        let owners = self.listed.get(&usable.address)?;
        let others: Vec<String> =
            owners.iter().filter(|(other, _)| *other != i).map(|(_, name)| name.clone()).take(3).collect();
        (!others.is_empty()).then_some(Why::Shared { others })
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

/// IPv6's are no addresses at all without a zone.
fn is_link_local(address: &Address) -> bool {
    matches!(address, Address::Ip(IpAddr::V4(ip)) if ip.is_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, addresses: &[(&str, &str)]) -> ListedHost {
        let addresses = addresses.iter().map(|(kind, text)| (AddressKind::of(kind, text), (*text).to_owned()));
        ListedHost { name: name.to_owned(), addresses: addresses.collect(), ..ListedHost::default() }
    }

    fn addresses(inventory: &Inventory) -> Vec<Vec<&str>> {
        inventory.nodes.iter().map(|node| node.addresses.iter().map(String::as_str).collect()).collect()
    }

    #[test]
    fn internal_addresses_lead_and_external_ones_come_last() {
        let listed = host(
            "a",
            &[("Hostname", "a"), ("ExternalIP", "203.0.113.1"), ("InternalIP", "10.0.0.1"), ("InternalIP", "fd00::1")],
        );
        let inventory = Inventory::of(vec![listed], ExternalIps::NamesOnly);
        assert_eq!(addresses(&inventory), [["10.0.0.1", "fd00::1", "a", "203.0.113.1"]]);
        assert!(inventory.oddities.is_empty(), "{:?}", inventory.oddities);
    }

    #[test]
    fn an_external_address_never_leads_its_family_unless_asked() {
        let listed = || {
            vec![
                host("a", &[("InternalIP", "10.0.0.1"), ("ExternalIP", "2001:db8::1"), ("ExternalIP", "203.0.113.1")]),
                host("b", &[("Hostname", "b"), ("ExternalIP", "203.0.113.2")]),
            ]
        };
        let inventory = Inventory::of(listed(), ExternalIps::NamesOnly);
        assert_eq!(addresses(&inventory), [["10.0.0.1", "203.0.113.1"]]);
        assert_eq!(inventory.oddities.iter().map(|odd| &odd.why).collect::<Vec<_>>(), [&Why::OnlyOfItsFamily]);
        assert_eq!(inventory.external_only, [("b".to_owned(), "203.0.113.2".to_owned())]);
        let inventory = Inventory::of(listed(), ExternalIps::AsAddresses);
        assert_eq!(addresses(&inventory)[0], ["10.0.0.1", "2001:db8::1", "203.0.113.1"]);
        assert_eq!(addresses(&inventory)[1], ["b", "203.0.113.2"]);
    }

    #[test]
    fn what_several_hosts_list_is_left_out_of_all_but_an_internal_ip() {
        let listed = vec![
            host("a", &[("InternalIP", "10.0.0.1"), ("ExternalIP", "203.0.113.9"), ("Hostname", "ubuntu")]),
            host("b", &[("InternalIP", "10.0.0.2"), ("ExternalIP", "203.0.113.9"), ("Hostname", "ubuntu")]),
            host("c", &[("InternalIP", "10.0.0.2"), ("ExternalIP", "10.0.0.1"), ("Hostname", "a")]),
        ];
        let inventory = Inventory::of(listed, ExternalIps::NamesOnly);
        assert_eq!(addresses(&inventory), [["10.0.0.1"], ["10.0.0.2"], ["10.0.0.2"]]);
        assert_eq!(inventory.oddities.len(), 6, "{:?}", inventory.oddities);
    }

    #[test]
    fn a_host_keeps_its_own_name_whoever_else_lists_it() {
        let listed = vec![
            host("a", &[("InternalIP", "10.0.0.1"), ("Hostname", "b")]),
            host("b", &[("InternalIP", "10.0.0.2"), ("Hostname", "b")]),
        ];
        let inventory = Inventory::of(listed, ExternalIps::NamesOnly);
        assert_eq!(addresses(&inventory), [&["10.0.0.1"][..], &["10.0.0.2", "b"]]);
        assert_eq!(inventory.oddities.iter().map(|odd| &odd.why).collect::<Vec<_>>(), [&Why::AnothersName]);
    }

    #[test]
    fn what_is_no_host_or_has_no_hosts_name_is_left_out_whole() {
        let mut fargate = host("fargate-ip-10-0-0-9", &[("InternalIP", "10.0.0.9")]);
        fargate.stands_for = Some(Provider::Fargate);
        let listed = vec![
            host("a", &[("InternalIP", "10.0.0.1")]),
            fargate,
            host("Node-B", &[("InternalIP", "10.0.0.2")]),
            host(&"x".repeat(64), &[("InternalIP", "10.0.0.3")]),
        ];
        let inventory = Inventory::of(listed, ExternalIps::NamesOnly);
        assert_eq!(addresses(&inventory), [["10.0.0.1"]]);
        assert!(matches!(
            inventory.left_out.iter().map(|(_, why)| why).collect::<Vec<_>>()[..],
            [LeftOut::NoHost(_), LeftOut::Name(_), LeftOut::Name(_)]
        ));
    }

    #[test]
    fn what_no_certificate_may_hold_is_left_out_with_its_reason() {
        let listed = host(
            "a",
            &[
                ("InternalIP", "10.0.0.1"),
                ("Hostname", "A.Example.NET"),
                ("InternalDNS", "a_1.example.net"),
                ("InternalIP", "fe80::1%eth0"),
                ("InternalIP", "fe80::1"),
                ("InternalIP", "169.254.3.4"),
                ("InternalIP", "127.0.0.1"),
                ("Hostname", "localhost.localdomain"),
                ("ExternalIP", "0.0.0.0"),
            ],
        );
        let inventory = Inventory::of(vec![listed, host("b", &[("InternalIP", "fe80::2")])], ExternalIps::NamesOnly);
        assert_eq!(addresses(&inventory), [["10.0.0.1", "a.example.net"]]);
        assert_eq!(inventory.oddities.len(), 9, "{:?}", inventory.oddities);
        assert!(inventory.oddities.iter().all(|odd| odd.to_string().contains(&odd.value)));
        assert_eq!(inventory.without_addresses, ["b"]);
    }
}
