//! Parses the entries of `masters` and `nodes`, and checks each host on its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use super::errors::Errors;
use crate::cluster::account::{AccountScheme, MAX_COMMON_NAME};
use crate::cluster::address::{Address, Cidr};
use crate::cluster::config_error::Reason;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::kubelet;
use crate::cluster::name::{BUNDLE_SUFFIXES, HostName};
use crate::cluster::recipient::{Recipient, may_be_secret};
use crate::cluster::spec::{Host, OneOrMore, RawHost};

/// Parses the entries of one list; returns the valid ones with their positions.
pub(super) fn parse(
    list: &'static str,
    entries: &[RawHost],
    default_port: u16,
    endpoint: Option<&Endpoint>,
    errors: &mut Errors,
) -> Vec<(usize, Host)> {
    if entries.is_empty() && list == "masters" {
        errors.add(list, None, Reason::Missing { wanted: "at least one master with its addresses" });
    }
    let mut parser = HostParser {
        list,
        default_port,
        endpoint,
        names: Unique::with_capacity(entries.len()),
        addresses: Unique::with_capacity(entries.len() * 2),
    };
    entries.iter().enumerate().filter_map(|(i, entry)| Some((i, parser.host(i, entry, errors)?))).collect()
}

struct HostParser<'a> {
    list: &'static str,
    default_port: u16,
    endpoint: Option<&'a Endpoint>,
    names: Unique<HostName>,
    addresses: Unique<Address>,
}

impl HostParser<'_> {
    fn host(&mut self, i: usize, entry: &RawHost, errors: &mut Errors) -> Option<Host> {
        let list = self.list;
        let at = |field: &str| format!("{list}[{i}].{field}");
        let name = self.name(i, entry, errors);
        let addresses = self.addresses(i, entry, errors);
        let port = match &entry.port {
            Some(text) => {
                let port = text.parse().ok().filter(|_: &u16| !text.starts_with(['+', '0']));
                let field = if list == "masters" { "apiServerPort" } else { "kubeletPort" };
                errors.parsed(&at(field), text, port.ok_or(Reason::Port))
            }
            // If the endpoint is this host, its port is the API server's.
            None => self.endpoint.filter(|e| addresses.contains(&e.host)).map(|e| e.port).or(Some(self.default_port)),
        };
        let recipients = recipients(|| at("sealTo"), &entry.seal_to, errors);
        let kubelet = kubelet::check(&entry.kubelet, || at("kubelet"), &mut errors.0);
        Some(Host { name: name?, addresses, port: port?, kubelet, recipients })
    }

    fn name(&mut self, i: usize, entry: &RawHost, errors: &mut Errors) -> Option<HostName> {
        let list = self.list;
        let path = || format!("{list}[{i}].name");
        let Some(text) = &entry.name else { return errors.missing(&path(), "the host's name") };
        let name = match HostName::parse(text) {
            Ok(name) => name,
            Err(error) => {
                errors.add(&path(), Some(text.clone()), Reason::Name(error));
                return None;
            }
        };
        if let Some(suffix) = BUNDLE_SUFFIXES.into_iter().find(|suffix| name.as_str().ends_with(suffix)) {
            errors.add(&path(), Some(text.clone()), Reason::BundleSuffix { suffix });
            return None;
        }
        self.names.claim(errors, text, name, (i, 0), |(i, _)| format!("{list}[{i}].name"))
    }

    fn addresses(&mut self, i: usize, entry: &RawHost, errors: &mut Errors) -> Vec<Address> {
        let list = self.list;
        if entry.addresses.is_empty() {
            let host = entry.name.clone().unwrap_or_default();
            errors.add(&format!("{list}[{i}].addresses"), None, Reason::NoAddresses { host });
        }
        let path = |(i, j): (usize, usize)| format!("{list}[{i}].addresses[{j}]");
        let mut addresses = Vec::with_capacity(entry.addresses.len());
        for (j, text) in entry.addresses.iter().enumerate() {
            match Address::parse(text) {
                Ok(address) => addresses.extend(self.addresses.claim(errors, text, address, (i, j), path)),
                Err(error) => errors.add(&path((i, j)), Some(text.clone()), Reason::Address(error)),
            }
        }
        addresses
    }
}

