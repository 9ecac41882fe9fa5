//! The certificates that a cluster's hosts, verifier and people have, by the PKI policy.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::account::{Account, AccountScheme};
use super::address::Address;
use super::lifetime::Lifetime;
use super::name::{DnsName, HostName};
use super::profile::{
    ADMINS, CANARY, CaRole, CertificateSpec, ENROLMENT_SERVER, FRONT_PROXY_CLIENT, Profile, SYSTEM_MASTERS,
};
use super::signer::Signer;
use super::spec::{Cluster, Host, service_name};

impl Cluster {
    /// Returns the holder of the key of a role's CA; `None` if the key is a file in the cluster directory.
    #[must_use]
    pub fn signer(&self, role: CaRole) -> Option<&Signer> {
        match role {
            CaRole::Cluster => self.signers.cluster.as_ref(),
            CaRole::Etcd => self.signers.etcd.as_ref(),
            CaRole::FrontProxy => self.signers.front_proxy.as_ref(),
        }
    }

    /// Returns the holder of the key of the CA that replaces a role's in a rotation; `None` if that key is a file.
    #[must_use]
    pub fn next_signer(&self, role: CaRole) -> Option<&Signer> {
        match role {
            CaRole::Cluster => self.signers.next_cluster.as_ref(),
            CaRole::Etcd | CaRole::FrontProxy => None,
        }
    }

    /// Returns the certificates of `master`, in the table's order.
    #[must_use]
    pub fn master_specs(&self, master: &Host) -> Vec<CertificateSpec> {
        let spec = |profile, user: &str, names| CertificateSpec {
            profile,
            host: Some(master.name.clone()),
            subject: Account { user: user.to_owned(), group: None },
            names,
            lifetime: self.validity.master,
        };
        let client = |profile, user| spec(profile, user, Vec::new());
        let etcd = |profile| spec(profile, master.name.as_str(), etcd_names(master));
        let mut specs = vec![
            spec(Profile::Apiserver, "kube-apiserver", self.apiserver_names(master)),
            client(Profile::ApiserverKubeletClient, "kube-apiserver-kubelet-client"),
            client(Profile::ApiserverEtcdClient, "kube-apiserver-etcd-client"),
            client(Profile::FrontProxyClient, FRONT_PROXY_CLIENT),
            etcd(Profile::EtcdServer),
            etcd(Profile::EtcdPeer),
            client(Profile::EtcdHealthcheckClient, "kube-etcd-healthcheck-client"),
            client(Profile::ControllerManager, "system:kube-controller-manager"),
            client(Profile::Scheduler, "system:kube-scheduler"),
        ];
        if let Some(enrolment) = &self.enrolment {
            let endpoint = enrolment.endpoint.iter().map(|endpoint| endpoint.host.clone());
            let own = [master.name.to_address()].into_iter().chain(master.addresses.iter().cloned());
            let names = each_once(endpoint.chain(own).chain(loopback()));
            specs.push(spec(Profile::EnrolmentServer, ENROLMENT_SERVER, names));
        }
        specs
    }

    /// Returns false for the profiles that this cluster's hosts do not have.
    #[must_use]
    pub fn has_profile(&self, profile: Profile) -> bool {
        profile != Profile::EnrolmentServer || self.enrolment.is_some()
    }

    /// Returns the certificates of `node`, in the table's order.
    #[must_use]
    pub fn node_specs(&self, node: &Host) -> Vec<CertificateSpec> {
        let spec = |profile, subject, names| CertificateSpec {
            profile,
            host: Some(node.name.clone()),
            subject,
            names,
            lifetime: self.validity.node,
        };
        // Kubernetes 1.38 will require `system:node:<host>` in a kubelet's serving certificate. A kubelet that requests it
        // itself also requires its group there, and repeats the request indefinitely without it.
        let account = AccountScheme::SystemNode.account(&node.name);
        let group = account.group.filter(|_| self.accounts == AccountScheme::SystemNode && self.enrolment.is_some());
        let server = Account { group, user: account.user };
        let names = each_once([node.name.to_address()].into_iter().chain(node.addresses.iter().cloned()));
        vec![
            spec(Profile::KubeletClient, self.accounts.account(&node.name), Vec::new()),
            spec(Profile::KubeletServer, server, names),
        ]
    }

    /// Returns the verifier's certificate.
    #[must_use]
    pub fn verifier_spec(&self) -> CertificateSpec {
        let group = Some("clusterctl:verifiers".to_owned());
        CertificateSpec {
            profile: Profile::Verifier,
            host: None,
            subject: Account { user: "clusterctl:verifier".to_owned(), group },
            names: Vec::new(),
            lifetime: self.validity.master,
        }
    }

