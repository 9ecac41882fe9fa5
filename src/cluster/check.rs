//! From a `RawCluster` to a `Cluster`: every value parsed, all of them held against each other, and every fault told at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::IpAddr;

use super::account::{AccountScheme, MAX_COMMON_NAME};
use super::address::{Address, Cidr};
use super::config_error::{ConfigError, Reason};
use super::endpoint::Endpoint;
use super::key_kind::KeyKind;
use super::kubelet::{self, Setting};
use super::kubernetes::{EtcdVersion, ImageRepository, Kubernetes, KubernetesError, Version};
use super::lifetime::Lifetime;
use super::name::{ClusterName, DnsName, HostName};
use super::recipient::{Recipient, may_be_secret};
use super::spec::{
    API_SERVER_NAMES, API_SERVER_PORT, Cluster, DEFAULT_DOMAIN, DEFAULT_SERVICE_CIDR, Host, KUBELET_PORT, LOCALHOST,
    OneOrMore, RawCluster, RawHost, Validity, service_name,
};

/// How the names of what is packed for a host end, behind the host's own.
pub(crate) const ENDINGS: [&str; 5] = [".tar.gz", ".tar.gz.age", ".cloud-init.yaml", ".cloud-init.yaml.gz", ".ign"];

impl Cluster {
    /// Returns the kubelets' settings that kubelets of `version` do not know yet.
    #[must_use]
    pub fn kubelet_fields_unknown_to(&self, version: &Version) -> Vec<ConfigError> {
        let nodes = self.nodes.iter().map(|node| &node.kubelet).enumerate();
        kubelet_fields_of_later_releases(version.minor(), &self.kubelet, nodes)
    }
}

fn kubelet_fields_of_later_releases<'s>(
    minor: u32,
    everywhere: &Setting,
    nodes: impl Iterator<Item = (usize, &'s Setting)>,
) -> Vec<ConfigError> {
    let mut faults = Vec::new();
    kubelet::fields_of_later_releases(everywhere, minor, || "kubelet".to_owned(), &mut faults);
    for (i, setting) in nodes {
        kubelet::fields_of_later_releases(setting, minor, || format!("nodes[{i}].kubelet"), &mut faults);
    }
    faults
}

