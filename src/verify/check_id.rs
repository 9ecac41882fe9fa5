//! The catalogue of checks: ids, properties and severities.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::place::Place;
use super::property::Property;

/// The first part of a check's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// `trust.`
    Trust,
    /// `store.`
    Store,
    /// `node.`
    Node,
    /// `master.`
    Master,
    /// `enrolment.`
    Enrolment,
    /// `etcd.`
    Etcd,
}

/// The second part of a check's id, in the catalogue's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// Every certificate of the trust file is a usable root.
    Anchor,
    /// Bundles and kubeconfigs hold this root.
    Match,
    /// A credential is valid and matches the cluster file.
    Credential,
    /// The name resolves.
    Resolve,
    /// A TCP connection opens.
    Connect,
    /// The API server lists the cluster file's nodes.
    Listed,
    /// The node itself has reached an API server.
    Heartbeat,
    /// The server speaks TLS.
    Tls,
    /// TLS 1.2 or better.
    Protocol,
    /// A chain leads to the root.
    Chain,
    /// The server holds the key.
    Possession,
    /// Valid now.
    Dates,
    /// Does not expire soon.
    Expiry,
    /// Contains the dialled addresses.
    Name,
    /// Is a serving certificate.
    Usage,
    /// Is the certificate issued last.
    Identity,
    /// Is not revoked.
    Revoked,
    /// A permitted client is accepted.
    Caller,
    /// The client is authenticated as exactly its account.
    Whoami,
    /// A client without a certificate is refused.
    Anonymous,
    /// A client with a certificate that the root did not sign is refused.
    #[serde(alias = "stranger")]
    Untrusted,
    /// Another node is refused.
    #[serde(alias = "neighbour")]
    OtherNode,
    /// The account may access its own node's objects and no other node's.
    Scope,
    /// The kubelet's configuration is the bundle's.
    Config,
    /// The read-only port is closed.
    Readonly,
    /// The API server's flags verify kubelets.
    Flags,
    /// A node's write to another node's objects is refused.
    Admission,
    /// The API server reaches etcd.
    Backend,
    /// The API server denies revoked certificates.
    Denials,
    /// A client certificate issued by the new CA is accepted, while a CA is rotated.
    NewRoot,
    /// A client certificate issued by the old CA is accepted until its root is dropped, and refused then.
    OldRoot,
    /// The certificate is issued by the new CA.
    ServedRoot,
    /// The host presents the certificate that was issued last, so its last bundle is installed.
    Installed,
    /// The member answers, and has a quorum.
    Health,
    /// The API server accepts the tokens of exactly the keys of the phase, and signs with the right one.
    TokenKeys,
}

impl Aspect {
    /// Returns the second half of a check's id, such as `other-node`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anchor => "anchor",
            Self::Match => "match",
            Self::Credential => "credential",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Listed => "listed",
            Self::Heartbeat => "heartbeat",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Chain => "chain",
            Self::Possession => "possession",
            Self::Dates => "dates",
            Self::Expiry => "expiry",
            Self::Name => "name",
            Self::Usage => "usage",
            Self::Identity => "identity",
            Self::Revoked => "revoked",
            Self::Caller => "caller",
            Self::Whoami => "whoami",
            Self::Anonymous => "anonymous",
            Self::Untrusted => "untrusted",
            Self::OtherNode => "other-node",
            Self::Scope => "scope",
            Self::Config => "config",
            Self::Readonly => "readonly",
            Self::Flags => "flags",
            Self::Admission => "admission",
            Self::Backend => "backend",
            Self::Denials => "denials",
            Self::NewRoot => "new-root",
            Self::OldRoot => "old-root",
            Self::ServedRoot => "served-root",
            Self::Installed => "installed",
            Self::Health => "health",
            Self::TokenKeys => "token-keys",
        }
    }
}

/// The stable id of a check, such as `node.chain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckId(pub Scope, pub Aspect);

impl CheckId {
    /// `trust.anchor`
    pub const TRUST_ANCHOR: Self = Self(Scope::Trust, Aspect::Anchor);
    /// `trust.match`
    pub const TRUST_MATCH: Self = Self(Scope::Trust, Aspect::Match);
    /// `store.credential`
    pub const STORE_CREDENTIAL: Self = Self(Scope::Store, Aspect::Credential);

    /// Returns the id of `aspect` at `place`.
    #[must_use]
    pub fn at(place: Place, aspect: Aspect) -> Self {
        match place {
            Place::Cluster => Self(Scope::Trust, aspect),
            Place::Endpoint | Place::Master => Self(Scope::Master, aspect),
            Place::Node => Self(Scope::Node, aspect),
        }
    }

    /// Returns the properties that this concerns.
    #[must_use]
    pub fn properties(self) -> &'static [Property] {
        match (self.0, self.1) {
            (Scope::Trust, _) => &[Property::P1ii, Property::P2ii],
            (Scope::Store, _) => &Property::ALL,
            // The enrolment endpoint and etcd are not part of the connections between masters and nodes.
            (Scope::Enrolment | Scope::Etcd, _) => &[],
            (_, Aspect::Heartbeat) => &[Property::P2i, Property::P2iii],
            (_, Aspect::Admission | Aspect::Denials) => &[Property::P2iii],
            (_, Aspect::TokenKeys) => &[],
            (_, Aspect::Backend) => &[Property::P2i],
            (scope, Aspect::Resolve | Aspect::Connect | Aspect::Listed) => match scope {
                Scope::Node => &[Property::P1i],
                _ => &[Property::P2i],
            },
            (
                scope,
                Aspect::Caller
                | Aspect::Whoami
                | Aspect::Anonymous
                | Aspect::Untrusted
                | Aspect::OtherNode
                | Aspect::Scope
                | Aspect::Config
                | Aspect::Readonly
                | Aspect::NewRoot
                | Aspect::OldRoot,
            ) => match scope {
                Scope::Node => &[Property::P1iii],
                _ => &[Property::P2iii],
            },
            (_, Aspect::Flags) => &[Property::P1ii, Property::P2iii],
            (Scope::Node, _) => &[Property::P1ii],
            (Scope::Master, _) => &[Property::P2ii],
        }
    }

    /// Returns the severity of a failure.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self.1 {
            Aspect::Listed
            | Aspect::Expiry
            | Aspect::Identity
            | Aspect::Config
            | Aspect::Readonly
            | Aspect::Flags
            | Aspect::Denials => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match self.0 {
            Scope::Trust => "trust",
            Scope::Store => "store",
            Scope::Node => "node",
            Scope::Master => "master",
            Scope::Enrolment => "enrolment",
            Scope::Etcd => "etcd",
        };
        write!(f, "{scope}.{}", self.1.as_str())
    }
}

/// The effect of a failure on the result of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It needs attention.
    Warning,
    /// It fails the run.
    Error,
}

impl Severity {
    /// `warning` or `error`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
