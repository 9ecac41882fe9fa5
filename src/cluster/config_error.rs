//! Errors of a cluster file as data: the path, the value, and the rule that it violates.

use std::fmt;

use super::address::{AddressError, Cidr, CidrError};
use super::endpoint::EndpointError;
use super::enrolment::EnrolmentError;
use super::kubelet_trust::Rule;
use super::kubernetes::KubernetesError;
use super::lifetime::{Lifetime, LifetimeError};
use super::name::NameError;
use super::recipient::RecipientError;
use super::signer::SignerError;

/// An error in a cluster file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The path of the value: `nodes[3].addresses[1]`.
    pub path: String,
    /// The line in the file, from 1, if known.
    pub line: Option<usize>,
    /// The value.
    pub seen: Option<String>,
    /// The rule that it violates.
    pub reason: Reason,
}

/// A rule that a value violates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// An unknown key.
    #[error("unknown key; known here: {}", allowed.join(", "))]
    UnknownKey {
        /// The known keys.
        allowed: &'static [&'static str],
    },
    /// A duplicate key.
    #[error("duplicate key")]
    RepeatedKey,
    /// A value of the wrong type.
    #[error("{wanted} is needed here")]
    Shape {
        /// The type: a string, a list, a mapping.
        wanted: &'static str,
    },
    /// A required value is absent.
    #[error("it is missing; needed: {wanted}")]
    Missing {
        /// A description of the required value.
        wanted: &'static str,
    },
    /// Not one of a fixed set.
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
    /// There are more ranges than an API server accepts (`--service-cluster-ip-range`).
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
    /// A field that the kubelets of this release do not support yet.
    #[error("kubelets of Kubernetes 1.{minor} have no such field, and ignore it; 1.{since} introduced it")]
    FieldOfLaterRelease {
        /// The release that the cluster file names.
        minor: u32,
        /// The release that introduced it.
        since: u32,
    },
    /// Not the path of a directory.
    #[error("the path of a directory is needed here")]
    Path,
    /// Not a holder of a CA's key.
    #[error("{0}")]
    Signer(SignerError),
    /// Not a setting of enrolment.
    #[error("{0}")]
    Enrolment(EnrolmentError),
    /// Not a recipient.
    #[error("bundles cannot be encrypted to this: {0}")]
    Recipient(RecipientError),
    /// Not a port.
    #[error("not a valid port: it must be 1 to 65535")]
    Port,
    /// Another host of the same role has the same value.
    #[error("a duplicate of {first}")]
    Duplicate {
        /// The path of the first.
        first: String,
    },
    /// A node with a name or address of an API server.
    #[error(
        "it is {owner}: with it in its certificate this node could impersonate an API server (a host with both roles has one name in both lists)"
    )]
    ApiServerName {
        /// A description of the owner.
        owner: &'static str,
    },
    /// A node with another node's name among its addresses.
    #[error("it is the name in {other}: with it in its certificate this node could impersonate that one")]
    OtherNodeName {
        /// The path of the other node's name.
        other: String,
    },
    /// A name that ends like a bundle file's: its directory would have the path of another host's file.
    #[error("a host's name cannot end in {suffix}, which bundle files end in")]
    BundleSuffix {
        /// The suffix.
        suffix: &'static str,
    },
    /// A host without addresses.
    #[error("host {host:?} has no address, so its certificate could never be verified; list at least one")]
    NoAddresses {
        /// The host.
        host: String,
    },
    /// A master without an IP address of the first service range's family.
    #[error(
        "no address is {family}, the family of the first service range {range}: its API server would not start. Add its {family} address, or put a range of the other family first in serviceCIDRs"
    )]
    ServiceFamilyMissing {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The first service range.
        range: Cidr,
    },
    /// A user name that is too long for a common name.
    #[error(
        "the account {account} has {length} characters; a certificate's common name holds 64. Shorten the host's name"
    )]
    AccountTooLong {
        /// The user name.
        account: String,
        /// Its length in characters.
        length: usize,
    },
    /// Several masters, and no endpoint that leads to all of them.
    #[error(
        "it is missing: with {masters} masters, nodes need one URL that leads to all of them (a load balancer), for example https://api.prod.example.net:6443"
    )]
    EndpointNeeded {
        /// The number of masters.
        masters: usize,
    },
    /// A field that kubelets do not have.
    #[error("kubelets have no such field and would ignore it{}", did_you_mean(*near))]
    UnknownField {
        /// The most similar field.
        near: Option<&'static str>,
    },
    /// A value that weakens authentication, authorization or TLS.
    #[error("{0}")]
    WeakensTrust(&'static Rule),
    /// A `renewBefore` that is not shorter than the certificates' lifetime.
    #[error("it must be shorter than the certificates' lifetime of {lifetime}, or they would be renewed immediately")]
    RenewedImmediately {
        /// The shortest lifetime.
        lifetime: Lifetime,
    },
    /// A certificate that would outlive its CA.
    #[error("a certificate cannot outlive its CA, whose validity.ca is {ca}")]
    OutlivesCa {
        /// The CA's lifetime.
        ca: Lifetime,
    },
}

impl ConfigError {
    /// Returns the position of the node, for an error of a node's name.
    #[must_use]
    pub fn node(&self) -> Option<usize> {
        self.path.strip_prefix("nodes[")?.strip_suffix("].name")?.parse().ok()
    }

    /// Returns the positions of the node and of its address, for an error of a node's address.
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
            // The value may be hostile: it is cut and escaped for terminals.
            let cut: String = seen.chars().take(80).collect();
            let more = if cut.len() < seen.len() { "…" } else { "" };
            write!(f, ": {cut:?}{more}")?;
        }
        write!(f, ": {}", self.reason)
    }
}
