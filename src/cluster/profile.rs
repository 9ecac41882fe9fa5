//! The PKI policy as one table of certificate profiles.
//!
//! Certificates are only issued according to this table, and existing certificates are checked against it. CAs are
//! [`CaRole`]s and end-entity certificates are [`Profile`]s, so no profile can have a CA's usages.

use super::account::Account;
use super::address::Address;
use super::lifetime::Lifetime;
use super::name::{ClusterName, HostName};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_profiles() {
        for (i, row) in TABLE.iter().enumerate() {
            assert_eq!(row.profile as usize, i);
        }
    }
}
