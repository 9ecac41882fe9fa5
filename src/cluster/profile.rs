//! The PKI policy as one table of certificate profiles.
//!
//! Certificates are only issued according to this table, and existing certificates are checked against it. CAs are
//! [`CaRole`]s and end-entity certificates are [`Profile`]s, so no profile can have a CA's usages.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::account::{Account, AccountScheme};
use super::address::Address;
use super::lifetime::Lifetime;
use super::name::{ClusterName, DnsName, HostName};
use super::signer::Signer;
use super::spec::{Cluster, Host, service_name};

/// The role of a CA. etcd and the front proxy accept *any* client of their CA, so each has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaRole {
    /// Signs the certificates of API servers and kubelets.
    Cluster,
    /// Signs etcd's certificates.
    Etcd,
    /// Signs the aggregation layer's client certificates.
    FrontProxy,
}

impl CaRole {
    /// All three, in the order in which they are created.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::Etcd, Self::FrontProxy];

    /// Returns the name in the ledger and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "root",
            Self::Etcd => "etcd root",
            Self::FrontProxy => "front-proxy root",
        }
    }

    /// Returns the name in the cluster file and in the arguments of commands.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Etcd => "etcd",
            Self::FrontProxy => "front-proxy",
        }
    }

    /// Returns the CA's subject, CN=`<cluster> root`, O=`<cluster>`, which differs between clusters.
    #[must_use]
    pub fn subject(self, cluster: &ClusterName) -> Account {
        Account { user: format!("{cluster} {}", self.as_str()), group: Some(cluster.to_string()) }
    }

    /// Returns the subject of the root that replaces others of the role: the second one is CN=`<cluster> root 2`.
    #[must_use]
    pub fn numbered_subject(self, cluster: &ClusterName, number: u32) -> Account {
        let first = self.subject(cluster);
        if number < 2 { first } else { Account { user: format!("{} {number}", first.user), ..first } }
    }

    /// Returns the number of the root of this cluster with this subject; `None` if it is none.
    #[must_use]
    pub fn number_of(self, cluster: &ClusterName, subject: &Account) -> Option<u32> {
        let first = self.subject(cluster);
        if *subject == first {
            return Some(1);
        }
        let rest = subject.user.strip_prefix(&first.user)?.strip_prefix(' ')?;
        let number = rest.parse().ok().filter(|number| *number >= 2)?;
        (self.numbered_subject(cluster, number) == *subject).then_some(number)
    }

    /// Returns the subject of an intermediate that an offline root signed: CN=`<cluster> signing CA`, O=`<cluster>`.
    #[must_use]
    pub fn intermediate_subject(self, cluster: &ClusterName) -> Account {
        let role = match self {
            Self::Cluster => "",
            Self::Etcd => "etcd ",
            Self::FrontProxy => "front-proxy ",
        };
        Account { user: format!("{cluster} {role}signing CA"), group: Some(cluster.to_string()) }
    }
}

/// The purpose of an end-entity certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// The API server's serving certificate.
    Apiserver,
    /// The API server's client certificate for kubelets.
    ApiserverKubeletClient,
    /// The API server's client certificate for etcd.
    ApiserverEtcdClient,
    /// The API server's client certificate for extension API servers, which then trust its headers.
    FrontProxyClient,
    /// etcd's serving certificate for clients.
    EtcdServer,
    /// The certificate that etcd members present to each other, as server and as client.
    EtcdPeer,
    /// The client certificate of etcd health checks.
    EtcdHealthcheckClient,
    /// The controller manager's client certificate.
    ControllerManager,
    /// The scheduler's client certificate.
    Scheduler,
    /// The serving certificate of the enrolment CA, where `enrolment` is set.
    EnrolmentServer,
    /// A kubelet's client certificate.
    KubeletClient,
    /// A kubelet's serving certificate.
    KubeletServer,
    /// The client certificate of the verifier.
    Verifier,
    /// An administrator's client certificate; RBAC grants its rights.
    Admin,
    /// A client certificate that bypasses every authorizer: for emergencies, valid for hours.
    BreakGlass,
}

/// Extended key usage (RFC 5280 § 4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Usage {
    /// id-kp-serverAuth
    Server,
    /// id-kp-clientAuth
    Client,
    /// Both: etcd members connect to each other with their serving certificate, and etcd's gateway to its own server.
    ServerAndClient,
}

impl Usage {
    /// Returns OpenSSL's names, in the order of the extension.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Server => &["serverAuth"],
            Self::Client => &["clientAuth"],
            Self::ServerAndClient => &["serverAuth", "clientAuth"],
        }
    }
}

/// The kind of subject that holds the credentials of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// Each master.
    Master,
    /// Each node.
    Node,
    /// The cluster as a whole.
    Cluster,
    /// A person, in a kubeconfig.
    Person,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The profile.
    pub profile: Profile,
    /// The name of the profile in the ledger, and of its files without extension.
    pub name: &'static str,
    /// The kind of subject.
    pub holder: Holder,
    /// The extended key usage.
    pub usage: Usage,
    /// The CA that signs it.
    pub signed_by: CaRole,
}