    /// Returns the client certificate that shows whether servers trust a CA of a role. No rule gives its account a right,
    /// except the front proxy's: that of acting for others. etcd gives every client all rights.
    #[must_use]
    pub fn canary_spec(&self, role: CaRole) -> CertificateSpec {
        let profile = match role {
            CaRole::Cluster => Profile::Verifier,
            CaRole::Etcd => Profile::EtcdHealthcheckClient,
            CaRole::FrontProxy => Profile::FrontProxyClient,
        };
        // API servers trust the headers only of a client with this name.
        let user = if role == CaRole::FrontProxy { FRONT_PROXY_CLIENT } else { CANARY };
        CertificateSpec {
            profile,
            host: None,
            subject: Account { user: user.to_owned(), group: None },
            names: Vec::new(),
            lifetime: self.validity.master,
        }
    }

    /// Returns an administrator's certificate, which has the rights that RBAC grants to [`ADMINS`].
    #[must_use]
    pub fn admin_spec(&self, name: &HostName, lifetime: Lifetime) -> CertificateSpec {
        person(Profile::Admin, name, ADMINS, lifetime)
    }

    /// Returns a person's or a program's certificate for the enrolment CA: its group is `clusterctl:approvers`, `clusterctl:signers` or `clusterctl:announcers`.
    #[must_use]
    pub fn enrolment_spec(&self, name: &HostName, group: &str, lifetime: Lifetime) -> CertificateSpec {
        person(Profile::Admin, name, group, lifetime)
    }

    /// Returns a certificate in [`SYSTEM_MASTERS`], which no policy can restrict or revoke.
    #[must_use]
    pub fn break_glass_spec(&self, name: &HostName, lifetime: Lifetime) -> CertificateSpec {
        person(Profile::BreakGlass, name, SYSTEM_MASTERS, lifetime)
    }

    fn apiserver_names(&self, master: &Host) -> Vec<Address> {
        let service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(dns);
        let in_domain = dns(&service_name(self.cluster_domain.as_str()));
        let own = [self.endpoint.host.clone(), master.name.to_address()];
        each_once(
            service
                .into_iter()
                .flatten()
                .chain(in_domain)
                .chain(own)
                .chain(master.addresses.iter().cloned())
                .chain(self.service_cidrs.iter().map(|cidr| Address::Ip(cidr.first_address())))
                .chain(loopback()),
        )
    }
}

fn person(profile: Profile, name: &HostName, group: &str, lifetime: Lifetime) -> CertificateSpec {
    let subject = Account { user: name.to_string(), group: Some(group.to_owned()) };
    CertificateSpec { profile, host: None, subject, names: Vec::new(), lifetime }
}

/// Returns the names and addresses at which peers and its own host connect to an etcd member.
fn etcd_names(master: &Host) -> Vec<Address> {
    each_once([master.name.to_address()].into_iter().chain(master.addresses.iter().cloned()).chain(loopback()))
}

fn loopback() -> impl Iterator<Item = Address> {
    let ips = [Address::Ip(Ipv4Addr::LOCALHOST.into()), Address::Ip(Ipv6Addr::LOCALHOST.into())];
    dns("localhost").into_iter().chain(ips)
}

fn dns(text: &str) -> Option<Address> {
    DnsName::parse(text).ok().map(Address::Dns)
}

fn each_once(addresses: impl Iterator<Item = Address>) -> Vec<Address> {
    let mut names = Vec::new();
    for address in addresses {
        if !names.contains(&address) {
            names.push(address);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::spec::{RawCluster, RawHost};

    #[test]
    fn a_masters_names_are_the_tables_each_once() {
        let host = |name: &str, address: &str| RawHost {
            name: Some(name.into()),
            addresses: vec![address.into(), format!("{name}.example.net")],
            ..RawHost::default()
        };
        let raw = RawCluster {
            name: Some("prod".into()),
            endpoint: Some("https://master-1.example.net:6443".into()),
            service_cidrs: Some(vec!["10.96.0.0/16".into(), "fd00:10:96::/112".into()]),
            masters: vec![host("master-1", "10.20.0.11")],
            nodes: vec![host("on", "10.20.4.1")],
            ..RawCluster::default()
        };
        let cluster = raw.check().expect("a valid cluster file");
        let names: Vec<String> =
            cluster.master_specs(&cluster.masters[0])[0].names.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
                "master-1.example.net",
                "master-1",
                "10.20.0.11",
                "10.96.0.1",
                "fd00:10:96::1",
                "localhost",
                "127.0.0.1",
                "::1",
            ]
        );
        let node = cluster.node_specs(&cluster.nodes[0]);
        assert_eq!(node[0].subject, Account { user: "kubelet:on".into(), group: Some("kubelets".into()) });
        assert_eq!(node[1].subject, Account { user: "system:node:on".into(), group: None });
        assert_eq!(node[1].names.len(), 3);
    }
}