impl RawCluster {
    /// Parses every value and checks them against each other.
    ///
    /// # Errors
    /// All faults at once, in the file's order, each with the path of the value.
    pub fn check(&self) -> Result<Cluster, Vec<ConfigError>> {
        let mut faults = Faults::default();
        let name = match &self.name {
            Some(text) => faults.parsed("name", text, ClusterName::parse(text).map_err(Reason::Name)),
            None => faults.missing("name", "a DNS label, for example prod"),
        };
        let accounts = faults.chosen("accounts", self.accounts.as_deref(), &AccountScheme::ALL, AccountScheme::as_str);
        let default_cidrs = vec![DEFAULT_SERVICE_CIDR.to_owned()];
        let service_cidrs = self.service_cidrs(self.service_cidrs.as_ref().unwrap_or(&default_cidrs), &mut faults);
        let domain = self.cluster_domain.as_deref().unwrap_or(DEFAULT_DOMAIN);
        let cluster_domain = faults.parsed("clusterDomain", domain, DnsName::parse(domain).map_err(Reason::Name));
        let keys = faults.chosen("keys", self.keys.as_deref(), &KeyKind::ALL, KeyKind::as_str);
        let validity = self.validity(&mut faults);
        let kubernetes = self.kubernetes(&mut faults);
        let with_units = faults.switch("withUnits", self.with_units.as_deref());
        if self.templates.as_ref().is_some_and(|path| path.trim().is_empty()) {
            faults.add("templates", self.templates.clone(), Reason::Path);
        }
        let renew_before = validity.and_then(|validity| self.renew_before(validity, &mut faults));
        let kubelet = kubelet::check(&self.kubelet, || "kubelet".to_owned(), &mut faults.0);
        let endpoint = self
            .endpoint
            .as_deref()
            .and_then(|text| faults.parsed("endpoint", text, Endpoint::parse(text).map_err(Reason::Endpoint)));
        let masters = self.hosts("masters", &self.masters, API_SERVER_PORT, endpoint.as_ref(), &mut faults);
        let endpoint = endpoint.or_else(|| self.endpoint_of_the_only_master(&masters, &mut faults));
        let nodes = self.hosts("nodes", &self.nodes, KUBELET_PORT, None, &mut faults);
        if let Some(minor) = kubernetes.version.as_ref().map(Version::minor) {
            let nodes = nodes.iter().map(|(i, node)| (*i, &node.kubelet));
            faults.0.extend(kubelet_fields_of_later_releases(minor, &kubelet, nodes));
        }
        etcd_members_fit(&masters, &mut faults);
        masters_are_of_the_services_family(&masters, service_cidrs.first(), &mut faults);
        if let Some(accounts) = accounts {
            accounts_fit(accounts, &nodes, &mut faults);
        }
        self.no_node_is_another(&nodes, &mut faults);
        if let (Some(endpoint), Some(domain)) = (&endpoint, &cluster_domain) {
            self.no_node_is_an_api_server(&masters, &nodes, endpoint, domain, &service_cidrs, &mut faults);
        }
        match (name, endpoint, accounts, cluster_domain, keys, validity) {
            (Some(name), Some(endpoint), Some(accounts), Some(cluster_domain), Some(keys), Some(validity))
                if faults.0.is_empty() =>
            {
                let (masters, nodes) = (without_positions(masters), without_positions(nodes));
                Ok(Cluster {
                    name,
                    endpoint,
                    accounts,
                    service_cidrs,
                    cluster_domain,
                    keys,
                    validity,
                    kubernetes,
                    templates: self.templates.clone(),
                    with_units,
                    renew_before,
                    kubelet,
                    masters,
                    nodes,
                })
            }
            _ => Err(faults.0),
        }
    }

    fn service_cidrs(&self, texts: &[String], faults: &mut Faults) -> Vec<Cidr> {
        if texts.is_empty() {
            let wanted = "at least one range, or no such key for the default";
            faults.add("serviceCIDRs", None, Reason::Missing { wanted });
        }
        let parse = |(i, text): (usize, &String)| {
            faults.parsed(&format!("serviceCIDRs[{i}]"), text, Cidr::parse(text).map_err(Reason::Cidr))
        };
        let ranges: Vec<Cidr> = texts.iter().enumerate().filter_map(parse).collect();
        let same_family = |pair: &[Cidr]| pair[0].first_address().is_ipv4() == pair[1].first_address().is_ipv4();
        if texts.len() > 2 || ranges.windows(2).any(same_family) {
            faults.add("serviceCIDRs", Some(texts.join(", ")), Reason::ServiceRanges);
        }
        ranges
    }

    fn validity(&self, faults: &mut Faults) -> Option<Validity> {
        let mut lifetime = |path, text: &Option<String>, default: Lifetime| match text {
            Some(text) => faults.parsed(path, text, Lifetime::parse(text).map_err(Reason::Lifetime)),
            None => Some(default),
        };
        let ca = lifetime("validity.ca", &self.validity_ca, Lifetime::TEN_YEARS);
        let master = lifetime("validity.master", &self.validity_master, Lifetime::ONE_YEAR);
        let node = lifetime("validity.node", &self.validity_node, Lifetime::ONE_YEAR);
        let validity = Validity { ca: ca?, master: master?, node: node? };
        for (path, leaf) in [("validity.master", validity.master), ("validity.node", validity.node)] {
            if leaf > validity.ca {
                faults.add(path, Some(leaf.to_string()), Reason::OutlivesRoot { root: validity.ca });
            }
        }
        Some(validity)
    }

