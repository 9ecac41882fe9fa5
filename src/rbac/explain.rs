//! The rights as text: what each account may do, what it may not do, and known remaining risks.
//!
//! The text is made from the same table that RBAC is rendered from.

use std::fmt::Write as _;

use super::rights::{EVERY_NODE, EVERY_NODES_LEASE, GRANTS, NODE_LEASES, OWN_LEASE, OWN_NODE, Rule};
use crate::cluster::account::AccountScheme;
use crate::cluster::spec::Cluster;

/// Columns of a line.
const WIDTH: usize = 110;
/// Columns before the text.
const INDENT: usize = 10;

/// Returns the rights of all accounts of a cluster.
#[must_use]
pub fn accounts(cluster: &Cluster) -> String {
    let mut text = format!(
        "cluster {}: {} of accounts {}\n",
        cluster.name,
        match cluster.nodes.len() {
            1 => "1 node".to_owned(),
            count => format!("{count} nodes"),
        },
        cluster.accounts,
    );
    match cluster.accounts {
        AccountScheme::Kubelet => of_kubelets(&mut text),
        AccountScheme::SystemNode => of_system_nodes(&mut text),
    }
    for grant in &GRANTS {
        account(&mut text, &format!("{} {}", grant.kind.to_lowercase(), grant.subject));
        lines(&mut text, "may", [format!("what {} may", grant.role), grant.why.to_owned()]);
    }
    account(&mut text, "users system:kube-controller-manager, system:kube-scheduler");
    lines(&mut text, "may", ["what the ClusterRoles of the same names may: Kubernetes itself binds them"]);
    account(&mut text, "user clusterctl:verifier, group clusterctl:verifiers");
    lines(
        &mut text,
        "may",
        [
            "nodes: list",
            "nodes/healthz, nodes/configz: get",
            "/flagz: get",
            "/openid/v1/jwks: get",
            "leases: get list (in kube-node-lease)",
            "subjectaccessreviews: create, which queries the rights of others and changes nothing",
        ],
    );
    lines(&mut text, "may not", ["nodes/proxy, which would run commands in every pod"]);
    account(&mut text, "group system:masters, which issue-admin --break-glass makes");
    lines(
        &mut text,
        "may",
        ["everything: it bypasses every authorizer, so that neither rules nor revocation apply to it"],
    );
    account(&mut text, "clients with a revoked certificate");
    lines(&mut text, "may not", ["anything, except members of system:masters"]);
    text
}

fn of_kubelets(text: &mut String) {
    account(text, "users kubelet:HOST, group kubelets");
    lines(text, "own", OWN_NODE.iter().map(named).chain(OWN_LEASE.iter().map(leased)));
    lines(text, "may", EVERY_NODE.iter().map(named).chain(EVERY_NODES_LEASE.iter().map(leased)));
    lines(
        text,
        "may not",
        [
            "write another node's Node, status, Lease or CSINode",
            "write pods, or their status, that run on other nodes; create pods other than mirror pods",
            "change its taints, ownerReferences, or labels of kubernetes.io and k8s.io other than a kubelet's own",
            "request tokens that are bound to no pod",
            "list or watch pods of other nodes",
            "list or watch secrets, configmaps and volumes other than by metadata.name",
        ],
    );
    lines(
        text,
        "possible",
        [
            "it can get a secret, a configmap, a volume or a pod of any node whose name and namespace it knows",
            "it can request a token for the service account of a pod that runs on another node",
            "accounts: system-node prevents these two · it can write events about anything",
        ],
    );
}

fn of_system_nodes(text: &mut String) {
    account(text, "users system:node:HOST, group system:nodes");
    lines(text, "may", ["what the Node authorizer permits: its own node, its own pods, and what those use"]);
    lines(text, "may not", ["write as another node: NodeRestriction, an admission plugin that has to be enabled"]);
    lines(text, "possible", ["it has the rights of every pod that runs on it"]);
    account(text, "users kubelet:HOST, of certificates issued before accounts: system-node");
    lines(
        text,
        "may not",
        ["more than with accounts: kubelet; nothing, once what policy names is deleted, or they are revoked"],
    );
}

fn account(text: &mut String, name: &str) {
    let _ = writeln!(text, "\n{name}");
}

fn named(rule: &Rule) -> String {
    format!("{}: {}", rule.resources.join(", "), rule.verbs.join(" "))
}

fn leased(rule: &Rule) -> String {
    format!("{} (in {NODE_LEASES})", named(rule))
}

/// Writes items after a label, as many on a line as fit.
fn lines(text: &mut String, label: &str, items: impl IntoIterator<Item = impl Into<String>>) {
    let mut line = format!("  {label:<width$}", width = INDENT - 2);
    let mut first = true;
    for item in items {
        let item = item.into();
        if !first && line.chars().count() + item.chars().count() + 3 > WIDTH {
            let _ = writeln!(text, "{line}");
            line = " ".repeat(INDENT);
            first = true;
        }
        if !first {
            line.push_str(" · ");
        }
        line.push_str(&item);
        first = false;
    }
    let _ = writeln!(text, "{line}");
}
