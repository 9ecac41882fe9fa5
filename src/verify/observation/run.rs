//! Everything that a run observed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::client::Probes;
use super::connection::Dial;
use super::inventory::{LeaseListing, NodeListing};
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem;
use crate::verify::place::Place;

/// Everything that a run observed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observations {
    /// Every certificate that a server sent, or that a permitted client presented, by the SHA-256 of its DER.
    pub certificates: BTreeMap<Fingerprint, Der>,
    /// One for each peer of the target, in its order.
    pub peers: Vec<PeerObservation>,
    /// One for each socket of etcd's members, in the target's order; only while etcd's CA is rotated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub etcd: Vec<PeerObservation>,
    /// The nodes that an API server lists; `None` without a verifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<NodeListing>,
    /// The nodes' Leases; `None` without a verifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leases: Option<LeaseListing>,
    /// The set of requests that were made.
    #[serde(default)]
    pub probes: Probes,
}

/// A certificate's DER, serialized as PEM so that other tools can read it in recordings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Der(pub Vec<u8>);

impl Serialize for Der {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&pem::write_certificate(&self.0))
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut found = pem::certificates(text.as_bytes()).map_err(de::Error::custom)?;
        match (found.pop(), found.is_empty()) {
            (Some(der), true) => Ok(Self(der)),
            _ => Err(de::Error::custom("this has to be one certificate")),
        }
    }
}

/// The observations of one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerObservation {
    /// Its place.
    pub place: Place,
    /// Its name.
    pub host: String,
    /// One for each of its addresses, in the target's order.
    pub locations: Vec<LocationObservation>,
}

/// The observations at one address of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationObservation {
    /// The address in the target.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// The resolution of its name.
    pub resolution: Resolution,
    /// One for each IP address of its name.
    pub dials: Vec<Dial>,
}

/// The resolution of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// It is an IP address.
    Literal,
    /// The name is pinned.
    Pinned(Vec<IpAddr>),
    /// The resolver's answer.
    Resolved(Vec<IpAddr>),
    /// The name does not resolve, for this reason.
    Failed(String),
}