    fn kubernetes(&self, faults: &mut Faults) -> Kubernetes {
        fn parsed<T>(
            path: &str,
            text: Option<&String>,
            parse: impl Fn(&str) -> Result<T, KubernetesError>,
            faults: &mut Faults,
        ) -> Option<T> {
            text.and_then(|text| faults.parsed(path, text, parse(text).map_err(Reason::Kubernetes)))
        }
        Kubernetes {
            version: parsed("kubernetes.version", self.kubernetes_version.as_ref(), Version::parse, faults),
            image_repository: parsed(
                "kubernetes.imageRepository",
                self.image_repository.as_ref(),
                ImageRepository::parse,
                faults,
            ),
            etcd_version: parsed("kubernetes.etcdVersion", self.etcd_version.as_ref(), EtcdVersion::parse, faults),
        }
    }

    /// What would be replaced as soon as it is issued would be so by every command.
    fn renew_before(&self, validity: Validity, faults: &mut Faults) -> Option<Lifetime> {
        let text = self.renew_before.as_ref()?;
        let before = faults.parsed("renewBefore", text, Lifetime::parse(text).map_err(Reason::Lifetime))?;
        let shortest = validity.master.min(validity.node);
        if before >= shortest {
            faults.add("renewBefore", Some(text.clone()), Reason::RenewedAtOnce { life: shortest });
            return None;
        }
        Some(before)
    }

    fn hosts(
        &self,
        list: &'static str,
        drafts: &[RawHost],
        default_port: u16,
        endpoint: Option<&Endpoint>,
        faults: &mut Faults,
    ) -> Vec<(usize, Host)> {
        if drafts.is_empty() && list == "masters" {
            faults.add(list, None, Reason::Missing { wanted: "at least one master with its addresses" });
        }
        let mut names = Unique::with_capacity(drafts.len());
        let mut taken = Unique::with_capacity(drafts.len() * 2);
        let mut hosts = Vec::with_capacity(drafts.len());
        for (i, draft) in drafts.iter().enumerate() {
            let at = |field: &str| format!("{list}[{i}].{field}");
            let name = match &draft.name {
                Some(text) => match HostName::parse(text) {
                    Ok(name) if let Some(ending) = ENDINGS.into_iter().find(|end| name.as_str().ends_with(end)) => {
                        faults.add(&at("name"), Some(text.clone()), Reason::LooksLikeABundle { ending });
                        None
                    }
                    Ok(name) => names.claim(faults, text, name, (i, 0), |(i, _)| format!("{list}[{i}].name")),
                    Err(error) => {
                        faults.add(&at("name"), Some(text.clone()), Reason::Name(error));
                        None
                    }
                },
                None => faults.missing(&at("name"), "the host's name"),
            };
            if draft.addresses.is_empty() {
                let who = draft.name.clone().unwrap_or_default();
                faults.add(&at("addresses"), None, Reason::NoAddresses { host: who });
            }
            let mut addresses = Vec::with_capacity(draft.addresses.len());
            for (j, text) in draft.addresses.iter().enumerate() {
                match Address::parse(text) {
                    Ok(address) => addresses.extend(
                        taken.claim(faults, text, address, (i, j), |(i, j)| format!("{list}[{i}].addresses[{j}]")),
                    ),
                    Err(error) => {
                        faults.add(&format!("{list}[{i}].addresses[{j}]"), Some(text.clone()), Reason::Address(error));
                    }
                }
            }
            let port_field = if list == "masters" { "apiServerPort" } else { "kubeletPort" };
            let port = match &draft.port {
                Some(text) => {
                    let port = text.parse().ok().filter(|_: &u16| !text.starts_with(['+', '0']));
                    faults.parsed(&at(port_field), text, port.ok_or(Reason::Port))
                }
                // An endpoint that is this very host says where its API server listens.
                None => endpoint.filter(|e| addresses.contains(&e.host)).map(|e| e.port).or(Some(default_port)),
            };
            let recipients = recipients(|| at("sealTo"), &draft.seal_to, faults);
            let kubelet = kubelet::check(&draft.kubelet, || at("kubelet"), &mut faults.0);
            if let (Some(name), Some(port)) = (name, port) {
                hosts.push((i, Host { name, addresses, port, kubelet, recipients }));
            }
        }
        hosts
    }

