//! The role of a host in a target.

use serde::{Deserialize, Serialize};

/// The role of a peer, and of the hosts that findings are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The cluster as a whole.
    Cluster,
    /// The API servers' address that nodes use.
    Endpoint,
    /// A control-plane node at its own addresses.
    Master,
    /// A node.
    Node,
}

impl Place {
    /// `cluster`, `endpoint`, `master` or `node`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Endpoint => "endpoint",
            Self::Master => "master",
            Self::Node => "node",
        }
    }
}
