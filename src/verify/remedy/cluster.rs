//! Remedies for nodes and API servers, and for missing rights of the verifier.

use serde::{Deserialize, Serialize};

/// Remedies for nodes and API servers that do not work.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthRemedy {
    /// Find out why a node is not registered.
    RegisterNode,
    /// Declare the nodes that are registered, or remove them.
    ListNodes,
    /// Make the declared addresses those that API servers dial.
    CorrectAddresses,
    /// Find out why a node does not reach an API server.
    ReachApiServer,
    /// Verify again.
    VerifyAgain,
    /// Give each node a name and a certificate of its own.
    SeparateNodes,
    /// Set a node's clock.
    SetNodeClock,
    /// Read a node's status.
    ReadNodeStatus,
    /// Check etcd.
    CheckEtcd,
    /// Wait, or read the API server's log.
    ReadApiServerLog,
}

/// Remedies for missing rights of the verifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifierRemedy {
    /// Grant the verifier's account a right.
    GrantVerifier {
        /// The right.
        right: VerifierRight,
    },
    /// Permit the verifier to create SubjectAccessReviews.
    AllowAccessReviews,
    /// Enable `/flagz`.
    EnableFlagz,
    /// Enable `/configz`.
    EnableConfigz,
    /// Enable finer rights than nodes/proxy.
    EnableFineGrainedAuthorization,
    /// Permit every account to read the API server's health.
    BindPublicInfoViewer,
    /// Give a kubelet's client certificate.
    NameKubeletCredentials,
    /// Verify every node.
    VerifyAllNodes,
}

/// A right that the verifier's account needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifierRight {
    /// To read a kubelet's configuration.
    Configz,
    /// To read an API server's flags.
    Flagz,
    /// To read the nodes' Leases.
    Leases,
    /// To read the public keys of service accounts.
    TokenKeys,
}
