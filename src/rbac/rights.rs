//! The rights of accounts as one table, from which both RBAC and its description are made.
//!
//! The lists are the rights that a kubelet of Kubernetes 1.36.2 was observed to need.

use serde::Serialize;

use crate::cluster::profile::ADMINS;

/// The namespace of kubelets' heartbeats (Kubernetes `core/v1`, `NamespaceNodeLease`).
pub const NODE_LEASES: &str = "kube-node-lease";

/// One rule of a role (Kubernetes `rbac.authorization.k8s.io/v1`, `PolicyRule`), and its purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its purpose, as text.
    pub why: &'static str,
    /// API groups; the core's is empty.
    pub groups: &'static [&'static str],
    /// Resources, and their subresources after a slash.
    pub resources: &'static [&'static str],
    /// Verbs.
    pub verbs: &'static [&'static str],
}

const fn rule(
    why: &'static str,
    groups: &'static [&'static str],
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
) -> Rule {
    Rule { why, groups, resources, verbs }
}

const READ: &[&str] = &["get", "list", "watch"];
const CREATE: &[&str] = &["create"];

/// The rights of every node, as a member of the group `kubelets`.
pub const EVERY_NODE: [Rule; 11] = [
    rule("services, for the environment of containers", &[""], &["services"], &["list", "watch"]),
    rule("register itself", &[""], &["nodes"], CREATE),
    rule("pods; mirror pods are created", &[""], &["pods"], &["get", "list", "watch", "create", "delete"]),
    rule("report the status of its pods", &[""], &["pods/status"], &["patch", "update"]),
    rule("write events", &["", "events.k8s.io"], &["events"], &["create", "patch", "update"]),
    rule("volume drivers", &["storage.k8s.io"], &["csidrivers"], READ),
    rule("container runtimes", &["node.k8s.io"], &["runtimeclasses"], READ),
    rule("register its volume drivers", &["storage.k8s.io"], &["csinodes"], CREATE),
    rule(
        "authenticate and authorize clients of its own port",
        &["authentication.k8s.io", "authorization.k8s.io"],
        &["tokenreviews", "subjectaccessreviews"],
        CREATE,
    ),
    rule(
        "what pods use, each by its name",
        &[""],
        &["configmaps", "secrets", "persistentvolumeclaims", "persistentvolumes"],
        READ,
    ),
    rule("tokens for its pods", &[""], &["serviceaccounts/token"], CREATE),
];

/// The rights of every node in [`NODE_LEASES`].
pub const EVERY_NODES_LEASE: [Rule; 1] = [rule("create its heartbeat", &["coordination.k8s.io"], &["leases"], CREATE)];

/// The rights of a node to the objects that have its own name.
pub const OWN_NODE: [Rule; 3] = [
    rule("its own node", &[""], &["nodes"], &["get", "list", "watch", "update", "patch"]),
    rule("its own node's status", &[""], &["nodes/status"], &["patch", "update"]),
    // Without delete a kubelet exits after about 140 seconds.
    rule("its own volume drivers", &["storage.k8s.io"], &["csinodes"], &["get", "update", "patch", "delete"]),
];

/// The rights of a node to the objects that have its own name in [`NODE_LEASES`].
pub const OWN_LEASE: [Rule; 1] =
    [rule("its own lease", &["coordination.k8s.io"], &["leases"], &["get", "update", "patch"])];

/// An account or group that is bound to a role of Kubernetes's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// The binding's name.
    pub name: &'static str,
    /// The ClusterRole.
    pub role: &'static str,
    /// `User` or `Group`.
    pub kind: &'static str,
    /// Its name.
    pub subject: &'static str,
    /// Its purpose, as text.
    pub why: &'static str,
}

/// The bindings of other accounts than nodes.
///
/// The controller manager and the scheduler need no grant, because Kubernetes itself binds
/// `system:kube-controller-manager` and `system:kube-scheduler` (`plugin/pkg/auth/authorizer/rbac/bootstrappolicy`).
pub const GRANTS: [Grant; 2] = [
    Grant {
        name: "clusterctl:kubelet-api",
        role: "system:kubelet-api-admin",
        kind: "User",
        subject: "kube-apiserver-kubelet-client",
        why: "API servers connect to kubelets: logs, exec, port forwarding, metrics",
    },
    Grant {
        name: ADMINS,
        role: "cluster-admin",
        kind: "Group",
        subject: ADMINS,
        why: "what issue-admin issues: everything that RBAC permits, until it is revoked",
    },
];
