//! The rights of those who decide about requests of hosts, and of the signer.

use super::rights::Rule;
use crate::cluster::account::AccountScheme;

/// The namespace of the Lease that one of several signers holds.
pub const LEASE_NAMESPACE: &str = "kube-system";
/// The name of that Lease.
pub const LEASE: &str = "clusterctl-signer";

/// Returns the `signerName`s that clusterctl acts for.
#[must_use]
pub fn signer_names(accounts: AccountScheme) -> &'static [&'static str] {
    match accounts {
        AccountScheme::Kubelet => &["clusterctl.io/kubelet-client", "clusterctl.io/kubelet-serving"],
        AccountScheme::SystemNode => &["kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"],
    }
}

const GROUP: &[&str] = &["certificates.k8s.io"];
const REQUESTS: &[&str] = &["certificatesigningrequests"];

const READ: Rule = Rule { why: "read requests", groups: GROUP, resources: REQUESTS, verbs: &["get", "list", "watch"] };
const DECIDE: Rule = Rule {
    why: "write decisions",
    groups: GROUP,
    resources: &["certificatesigningrequests/approval"],
    verbs: &["update"],
};

/// The rights of signers to requests; [`signer_names`] narrows what they approve and sign.
pub const OF_SIGNERS: [Rule; 3] = [
    READ,
    DECIDE,
    Rule {
        why: "deliver certificates",
        groups: GROUP,
        resources: &["certificatesigningrequests/status"],
        verbs: &["update"],
    },
];

/// The rights of approvers to requests; [`signer_names`] narrows what they approve.
pub const OF_APPROVERS: [Rule; 2] = [READ, DECIDE];

/// The rights of nodes to requests, for their renewal.
pub const OF_NODES: [Rule; 1] =
    [Rule { why: "ask for its certificates", groups: GROUP, resources: REQUESTS, verbs: &["create", "get"] }];