fn recipients(path: impl Fn() -> String, texts: &OneOrMore, errors: &mut Errors) -> Vec<Recipient> {
    let mut recipients: Vec<Recipient> = Vec::new();
    for (index, text) in texts.texts() {
        match Recipient::parse(text) {
            Ok(recipient) if recipients.contains(&recipient) => {}
            Ok(recipient) => recipients.push(recipient),
            Err(error) => {
                // A secret key that was pasted here by mistake must not be printed.
                let seen = (!may_be_secret(text)).then(|| text.clone());
                errors.add(&format!("{}{index}", path()), seen, Reason::Recipient(error));
            }
        }
    }
    recipients
}

/// Checks that each master's name fits a common name: an etcd member's certificate has it there, as with kubeadm.
pub(super) fn check_etcd_names(masters: &[(usize, Host)], errors: &mut Errors) {
    for (i, master) in masters {
        let length = master.name.as_str().len();
        if length > MAX_COMMON_NAME {
            let account = master.name.to_string();
            errors.add(&format!("masters[{i}].name"), None, Reason::AccountTooLong { account, length });
        }
    }
}

/// Checks that each master with IP addresses has one of the first service range's family.
///
/// An API server advertises an address of that family and refuses to start without one (Kubernetes
/// `cmd/kube-apiserver/app/options`, `validatePublicIPServiceClusterIPRangeIPFamilies`).
pub(super) fn check_service_family(masters: &[(usize, Host)], first_range: Option<&Cidr>, errors: &mut Errors) {
    let Some(range) = first_range else { return };
    let needs_ipv4 = range.first_address().is_ipv4();
    for (i, master) in masters {
        let mut ips = master.addresses.iter().filter_map(Address::ip).peekable();
        if ips.peek().is_some() && ips.all(|ip| ip.is_ipv4() != needs_ipv4) {
            let family = if needs_ipv4 { "IPv4" } else { "IPv6" };
            let reason = Reason::ServiceFamilyMissing { family, range: *range };
            errors.add(&format!("masters[{i}].addresses"), None, reason);
        }
    }
}

/// Checks that each node's user names fit a common name.
pub(super) fn check_accounts(accounts: AccountScheme, nodes: &[(usize, Host)], errors: &mut Errors) {
    for (i, node) in nodes {
        // The kubelet-server certificate has `system:node:<host>` under either scheme.
        for scheme in [accounts, AccountScheme::SystemNode] {
            let length = scheme.prefix().len() + node.name.as_str().len();
            if length > MAX_COMMON_NAME {
                let account = scheme.account(&node.name).user;
                errors.add(&format!("nodes[{i}].name"), None, Reason::AccountTooLong { account, length });
                break;
            }
        }
    }
}

/// The values that were seen, each with its first position.
///
/// Positions are numbers: paths are only formatted for errors.
struct Unique<T>(HashMap<T, (usize, usize)>);

impl<T: Eq + Hash + Clone> Unique<T> {
    fn with_capacity(size: usize) -> Self {
        Self(HashMap::with_capacity(size))
    }

    /// Returns the value if it is new, or records a duplicate.
    fn claim(
        &mut self,
        errors: &mut Errors,
        seen: &str,
        value: T,
        position: (usize, usize),
        path: impl Fn((usize, usize)) -> String,
    ) -> Option<T> {
        match self.0.entry(value) {
            Entry::Vacant(slot) => {
                let value = slot.key().clone();
                slot.insert(position);
                Some(value)
            }
            Entry::Occupied(first) => {
                let first = path(*first.get());
                errors.add(&path(position), Some(seen.to_owned()), Reason::Duplicate { first });
                None
            }
        }
    }
}
