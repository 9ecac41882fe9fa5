//! The requests that a run makes.

use serde::{Deserialize, Serialize};

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// `GET /pods` of a kubelet.
    Pods,
    /// `GET /api/v1/nodes` of an API server.
    Nodes,
    /// `POST …/selfsubjectreviews` of an API server: the client's identity.
    WhoAmI,
    /// The same, with a header that names another user, as a front proxy sends it.
    WhoAmIByHeader,
    /// `GET /configz` of a kubelet.
    Configz,
    /// `GET /flagz` of an API server.
    Flagz,
    /// `GET /livez?verbose` of an API server.
    Livez,
    /// `GET /readyz?verbose` of an API server.
    Readyz,
    /// A dry-run write that a node may make: a patch of its own Node.
    DryRunNode,
    /// A dry-run write that a node must not make: a taint on its own Node.
    DryRunTaint,
    /// A dry-run write that a node may make: a mirror pod of its own.
    DryRunOwnPod,
    /// A dry-run write that a node must not make: a pod on another node.
    DryRunOtherPod,
    /// `GET /runningpods/` of a kubelet.
    RunningPods,
    /// `GET /stats/summary` of a kubelet.
    StatsSummary,
    /// `GET /metrics` of a kubelet.
    Metrics,
    /// `GET /api/v1/secrets` of an API server.
    Secrets,
    /// `GET /api/v1/pods` of an API server.
    AllPods,
    /// `POST …/subjectaccessreviews` of an API server: whether a certificate is denied.
    DenialReview,
    /// `GET /openid/v1/jwks` of an API server: the public keys of service accounts.
    TokenKeys,
    /// `GET /health` of an etcd member, at its port for clients.
    EtcdHealth,
    /// `GET /version` of an etcd member, at its port for peers.
    EtcdVersion,
}

/// The user that [`Request::WhoAmIByHeader`] names.
pub const HEADER_USER: &str = "clusterctl:named-by-a-header";

/// The reason why no dry-run write was sent, if they are switched off.
pub const DRY_RUN_DECLINED: &str = "--no-dry-run-writes";

impl Request {
    /// Returns the method and path as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pods => "GET /pods",
            Self::Nodes => "GET /api/v1/nodes",
            Self::WhoAmI => "POST /apis/authentication.k8s.io/v1/selfsubjectreviews",
            Self::WhoAmIByHeader => "POST /apis/authentication.k8s.io/v1/selfsubjectreviews with X-Remote-User",
            Self::Configz => "GET /configz",
            Self::Flagz => "GET /flagz",
            Self::Livez => "GET /livez?verbose",
            Self::Readyz => "GET /readyz?verbose",
            Self::DryRunNode | Self::DryRunTaint => "PATCH /api/v1/nodes/NODE?dryRun=All",
            Self::DryRunOwnPod | Self::DryRunOtherPod => "POST /api/v1/namespaces/kube-system/pods?dryRun=All",
            Self::RunningPods => "GET /runningpods/",
            Self::StatsSummary => "GET /stats/summary",
            Self::Metrics => "GET /metrics",
            Self::Secrets => "GET /api/v1/secrets?limit=1",
            Self::AllPods => "GET /api/v1/pods?limit=1",
            Self::DenialReview => "POST /apis/authorization.k8s.io/v1/subjectaccessreviews",
            Self::TokenKeys => "GET /openid/v1/jwks",
            Self::EtcdHealth => "GET /health",
            Self::EtcdVersion => "GET /version",
        }
    }

    /// Returns how many bytes of a response's body are read: only the kind of a list matters, and lists of large
    /// clusters are long.
    #[must_use]
    pub fn body_limit(self) -> usize {
        match self {
            Self::Pods
            | Self::Nodes
            | Self::RunningPods
            | Self::StatsSummary
            | Self::Metrics
            | Self::Secrets
            | Self::AllPods
            | Self::EtcdHealth
            | Self::EtcdVersion => 1024,
            Self::WhoAmI | Self::WhoAmIByHeader => 8 * 1024,
            // A review repeats the request twice.
            Self::Livez | Self::Readyz | Self::DenialReview => 16 * 1024,
            Self::Configz
            | Self::Flagz
            | Self::TokenKeys
            | Self::DryRunNode
            | Self::DryRunTaint
            | Self::DryRunOwnPod
            | Self::DryRunOtherPod => 64 * 1024,
        }
    }

    /// Returns true if this is a dry-run write.
    #[must_use]
    pub fn is_dry_run(self) -> bool {
        matches!(self, Self::DryRunNode | Self::DryRunTaint | Self::DryRunOwnPod | Self::DryRunOtherPod)
    }
}
