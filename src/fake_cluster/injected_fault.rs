//! Faults that can be injected into the simulated cluster, one at a time.

use std::fmt;

use time::{Duration, OffsetDateTime};

use crate::cluster::address::Address;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, Profile};
use crate::cluster::spec::Cluster;
use crate::pki::issuer::{Credential, IssueError, Issuer, create_root};
use crate::pki::untrusted;

/// A fault of the simulated cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InjectedFault {
    /// A node's serving certificate expired yesterday.
    ExpiredNode,
    /// A node's serving certificate is signed by another root with the same name.
    OtherCa,
    /// A node's serving certificate names another host.
    WrongName,
    /// A node's kubelet accepts anonymous requests.
    AnonymousNode,
    /// The API servers accept anonymous requests.
    AnonymousMaster,
    /// The API servers take one node's certificate for another node's account.
    SwappedAccount,
    /// A node's kubelet serves HTTP without TLS.
    Plaintext,
    /// The root is expired. The demo issues certificates with an older clock.
    ExpiredRoot,
    /// A node does not reach the masters: it has not renewed its Lease for an hour.
    SilentNode,
    /// The API servers do not verify kubelets.
    UnverifiedKubelets,
    /// The API servers admit writes that a node must not make.
    NoAdmission,
    /// The API servers' store does not respond, so reads hang.
    EtcdDown,
    /// The API servers accept client certificates of any CA.
    AnyCaMaster,
    /// A node's kubelet accepts client certificates that are self-signed.
    SelfSignedNode,
    /// A node's kubelet accepts only RSA signatures, and any client certificate.
    RsaOnlyNode,
    /// A node's kubelet authenticates only the first request of a connection.
    SecondRequest,
    /// A node's kubelet serves its metrics to anonymous clients.
    OpenMetrics,
    /// The API servers serve secrets to anonymous clients.
    OpenSecrets,
    /// A node's kubelet recognises the masters and denies them all requests.
    ForbiddenMasters,
    /// The API servers both allow and deny a request.
    ContradictoryReviews,
    /// An authorizer of the API servers fails.
    FailingAuthorizer,
    /// The API servers accept a header that names a user, from every client with a certificate of the cluster.
    BelievedHeader,
    /// The API servers have not reloaded their authorization configuration: they deny no revoked certificate.
    NotReloaded,
}

impl InjectedFault {
    /// All faults, in the order of the help.
    pub const ALL: [Self; 23] = [
        Self::ExpiredNode,
        Self::OtherCa,
        Self::WrongName,
        Self::AnonymousNode,
        Self::AnonymousMaster,
        Self::SwappedAccount,
        Self::Plaintext,
        Self::ExpiredRoot,
        Self::SilentNode,
        Self::UnverifiedKubelets,
        Self::NoAdmission,
        Self::EtcdDown,
        Self::AnyCaMaster,
        Self::SelfSignedNode,
        Self::RsaOnlyNode,
        Self::SecondRequest,
        Self::OpenMetrics,
        Self::OpenSecrets,
        Self::ForbiddenMasters,
        Self::ContradictoryReviews,
        Self::FailingAuthorizer,
        Self::BelievedHeader,
        Self::NotReloaded,
    ];

