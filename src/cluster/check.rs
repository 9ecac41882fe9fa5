//! Converts a [`RawCluster`] into a [`Cluster`]: parses each value, checks the values against each other, reports all errors.

mod enrolment;
mod errors;
mod hosts;
mod names;
mod signers;
#[cfg(test)]
mod tests;

use super::account::AccountScheme;
use super::address::Cidr;
use super::config_error::{ConfigError, Reason};
use super::endpoint::Endpoint;
use super::key_kind::KeyKind;
use super::kubelet::{self, Setting};
use super::kubernetes::{EtcdVersion, ImageRepository, Kubernetes, KubernetesError, Version};
use super::lifetime::Lifetime;
use super::name::{ClusterName, DnsName};
use super::node_index::NodeIndex;
use super::spec::{
    API_SERVER_PORT, Cluster, DEFAULT_DOMAIN, DEFAULT_SERVICE_CIDR, Host, KUBELET_PORT, RawCluster, Validity,
};
use errors::Errors;

impl Cluster {
    /// Returns the kubelet settings that kubelets of `version` do not support yet.
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
    let mut errors = Vec::new();
    kubelet::fields_of_later_releases(everywhere, minor, || "kubelet".to_owned(), &mut errors);
    for (i, setting) in nodes {
        kubelet::fields_of_later_releases(setting, minor, || format!("nodes[{i}].kubelet"), &mut errors);
    }
    errors
}

