//! What can be wrong with a cluster file, as data: the path, what was seen there, and which rule it breaks.

use std::fmt;

use super::address::{AddressError, Cidr, CidrError};
use super::endpoint::EndpointError;
use super::kubelet_trust::Rule;
use super::kubernetes::KubernetesError;
use super::lifetime::{Lifetime, LifetimeError};
use super::name::NameError;
use super::recipient::RecipientError;

/// One fault in a cluster file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where, as in `nodes[3].addresses[1]`.
    pub path: String,
    /// The line in the file, from 1, where it is known.
    pub line: Option<usize>,
    /// The value that stands there.
    pub seen: Option<String>,
    /// What is wrong with it.
    pub reason: Reason,
}

/// Which rule a value breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A key that means nothing here.
    #[error("this key is unknown; known here: {}", allowed.join(", "))]
    UnknownKey {
        /// The keys that are known here.
        allowed: &'static [&'static str],
    },
    /// The same key twice.
    #[error("this key stands here twice")]
    RepeatedKey,
    /// Another shape than the one needed.
    #[error("{wanted} is needed here")]
    Shape {
        /// A text, a list, a mapping.
        wanted: &'static str,
    },
    /// Nothing where something is needed.
    #[error("it is missing; needed: {wanted}")]
    Missing {
        /// What belongs there.
        wanted: &'static str,
    },
    /// None of a fixed set.
    #[error("it must be one of: {}", allowed.join(", "))]
    Choice {
        /// The set.
        allowed: Vec<&'static str>,
    },
    /// Not a name.
    #[error("not a valid name: {0}")]
    Name(NameError),
    /// Not an address.
    #[error("not a valid address: {0}")]
    Address(AddressError),
    /// Not a CIDR.
    #[error("not a valid CIDR: {0}")]
    Cidr(CidrError),
    /// More ranges than an API server takes (`--service-cluster-ip-range`).
    #[error("an API server takes one range, or two of which one is IPv4 and the other IPv6")]
    ServiceRanges,
    /// Not an endpoint.
    #[error("not a valid endpoint: {0}")]
    Endpoint(EndpointError),
    /// Not a lifetime.
    #[error("not a valid lifetime: {0}")]
    Lifetime(LifetimeError),
    /// Not a version or an image repository.
    #[error("{0}")]
    Kubernetes(KubernetesError),
    /// A field that this release's kubelets do not know yet.
    #[error("kubelets of Kubernetes 1.{minor} have no such field, and would go on without it: it came with 1.{since}")]
    FieldOfLaterRelease {
        /// The release that the cluster file names.
        minor: u32,
        /// The first that has it.
        since: u32,
    },
    /// Not a folder's path.
    #[error("a folder's path is needed here")]
    Path,
    /// Not a recipient.
    #[error("bundles cannot be sealed to this: {0}")]
    Recipient(RecipientError),
    /// Not a port.
    #[error("not a valid port: it must be 1 to 65535")]
    Port,
    /// Taken by another of the same role.
    #[error("a duplicate: {first} has it already")]
    Duplicate {
        /// The path of the first.
        first: String,
    },
    /// A node with an API server's name.
    #[error(
        "it is {whose}: with it in its certificate this node could pass for an API server (a host that is both goes by one name in both lists)"
    )]
    ApiServers {
        /// Whose it is.
        whose: &'static str,
    },
    /// A node with another's name among its addresses.
    #[error("it is what {other} is called: with it in its certificate this node could pass for that one")]
    AnothersName {
        /// The path of the other's name.
        other: String,
    },
    /// What is packed for such a host would lie where another's does.
    #[error("a host's name cannot end in {ending}: what is packed for another would lie in its place")]
    LooksLikeABundle {
        /// The ending.
        ending: &'static str,
    },
    /// A host without addresses could never be verified.
    #[error("host {host:?} has no address, so its certificate could never be verified; list at least one")]
    NoAddresses {
        /// The host.
        host: String,
    },
    /// A master without an address of the family that services get theirs from first.
    #[error(
        "none of them is {family}, and services get {family} addresses first, from {range}: its API server would not start. List its {family} address, too, or put a range of the other family first in serviceCIDRs"
    )]
    NotOfTheServicesFamily {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The first service range.
        range: Cidr,
    },
    /// A common name has 64 characters at most.
    #[error(
        "the account {account} has {length} characters; a certificate's common name holds 64. Shorten the host's name"
    )]
    AccountTooLong {
        /// The account.
        account: String,
        /// Its length in characters.
        length: usize,
    },
    /// Several masters and nothing that stands before them.
    #[error(
        "it is missing: with {masters} masters, nodes need one location that reaches all of them (a load balancer), for example https://api.prod.example.net:6443"
    )]
    EndpointNeeded {
        /// How many masters there are.
        masters: usize,
    },
    /// A field that no kubelet knows.
    #[error("a kubelet has no such field, and would go on without it{}", did_you_mean(*near))]
    UnknownField {
        /// The nearest that it knows.
        near: Option<&'static str>,
    },
    /// A value that would undo trust.
    #[error("{0}")]
    UndoesTrust(&'static Rule),
    /// Certificates that would be replaced as soon as they are issued.
    #[error("certificates live for {life}, and would be replaced as soon as they are issued; it must be shorter")]
    RenewedAtOnce {
        /// The shortest lifetime.
        life: Lifetime,
    },
    /// A leaf that would live longer than its root.
    #[error("a certificate cannot outlive its root, whose validity.ca is {root}")]
    OutlivesRoot {
        /// The root's lifetime.
        root: Lifetime,
    },
}

impl ConfigError {
    /// Returns the position of the node, for a fault of a node's name.
    #[must_use]
    pub fn node(&self) -> Option<usize> {
        self.path.strip_prefix("nodes[")?.strip_suffix("].name")?.parse().ok()
    }

    /// Returns the positions of the node and of its address, for a fault of a node's address.
    #[must_use]
    pub fn address_of_a_node(&self) -> Option<(usize, usize)> {
        let (node, address) = self.path.strip_prefix("nodes[")?.strip_suffix(']')?.split_once("].addresses[")?;
        Some((node.parse().ok()?, address.parse().ok()?))
    }
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(line) = self.line {
            write!(f, " (line {line})")?;
        }
        if let Some(seen) = &self.seen {
            // A hostile or broken value is cut and escaped: it goes to a terminal.
            let cut: String = seen.chars().take(80).collect();
            let more = if cut.len() < seen.len() { "…" } else { "" };
            write!(f, ": {cut:?}{more}")?;
        }
        write!(f, ": {}", self.reason)
    }
}
