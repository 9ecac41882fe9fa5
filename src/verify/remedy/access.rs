//! Remedies of client authentication, authorization and admission.

use serde::{Deserialize, Serialize};

use super::server::{Program, Server};

/// Remedies of client authentication.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthenticationRemedy {
    /// Refuse unauthenticated clients.
    RefuseUnauthenticated {
        /// The program that accepts them.
        program: Program,
    },
    /// Trust only client certificates of this cluster's CA.
    TrustOneClientCa {
        /// The program that trusts others.
        program: Program,
    },
    /// Trust client certificates of this cluster's CA.
    TrustClusterCa {
        /// The program that trusts another CA.
        program: Program,
    },
    /// Set the client CA, or renew the client certificate.
    SetClientCa {
        /// The program that does not know the client.
        program: Program,
    },
    /// Let the client certificate reach the API server.
    PassClientCertificate,
    /// Use a separate CA for the front proxy.
    SeparateFrontProxyCa,
    /// Find the component that authenticates the node as another account.
    FindOtherAuthenticator,
    /// Find the component that adds a second certificate.
    FindSecondCredential,
    /// Find the component that terminates TLS between node and API server.
    FindTlsTermination,
    /// Run an API server that reports the certificate that it saw.
    UpgradeForCredentialId,
    /// Run an API server that has SelfSubjectReview.
    UpgradeForSelfReview,
    /// Close the kubelet's read-only port.
    DisableReadOnlyPort,
    /// Restore the kubelet's settings.
    KubeletSettings,
    /// Restore the API server's flags.
    ApiServerFlags,
}

/// Remedies of authorization and admission.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthorizationRemedy {
    /// Forbid nodes to use the APIs of other nodes' kubelets.
    RefuseOtherNodes,
    /// Permit control-plane nodes to use kubelets.
    AllowMasters,
    /// Let the kubelet ask an API server for authorization.
    ReachAuthorizer,
    /// Permit an account to ask for its own identity.
    AllowSelfReview,
    /// Grant a node's account the rights that it lacks.
    GrantNodes,
    /// Restrict a node's rights to its own objects.
    NarrowNodes,
    /// Restrict the objects that a node may read.
    NarrowReads,
    /// Refuse writes that a node must not make.
    RefuseWrites,
    /// Accept writes that a node may make, so that a refusal of the others proves something.
    AcceptOwnWrites,
    /// Enable the NodeRestriction admission plugin.
    EnableNodeRestriction,
    /// Check that the NodeRestriction admission plugin is enabled.
    CheckNodeRestriction,
    /// Find the authorizer that allows and denies the same request.
    FindContradictoryAuthorizer,
    /// Repair an authorizer that fails.
    RepairAuthorizer,
    /// Find the authorizer that denies everything.
    FindDenyingAuthorizer,
    /// Make an API server deny revoked certificates.
    UpdateDenials {
        /// The API server.
        server: Server,
        /// Whether it denies none of the certificates.
        no_rule: bool,
    },
}