/// The profiles of all certificates that can be issued.
///
/// A control plane's rows are kubeadm's (Kubernetes `cmd/kubeadm/app/phases/certs/certlist.go`).
pub const TABLE: [Policy; 15] = [
    row(Profile::Apiserver, "apiserver", Holder::Master, Usage::Server, CaRole::Cluster),
    row(Profile::ApiserverKubeletClient, "apiserver-kubelet-client", Holder::Master, Usage::Client, CaRole::Cluster),
    row(Profile::ApiserverEtcdClient, "apiserver-etcd-client", Holder::Master, Usage::Client, CaRole::Etcd),
    row(Profile::FrontProxyClient, "front-proxy-client", Holder::Master, Usage::Client, CaRole::FrontProxy),
    row(Profile::EtcdServer, "etcd-server", Holder::Master, Usage::ServerAndClient, CaRole::Etcd),
    row(Profile::EtcdPeer, "etcd-peer", Holder::Master, Usage::ServerAndClient, CaRole::Etcd),
    row(Profile::EtcdHealthcheckClient, "etcd-healthcheck-client", Holder::Master, Usage::Client, CaRole::Etcd),
    row(Profile::ControllerManager, "controller-manager", Holder::Master, Usage::Client, CaRole::Cluster),
    row(Profile::Scheduler, "scheduler", Holder::Master, Usage::Client, CaRole::Cluster),
    row(Profile::EnrolmentServer, "enrolment-server", Holder::Master, Usage::Server, CaRole::Cluster),
    row(Profile::KubeletClient, "kubelet-client", Holder::Node, Usage::Client, CaRole::Cluster),
    row(Profile::KubeletServer, "kubelet-server", Holder::Node, Usage::Server, CaRole::Cluster),
    row(Profile::Verifier, "verifier", Holder::Cluster, Usage::Client, CaRole::Cluster),
    row(Profile::Admin, "admin", Holder::Person, Usage::Client, CaRole::Cluster),
    row(Profile::BreakGlass, "break-glass", Holder::Person, Usage::Client, CaRole::Cluster),
];

const fn row(profile: Profile, name: &'static str, holder: Holder, usage: Usage, signed_by: CaRole) -> Policy {
    Policy { profile, name, holder, usage, signed_by }
}

/// The group of administrators, which the rendered policy binds to `cluster-admin`.
pub const ADMINS: &str = "clusterctl:admins";
/// The group of those who announce the cluster at bootstrap endpoints.
pub const ANNOUNCERS: &str = "clusterctl:announcers";
/// The group of those who approve hosts' requests at the enrolment CA.
pub const APPROVERS: &str = "clusterctl:approvers";
/// The group of the signers of the enrolment CA.
pub const SIGNERS: &str = "clusterctl:signers";
/// The group that bypasses every authorizer (Kubernetes `apiserver/pkg/authentication/user`, `SystemPrivilegedGroup`).
pub const SYSTEM_MASTERS: &str = "system:masters";

/// The user name of the clients that show which CAs servers trust.
pub const CANARY: &str = "clusterctl:canary";

impl Profile {
    /// Returns its row in [`TABLE`].
    #[must_use]
    pub fn policy(self) -> &'static Policy {
        // The table is in the order of the enum; a test checks it.
        &TABLE[self as usize]
    }
}

/// A certificate that the cluster file requires.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateSpec {
    /// Its purpose.
    pub profile: Profile,
    /// The host that holds it; `None` for the cluster's and for a person's.
    pub host: Option<HostName>,
    /// CN and O.
    pub subject: Account,
    /// Subject alternative names, each once; empty for clients.
    pub names: Vec<Address>,
    /// Its lifetime, unless its CA expires earlier.
    pub lifetime: Lifetime,
}

impl CertificateSpec {
    /// Returns its row in [`TABLE`].
    #[must_use]
    pub fn policy(&self) -> &'static Policy {
        self.profile.policy()
    }
}

/// The common name of the enrolment CA's serving certificate.
pub const ENROLMENT_SERVER: &str = "clusterctl-enrolment";

/// The common name whose headers extension API servers trust (`--requestheader-allowed-names`).
pub const FRONT_PROXY_CLIENT: &str = "front-proxy-client";

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
        // Kubernetes 1.38 will require `system:node:<host>` in a kubelet's serving certificate. A kubelet that asks for it by
        // itself also wants its group there, and asks again for ever without it.
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

    /// Returns the client certificate that shows whether servers trust a CA of a role. No rule gives its account a right.
    #[must_use]
    pub fn canary_spec(&self, role: CaRole) -> CertificateSpec {
        let profile = match role {
            CaRole::Cluster => Profile::Verifier,
            CaRole::Etcd => Profile::EtcdHealthcheckClient,
            CaRole::FrontProxy => Profile::FrontProxyClient,
        };
        CertificateSpec {
            profile,
            host: None,
            subject: Account { user: CANARY.to_owned(), group: None },
            names: Vec::new(),
            lifetime: self.validity.master,
        }
    }

    /// Returns an administrator's certificate, which has the rights that RBAC grants to [`ADMINS`].
    #[must_use]
    pub fn admin_spec(&self, name: &HostName, lifetime: Lifetime) -> CertificateSpec {
        person(Profile::Admin, name, ADMINS, lifetime)
    }

    /// Returns a person's or a program's certificate for the enrolment CA: its group is [`APPROVERS`] or [`SIGNERS`].
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
    fn the_table_is_in_the_order_of_the_profiles() {
        for (i, row) in TABLE.iter().enumerate() {
            assert_eq!(row.profile as usize, i);
        }
    }

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