    /// A node's certificate names the node and its addresses, and clients trust the root for every name. If one of these were
    /// an API server's, the node could pass for it. A host that is both stands in both lists under one name.
    fn no_node_is_an_api_server(
        &self,
        masters: &[(usize, Host)],
        nodes: &[(usize, Host)],
        endpoint: &Endpoint,
        domain: &DnsName,
        service_cidrs: &[Cidr],
        faults: &mut Faults,
    ) {
        let mut owners: HashMap<Address, (&str, Option<&HostName>)> = HashMap::new();
        for text in API_SERVER_NAMES.map(str::to_owned).into_iter().chain([service_name(domain.as_str())]) {
            owners.extend(Address::parse(&text).ok().map(|name| (name, ("the API server's own name", None))));
        }
        // Whoever asks for it means the own host.
        owners.extend(Address::parse(LOCALHOST).ok().map(|name| (name, ("every host's own name", None))));
        owners.insert(endpoint.host.clone(), ("the endpoint", None));
        for (_, master) in masters {
            for address in [master.name.to_address()].into_iter().chain(master.addresses.iter().cloned()) {
                owners.insert(address, ("a master's name or address", Some(&master.name)));
            }
        }
        for (i, node) in nodes {
            let mut claim = |path: &dyn Fn() -> String, address: &Address| {
                let in_service = address.ip().is_some_and(|ip| service_cidrs.iter().any(|cidr| cidr.contains(ip)));
                let owner = match owners.get(address) {
                    Some((whose, master)) => (*master != Some(&node.name)).then_some(*whose),
                    None => in_service.then_some("in a service range"),
                };
                if let Some(whose) = owner {
                    faults.add(&path(), Some(address.to_string()), Reason::ApiServers { whose });
                }
            };
            let name = node.name.to_address();
            claim(&|| format!("nodes[{i}].name"), &name);
            for address in node.addresses.iter().filter(|address| **address != name) {
                let at = |text: &String| Address::parse(text).as_ref() == Ok(address);
                let j = self.nodes[*i].addresses.iter().position(at).unwrap_or(0);
                claim(&|| format!("nodes[{i}].addresses[{j}]"), address);
            }
        }
    }

    /// As above, among nodes. In a usual fleet addresses are IP addresses and names are not, and nothing is to be looked up.
    fn no_node_is_another(&self, nodes: &[(usize, Host)], faults: &mut Faults) {
        let is_ip = |host: &Host| host.name.as_str().parse::<IpAddr>().is_ok();
        let all_ips = |host: &Host| host.addresses.iter().all(|address| address.ip().is_some());
        if nodes.iter().all(|(_, node)| all_ips(node) && !is_ip(node)) {
            return;
        }
        let names: HashMap<Address, usize> = nodes.iter().map(|(i, node)| (node.name.to_address(), *i)).collect();
        for (i, node) in nodes {
            for address in &node.addresses {
                let Some(other) = names.get(address).filter(|other| *other != i) else { continue };
                let at = |text: &String| Address::parse(text).as_ref() == Ok(address);
                let j = self.nodes[*i].addresses.iter().position(at).unwrap_or(0);
                let reason = Reason::AnothersName { other: format!("nodes[{other}].name") };
                faults.add(&format!("nodes[{i}].addresses[{j}]"), Some(address.to_string()), reason);
            }
        }
    }

    fn endpoint_of_the_only_master(&self, masters: &[(usize, Host)], faults: &mut Faults) -> Option<Endpoint> {
        if self.endpoint.is_some() {
            return None;
        }
        if self.masters.len() > 1 {
            faults.add("endpoint", None, Reason::EndpointNeeded { masters: self.masters.len() });
            return None;
        }
        let (_, host) = masters.first()?;
        Some(Endpoint { host: host.addresses.first()?.clone(), port: host.port })
    }
}

