//! The clients on whose behalf requests are made.

use serde::{Deserialize, Serialize};

use crate::verify::place::Place;

/// The client of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// A control-plane node with its kubelet client certificate.
    Master(String),
    /// A node with its own certificate.
    Node(String),
    /// Another node, on a kubelet's port.
    #[serde(alias = "neighbour")]
    OtherNode(String),
    /// A client without a certificate.
    Anonymous,
    /// The verifier with its own certificate.
    Verifier,
    /// A client with a certificate of the CA that replaces another one.
    NewRoot,
    /// A client with a certificate of the CA that is replaced.
    OldRoot,
    /// A client whose certificate no server of the cluster may accept.
    #[serde(untagged)]
    Untrusted(Untrusted),
}

/// The way an untrusted client's certificate is made.
///
/// Servers may accept one kind and reject another, so several are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Untrusted {
    /// It names the cluster's root as its issuer, but the root did not sign it; it has the permitted client's subject.
    #[serde(alias = "stranger")]
    ForgedCa,
    /// Another CA signed it, which is sent with it; it has the permitted client's subject.
    #[serde(alias = "unknown")]
    UnknownCa,
    /// Another CA signed it, which is not sent; it has the permitted client's subject.
    LoneLeaf,
    /// It is self-signed, and has the permitted client's subject.
    SelfSigned,
    /// Like `UnknownCa`, in the group `system:masters`.
    UnknownCaMasters,
    /// Like `ForgedCa`, and a CA certificate with the root's subject is sent with it.
    ForgedRoot,
    /// Like `LoneLeaf`, in the group `system:masters`.
    LoneLeafMasters,
    /// Like `SelfSigned`, in the group `system:masters`.
    SelfSignedMasters,
}

impl Untrusted {
    /// All of them, in the order in which they are tried.
    const ALL: [Self; 8] = [
        Self::ForgedCa,
        Self::UnknownCa,
        Self::LoneLeaf,
        Self::SelfSigned,
        Self::UnknownCaMasters,
        Self::ForgedRoot,
        Self::LoneLeafMasters,
        Self::SelfSignedMasters,
    ];

    /// Returns the untrusted clients that are tried at a place: fewer at kubelets, because there are many.
    #[must_use]
    pub fn at(place: Place) -> &'static [Self] {
        if place == Place::Node { &Self::ALL[..5] } else { &Self::ALL }
    }

    /// Returns the name in reports, such as `forged-ca`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ForgedCa => "forged-ca",
            Self::UnknownCa => "unknown-ca",
            Self::LoneLeaf => "lone-leaf",
            Self::SelfSigned => "self-signed",
            Self::UnknownCaMasters => "unknown-ca-masters",
            Self::ForgedRoot => "forged-root",
            Self::LoneLeafMasters => "lone-leaf-masters",
            Self::SelfSignedMasters => "self-signed-masters",
        }
    }
}

/// The set of requests that a run makes.
///
/// A request that is not in it cannot be missing from the observations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probes {
    /// The requests of recordings of version 1: two kinds of untrusted clients, one request each.
    #[default]
    First,
    /// The requests of recordings of version 2: every kind of untrusted client, and several requests each.
    Second,
}

impl Probes {
    /// Returns the untrusted clients that a run with these requests tries at a place.
    #[must_use]
    pub fn untrusted(self, place: Place) -> &'static [Untrusted] {
        match self {
            Self::First => &Untrusted::ALL[..2],
            Self::Second => Untrusted::at(place),
        }
    }
}
