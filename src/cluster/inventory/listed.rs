//! Hosts as a running cluster lists them.

use std::net::IpAddr;

/// The type of a listed address (Kubernetes `core/v1`, `NodeAddressType`), in the order in which a cluster file lists them.
///
/// A host listens on, advertises and reports its first IP address of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressKind {
    /// `InternalIP`, and IP addresses of unknown type.
    Internal,
    /// `Hostname`, `InternalDNS`, and names of unknown type.
    Name,
    /// `ExternalDNS`
    ExternalName,
    /// `ExternalIP`: often an address of a NAT gateway, not of the host itself.
    External,
}

impl AddressKind {
    /// Parses Kubernetes's name of the type; for unknown types the form of `address` decides.
    #[must_use]
    pub fn of(kind: &str, address: &str) -> Self {
        match kind {
            "InternalIP" => Self::Internal,
            "Hostname" | "InternalDNS" => Self::Name,
            "ExternalDNS" => Self::ExternalName,
            "ExternalIP" => Self::External,
            _ if address.parse::<IpAddr>().is_ok() => Self::Internal,
            _ => Self::Name,
        }
    }
}

/// A host as a running cluster lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedHost {
    /// Its name.
    pub name: String,
    /// Its addresses, in the list's order.
    pub addresses: Vec<(AddressKind, String)>,
    /// The kubelet's port, if it is not the default.
    pub kubelet_port: Option<String>,
    /// True for a control-plane node.
    pub is_master: bool,
    /// The provider of a virtual node, which has no host to install on.
    pub provider: Option<Provider>,
}

/// A provider of virtual nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// AWS Fargate: a virtual machine for each pod; Amazon operates its kubelet.
    Fargate,
    /// Virtual Kubelet and products built on it: Azure's and Alibaba's container instances, Liqo, Admiralty.
    VirtualKubelet,
    /// KWOK, which simulates nodes.
    Kwok,
}

impl Provider {
    /// Returns the name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fargate => "AWS Fargate",
            Self::VirtualKubelet => "Virtual Kubelet",
            Self::Kwok => "KWOK",
        }
    }
}