fn recipients(path: impl Fn() -> String, drafts: &OneOrMore, faults: &mut Faults) -> Vec<Recipient> {
    let mut recipients: Vec<Recipient> = Vec::new();
    for (behind, text) in drafts.texts() {
        match Recipient::parse(text) {
            Ok(recipient) if recipients.contains(&recipient) => {}
            Ok(recipient) => recipients.push(recipient),
            Err(error) => {
                // A secret that was put here by mistake goes no further.
                let seen = (!may_be_secret(text)).then(|| text.clone());
                faults.add(&format!("{}{behind}", path()), seen, Reason::Recipient(error));
            }
        }
    }
    recipients
}

/// An etcd member's certificate has the master's name as its common name (kubeadm's way).
fn etcd_members_fit(masters: &[(usize, Host)], faults: &mut Faults) {
    for (i, master) in masters {
        let length = master.name.as_str().len();
        if length > MAX_COMMON_NAME {
            let account = master.name.to_string();
            faults.add(&format!("masters[{i}].name"), None, Reason::AccountTooLong { account, length });
        }
    }
}

/// An API server advertises an address of the first service range's family, and without one refuses to start (Kubernetes
/// `cmd/kube-apiserver/app/options`, `validatePublicIPServiceClusterIPRangeIPFamilies`). A master of names alone may have one.
fn masters_are_of_the_services_family(masters: &[(usize, Host)], first_range: Option<&Cidr>, faults: &mut Faults) {
    let Some(range) = first_range else { return };
    let needs_ipv4 = range.first_address().is_ipv4();
    for (i, master) in masters {
        let mut ips = master.addresses.iter().filter_map(Address::ip).peekable();
        if ips.peek().is_some() && ips.all(|ip| ip.is_ipv4() != needs_ipv4) {
            let family = if needs_ipv4 { "IPv4" } else { "IPv6" };
            faults.add(
                &format!("masters[{i}].addresses"),
                None,
                Reason::NotOfTheServicesFamily { family, range: *range },
            );
        }
    }
}

fn accounts_fit(accounts: AccountScheme, nodes: &[(usize, Host)], faults: &mut Faults) {
    for (i, node) in nodes {
        // The kubelet-server certificate carries `system:node:<host>` under either scheme.
        for scheme in [accounts, AccountScheme::SystemNode] {
            let length = scheme.prefix().len() + node.name.as_str().len();
            if length > MAX_COMMON_NAME {
                let account = scheme.account(&node.name).user;
                faults.add(&format!("nodes[{i}].name"), None, Reason::AccountTooLong { account, length });
                break;
            }
        }
    }
}

fn without_positions(hosts: Vec<(usize, Host)>) -> Vec<Host> {
    hosts.into_iter().map(|(_, host)| host).collect()
}

/// Who took a value first. Positions are kept as numbers: a path is only written when there is a fault to report.
struct Unique<T>(HashMap<T, (usize, usize)>);

impl<T: Eq + Hash + Clone> Unique<T> {
    fn with_capacity(size: usize) -> Self {
        Self(HashMap::with_capacity(size))
    }

    fn claim(
        &mut self,
        faults: &mut Faults,
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
                faults.add(&path(position), Some(seen.to_owned()), Reason::Duplicate { first });
                None
            }
        }
    }
}

#[derive(Default)]
struct Faults(Vec<ConfigError>);

impl Faults {
    fn add(&mut self, path: &str, seen: Option<String>, reason: Reason) {
        self.0.push(ConfigError { path: path.to_owned(), line: None, seen, reason });
    }

    fn missing<T>(&mut self, path: &str, wanted: &'static str) -> Option<T> {
        self.add(path, None, Reason::Missing { wanted });
        None
    }

    fn parsed<T>(&mut self, path: &str, seen: &str, result: Result<T, Reason>) -> Option<T> {
        result.map_err(|reason| self.add(path, Some(seen.to_owned()), reason)).ok()
    }