    /// Returns the name for `--fault`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExpiredNode => "expired-node",
            Self::OtherCa => "other-ca",
            Self::WrongName => "wrong-name",
            Self::AnonymousNode => "anonymous-node",
            Self::AnonymousMaster => "anonymous-master",
            Self::SwappedAccount => "swapped-account",
            Self::Plaintext => "plaintext",
            Self::ExpiredRoot => "expired-root",
            Self::SilentNode => "silent-node",
            Self::UnverifiedKubelets => "unverified-kubelets",
            Self::NoAdmission => "no-admission",
            Self::EtcdDown => "etcd-down",
            Self::AnyCaMaster => "any-ca-master",
            Self::SelfSignedNode => "self-signed-node",
            Self::RsaOnlyNode => "rsa-only-node",
            Self::SecondRequest => "second-request",
            Self::OpenMetrics => "open-metrics",
            Self::OpenSecrets => "open-secrets",
            Self::ForbiddenMasters => "forbidden-masters",
            Self::ContradictoryReviews => "contradictory-reviews",
            Self::FailingAuthorizer => "failing-authorizer",
            Self::BelievedHeader => "believed-header",
            Self::NotReloaded => "not-reloaded",
        }
    }

    /// Returns the fault with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.as_str() == text)
    }

    /// Returns a description of the fault.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::ExpiredNode => "a node's serving certificate expired yesterday",
            Self::OtherCa => "a node's serving certificate is signed by another CA with the same name",
            Self::WrongName => "a node's serving certificate names another host",
            Self::AnonymousNode => "a node's kubelet accepts anonymous requests",
            Self::AnonymousMaster => "the API servers accept anonymous requests",
            Self::SwappedAccount => "the API servers take one node's certificate for another node's account",
            Self::Plaintext => "a node's kubelet serves HTTP without TLS",
            Self::ExpiredRoot => "the cluster's root is expired",
            Self::SilentNode => "a node has not reached a master for an hour",
            Self::UnverifiedKubelets => "the API servers run without --kubelet-certificate-authority",
            Self::NoAdmission => "the API servers admit what a node must not write",
            Self::EtcdDown => "etcd does not answer the API servers",
            Self::AnyCaMaster => "the API servers accept client certificates of any CA",
            Self::SelfSignedNode => "a node's kubelet accepts client certificates that are self-signed",
            Self::RsaOnlyNode => "a node's kubelet accepts only RSA signatures, and any client certificate",
            Self::SecondRequest => "a node's kubelet authenticates only the first request of a connection",
            Self::OpenMetrics => "a node's kubelet serves its metrics to anonymous clients",
            Self::OpenSecrets => "the API servers serve secrets to anonymous clients",
            Self::ForbiddenMasters => "a node's kubelet recognises the masters and denies them all requests",
            Self::ContradictoryReviews => "the API servers both allow and deny a request",
            Self::FailingAuthorizer => "an authorizer of the API servers fails",
            Self::BelievedHeader => "the API servers accept X-Remote-User headers from nodes",
            Self::NotReloaded => "the API servers have not reloaded their authorization configuration",
        }
    }

    /// Returns true if the fault violates no property by itself, so `verify` only warns of it.
    #[must_use]
    pub fn is_warned_of(self) -> bool {
        self == Self::NotReloaded
    }

    /// Returns the index of the affected node: the second one, or the only one.
    #[must_use]
    pub fn node(nodes: usize) -> usize {
        1.min(nodes.saturating_sub(1))
    }

    /// Returns the serving certificate that replaces the node's, if the fault is one of a certificate.
    ///
    /// # Errors
    /// Returns an error if it cannot be issued.
    pub fn serving_credential(
        self,
        cluster: &Cluster,
        issuer: Option<&Issuer>,
        now: OffsetDateTime,
    ) -> Result<Option<Credential>, IssueError> {
        let Some(node) = cluster.nodes.get(Self::node(cluster.nodes.len())) else { return Ok(None) };
        let specs = cluster.node_specs(node);
        let Some(mut spec) = specs.into_iter().find(|spec| spec.profile == Profile::KubeletServer) else {
            return Ok(None);
        };
        let Some(issuer) = issuer else { return Ok(None) };
        let made = match self {
            Self::ExpiredNode => untrusted::dated(issuer, &spec, now - Duration::days(366), now - Duration::DAY)?,
            Self::OtherCa => {
                let other_root = create_root(CaRole::Cluster, &cluster.name, cluster.keys, cluster.validity.ca, now)?;
                Issuer::open(CaRole::Cluster, other_root.get(), now)?
                    .issue_credential(&spec, cluster.keys, now)?
                    .into_inner()
            }
            Self::WrongName => {
                let other = HostName::parse("another-host").map(|name| name.to_address());
                spec.names = other.into_iter().chain(Address::parse("192.0.2.7")).collect();
                issuer.issue_credential(&spec, cluster.keys, now)?.into_inner()
            }
            _ => return Ok(None),
        };
        Ok(Some(made))
    }
}

impl fmt::Display for InjectedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
