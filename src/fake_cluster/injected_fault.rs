//! What can be broken on purpose, one thing at a time.

use std::fmt;

use time::{Duration, OffsetDateTime};

use crate::cluster::address::Address;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, Profile};
use crate::cluster::spec::Cluster;
use crate::pki::issuer::{Credential, IssueError, Issuer, create_root};
use crate::pki::untrusted;

/// A fault of the stand-in cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InjectedFault {
    /// A node's serving certificate expired yesterday.
    ExpiredNode,
    /// A node's serving certificate is by another root with the very same name.
    OtherCa,
    /// A node's serving certificate names another host.
    WrongName,
    /// A node's kubelet lets everybody in.
    AnonymousNode,
    /// The API servers let everybody in.
    AnonymousMaster,
    /// The API servers take one node's certificate for another node's account.
    SwappedAccount,
    /// A node's kubelet speaks HTTP without TLS.
    Plaintext,
    /// The root is past its end. Made by issuing with an older clock; the stand-in serves what it is given.
    ExpiredRoot,
    /// A node does not reach the masters: it has not renewed its Lease for an hour.
    SilentNode,
    /// The API servers do not verify kubelets.
    UnverifiedKubelets,
    /// The API servers admit what a node must not write.
    NoAdmission,
    /// The API servers' store does not answer, so that reads hang.
    EtcdDown,
    /// The API servers accept client certificates of any CA.
    AnyCaMaster,
    /// A node's kubelet accepts client certificates that signed themselves.
    SelfSignedNode,
    /// A node's kubelet takes RSA signatures only, and every certificate.
    RsaOnlyNode,
    /// A node's kubelet looks at the first request of a connection only.
    SecondRequest,
    /// A node's kubelet shows its metrics to everybody.
    OpenMetrics,
    /// The API servers show secrets to everybody.
    OpenSecrets,
    /// A node's kubelet recognises the masters and forbids them everything.
    ForbiddenMasters,
    /// The API servers allow and deny at once.
    ContradictoryReviews,
    /// An authorizer of the API servers fails.
    FailingAuthorizer,
    /// The API servers believe a header that names a user, from every client with a certificate of the cluster.
    BelievedHeader,
    /// The API servers have not read what they have to deny: they deny no revoked certificate.
    NotReloaded,
}

impl InjectedFault {
    /// All of them, in the order in which they are offered.
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

    /// As `--fault` writes it.
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

    /// The fault called `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.as_str() == text)
    }

    /// What it breaks, in a sentence.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::ExpiredNode => "a node's serving certificate expired yesterday",
            Self::OtherCa => "a node's serving certificate is by another CA of the very same name",
            Self::WrongName => "a node's serving certificate names another host",
            Self::AnonymousNode => "a node's kubelet lets everybody in",
            Self::AnonymousMaster => "the API servers let everybody in",
            Self::SwappedAccount => "the API servers take one node's certificate for another node's account",
            Self::Plaintext => "a node's kubelet speaks HTTP without TLS",
            Self::ExpiredRoot => "the cluster's root is past its end",
            Self::SilentNode => "a node has not reached a master for an hour",
            Self::UnverifiedKubelets => "the API servers run without --kubelet-certificate-authority",
            Self::NoAdmission => "the API servers admit what a node must not write",
            Self::EtcdDown => "etcd does not answer the API servers",
            Self::AnyCaMaster => "the API servers accept client certificates of any CA",
            Self::SelfSignedNode => "a node's kubelet accepts client certificates that signed themselves",
            Self::RsaOnlyNode => "a node's kubelet takes RSA signatures only, and every certificate",
            Self::SecondRequest => "a node's kubelet looks at the first request of a connection only",
            Self::OpenMetrics => "a node's kubelet shows its metrics to everybody",
            Self::OpenSecrets => "the API servers show secrets to everybody",
            Self::ForbiddenMasters => "a node's kubelet recognises the masters and forbids them everything",
            Self::ContradictoryReviews => "the API servers allow and deny at once",
            Self::FailingAuthorizer => "an authorizer of the API servers fails",
            Self::BelievedHeader => "the API servers take a node for the user that its X-Remote-User header names",
            Self::NotReloaded => "the API servers have not read what they have to deny",
        }
    }

    /// True for what breaks no property by itself, so that `verify` only warns of it.
    #[must_use]
    pub fn is_warned_of(self) -> bool {
        self == Self::NotReloaded
    }

    /// The node that it is shown at: the second one, or the only one.
    #[must_use]
    pub fn node(nodes: usize) -> usize {
        1.min(nodes.saturating_sub(1))
    }

    /// The serving certificate that this fault puts in the place of its node's, if it is a fault of a certificate.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn serving_credential(
        self,
        cluster: &Cluster,
        issuer: Option<&Issuer>,
        now: OffsetDateTime,
    ) -> Result<Option<Credential>, IssueError> {
        let Some(node) = cluster.nodes.get(Self::node(cluster.nodes.len())) else { return Ok(None) };
        let leaves = cluster.node_specs(node);
        let Some(mut leaf) = leaves.into_iter().find(|leaf| leaf.profile == Profile::KubeletServer) else {
            return Ok(None);
        };
        let Some(issuer) = issuer else { return Ok(None) };
        let made = match self {
            Self::ExpiredNode => untrusted::dated(issuer, &leaf, now - Duration::days(366), now - Duration::DAY)?,
            Self::OtherCa => {
                let impostor = create_root(CaRole::Cluster, &cluster.name, cluster.keys, cluster.validity.ca, now)?;
                Issuer::open(CaRole::Cluster, impostor.get(), now)?
                    .issue_credential(&leaf, cluster.keys, now)?
                    .into_inner()
            }
            Self::WrongName => {
                let other = HostName::parse("somebody-else").map(|name| name.to_address());
                leaf.names = other.into_iter().chain(Address::parse("192.0.2.7")).collect();
                issuer.issue_credential(&leaf, cluster.keys, now)?.into_inner()
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