    /// `true` or `false`, and false where nothing is said.
    fn switch(&mut self, path: &str, text: Option<&str>) -> bool {
        match text {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                self.add(path, Some(other.to_owned()), Reason::Choice { allowed: vec!["true", "false"] });
                false
            }
        }
    }

    fn chosen<T: Copy + Default>(
        &mut self,
        path: &str,
        text: Option<&str>,
        all: &[T],
        written: fn(T) -> &'static str,
    ) -> Option<T> {
        let Some(text) = text else { return Some(T::default()) };
        let found = all.iter().copied().find(|&choice| written(choice) == text);
        let allowed = || all.iter().copied().map(written).collect();
        self.parsed(path, text, found.ok_or_else(|| Reason::Choice { allowed: allowed() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, addresses: &[&str]) -> RawHost {
        let addresses = addresses.iter().map(ToString::to_string).collect();
        RawHost { name: Some(name.into()), addresses, ..RawHost::default() }
    }

    fn draft() -> RawCluster {
        RawCluster {
            name: Some("prod".into()),
            masters: vec![host("m1", &["10.0.0.1"])],
            nodes: vec![host("n1", &["10.0.1.1", "fd00::1"])],
            ..RawCluster::default()
        }
    }

    #[test]
    fn the_only_master_is_the_endpoint() {
        let cluster = draft().check().expect("a good draft");
        assert_eq!(cluster.endpoint.to_string(), "https://10.0.0.1:6443");
        assert_eq!(cluster.nodes[0].port, 10250);
    }

    #[test]
    fn a_master_that_is_the_endpoint_listens_on_its_port() {
        let endpoint = Some("https://10.0.0.1:8443".to_owned());
        let cluster = RawCluster { endpoint, ..draft() }.check().expect("a good draft");
        assert_eq!(cluster.masters[0].port, 8443);
    }

    #[test]
    fn services_need_a_range() {
        let faults = RawCluster { service_cidrs: Some(Vec::new()), ..draft() }.check().expect_err("no range");
        assert_eq!(faults[0].path, "serviceCIDRs");
    }

    #[test]
    fn a_port_is_plain_decimal() {
        for wrong in ["0", "+1", "010250", "0x1", "65536", "-1", ""] {
            let mut bad = draft();
            bad.nodes[0].port = Some(wrong.into());
            assert_eq!(bad.check().expect_err(wrong)[0].reason, Reason::Port);
        }
    }

    #[test]
    fn all_faults_are_reported_at_once_with_their_paths() {
        let mut bad = draft();
        bad.name = None;
        bad.keys = Some("rsa".into());
        bad.validity_ca = Some("1d".into());
        bad.service_cidrs = Some(vec!["10.0.0.0/8".into(), "10.0.0.0/40".into()]);
        bad.masters.push(host("m1", &[]));
        bad.nodes.push(host("N2", &["fd00:0::1", "x y"]));
        bad.nodes.push(host(&"a".repeat(53), &["10.0.1.3"]));
        bad.nodes[2].port = Some("0".into());
        bad.nodes.push(host(&format!("b{}", "a".repeat(52)), &["10.0.1.4"]));
        let faults = bad.check().expect_err("a bad draft");
        let paths: Vec<&str> = faults.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "name",
                "serviceCIDRs[1]",
                "keys",
                "validity.master",
                "validity.node",
                "masters[1].name",
                "masters[1].addresses",
                "endpoint",
                "nodes[1].name",
                "nodes[1].addresses[0]",
                "nodes[1].addresses[1]",
                "nodes[2].kubeletPort",
                "nodes[3].name",
            ]
        );
        assert_eq!(faults[9].reason, Reason::Duplicate { first: "nodes[0].addresses[1]".into() });
        assert_eq!(
            faults[12].reason,
            Reason::AccountTooLong { account: format!("system:node:b{}", "a".repeat(52)), length: 65 }
        );
    }
}