impl RawCluster {
    /// Parses every value and checks the values against each other.
    ///
    /// # Errors
    /// Returns all errors together, in the file's order, each with the path of its value.
    pub fn check(&self) -> Result<Cluster, Vec<ConfigError>> {
        let mut errors = Errors::default();
        let name = match &self.name {
            Some(text) => errors.parsed("name", text, ClusterName::parse(text).map_err(Reason::Name)),
            None => errors.missing("name", "a DNS label, for example prod"),
        };
        let accounts = errors.chosen("accounts", self.accounts.as_deref(), &AccountScheme::ALL, AccountScheme::as_str);
        let default_cidrs = vec![DEFAULT_SERVICE_CIDR.to_owned()];
        let service_cidrs = service_cidrs(self.service_cidrs.as_ref().unwrap_or(&default_cidrs), &mut errors);
        let domain = self.cluster_domain.as_deref().unwrap_or(DEFAULT_DOMAIN);
        let cluster_domain = errors.parsed("clusterDomain", domain, DnsName::parse(domain).map_err(Reason::Name));
        let keys = errors.chosen("keys", self.keys.as_deref(), &KeyKind::ALL, KeyKind::as_str);
        let validity = self.validity(&mut errors);
        let kubernetes = self.kubernetes(&mut errors);
        let with_units = errors.boolean("withUnits", self.with_units.as_deref());
        if self.templates.as_ref().is_some_and(|path| path.trim().is_empty()) {
            errors.add("templates", self.templates.clone(), Reason::Path);
        }
        let renew_before = validity.and_then(|validity| self.renew_before(validity, &mut errors));
        let signers = signers::parse(&self.signers, &mut errors);
        let enrolment = enrolment::parse(&self.enrolment, &mut errors);
        let kubelet = kubelet::check(&self.kubelet, || "kubelet".to_owned(), &mut errors.0);
        let endpoint = self
            .endpoint
            .as_deref()
            .and_then(|text| errors.parsed("endpoint", text, Endpoint::parse(text).map_err(Reason::Endpoint)));
        let masters = hosts::parse("masters", &self.masters, API_SERVER_PORT, endpoint.as_ref(), &mut errors);
        let endpoint = endpoint.or_else(|| self.endpoint_of_the_only_master(&masters, &mut errors));
        let nodes = hosts::parse("nodes", &self.nodes, KUBELET_PORT, None, &mut errors);
        if let Some(minor) = kubernetes.version.as_ref().map(Version::minor) {
            let nodes = nodes.iter().map(|(i, node)| (*i, &node.kubelet));
            errors.0.extend(kubelet_fields_of_later_releases(minor, &kubelet, nodes));
        }
        hosts::check_etcd_names(&masters, &mut errors);
        hosts::check_service_family(&masters, service_cidrs.first(), &mut errors);
        if let Some(accounts) = accounts {
            hosts::check_accounts(accounts, &nodes, &mut errors);
        }
        names::check_nodes(&self.nodes, &nodes, &mut errors);
        if let (Some(endpoint), Some(domain)) = (&endpoint, &cluster_domain) {
            let api_servers = names::ApiServers { masters: &masters, endpoint, domain, service_cidrs: &service_cidrs };
            api_servers.check_nodes(&self.nodes, &nodes, &mut errors);
        }
        match (name, endpoint, accounts, cluster_domain, keys, validity) {
            (Some(name), Some(endpoint), Some(accounts), Some(cluster_domain), Some(keys), Some(validity))
                if errors.0.is_empty() =>
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
                    signers,
                    enrolment,
                    kubelet,
                    masters,
                    nodes,
                    node_index: NodeIndex::default(),
                })
            }
            _ => Err(errors.0),
        }
    }

    fn validity(&self, errors: &mut Errors) -> Option<Validity> {
        let mut parsed =
            |path, text: &String| errors.parsed(path, text, Lifetime::parse(text).map_err(Reason::Lifetime));
        let crl = self.validity_crl.as_ref().map(|text| parsed("validity.crl", text));
        let mut lifetime = |path, text: &Option<String>, default: Lifetime| match text {
            Some(text) => parsed(path, text),
            None => Some(default),
        };
        let ca = lifetime("validity.ca", &self.validity_ca, Lifetime::TEN_YEARS);
        let master = lifetime("validity.master", &self.validity_master, Lifetime::ONE_YEAR);
        let node = lifetime("validity.node", &self.validity_node, Lifetime::ONE_YEAR);
        let admin = lifetime("validity.admin", &self.validity_admin, Lifetime::NINETY_DAYS);
        let crl = crl.map_or(Some(None), |crl| crl.map(Some));
        let validity = Validity { ca: ca?, master: master?, node: node?, admin: admin?, crl: crl? };
        // The default for administrators may be longer than the validity of a CA that is tried out; the CA shortens it.
        let admin = self.validity_admin.as_ref().map(|_| ("validity.admin", validity.admin));
        for (path, lifetime) in
            [("validity.master", validity.master), ("validity.node", validity.node)].into_iter().chain(admin)
        {
            if lifetime > validity.ca {
                errors.add(path, Some(lifetime.to_string()), Reason::OutlivesCa { ca: validity.ca });
            }
        }
        Some(validity)
    }

    fn kubernetes(&self, errors: &mut Errors) -> Kubernetes {
        fn parsed<T>(
            path: &str,
            text: Option<&String>,
            parse: impl Fn(&str) -> Result<T, KubernetesError>,
            errors: &mut Errors,
        ) -> Option<T> {
            text.and_then(|text| errors.parsed(path, text, parse(text).map_err(Reason::Kubernetes)))
        }
        Kubernetes {
            version: parsed("kubernetes.version", self.kubernetes_version.as_ref(), Version::parse, errors),
            image_repository: parsed(
                "kubernetes.imageRepository",
                self.image_repository.as_ref(),
                ImageRepository::parse,
                errors,
            ),
            etcd_version: parsed("kubernetes.etcdVersion", self.etcd_version.as_ref(), EtcdVersion::parse, errors),
        }
    }

    /// Parses `renewBefore`, which has to be shorter than each lifetime: otherwise every command would reissue every
    /// certificate.
    fn renew_before(&self, validity: Validity, errors: &mut Errors) -> Option<Lifetime> {
        let text = self.renew_before.as_ref()?;
        let before = errors.parsed("renewBefore", text, Lifetime::parse(text).map_err(Reason::Lifetime))?;
        let shortest = validity.master.min(validity.node);
        if before >= shortest {
            errors.add("renewBefore", Some(text.clone()), Reason::RenewedImmediately { lifetime: shortest });
            return None;
        }
        Some(before)
    }

    fn endpoint_of_the_only_master(&self, masters: &[(usize, Host)], errors: &mut Errors) -> Option<Endpoint> {
        if self.endpoint.is_some() {
            return None;
        }
        if self.masters.len() > 1 {
            errors.add("endpoint", None, Reason::EndpointNeeded { masters: self.masters.len() });
            return None;
        }
        let (_, host) = masters.first()?;
        Some(Endpoint { host: host.addresses.first()?.clone(), port: host.port })
    }
}

fn service_cidrs(texts: &[String], errors: &mut Errors) -> Vec<Cidr> {
    if texts.is_empty() {
        let wanted = "at least one range, or no such key for the default";
        errors.add("serviceCIDRs", None, Reason::Missing { wanted });
    }
    let parse = |(i, text): (usize, &String)| {
        errors.parsed(&format!("serviceCIDRs[{i}]"), text, Cidr::parse(text).map_err(Reason::Cidr))
    };
    let ranges: Vec<Cidr> = texts.iter().enumerate().filter_map(parse).collect();
    let same_family = |pair: &[Cidr]| pair[0].first_address().is_ipv4() == pair[1].first_address().is_ipv4();
    if texts.len() > 2 || ranges.windows(2).any(same_family) {
        errors.add("serviceCIDRs", Some(texts.join(", ")), Reason::ServiceRanges);
    }
    ranges
}

fn without_positions(hosts: Vec<(usize, Host)>) -> Vec<Host> {
    hosts.into_iter().map(|(_, host)| host).collect()
}
