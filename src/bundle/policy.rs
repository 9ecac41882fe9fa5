//! Renders the policy folder: RBAC for `kubectl apply`, and the API servers' authorization configuration.
//!
//! One file is rendered at a time, so that a hundred thousand nodes need little memory.

use std::collections::BTreeMap;

use serde::Serialize;

use super::images::Settings;
use super::paths;
use super::render::{ReleaseValues, TemplateError, Templates};
use crate::cluster::account::AccountScheme;
use crate::cluster::profile::{APPROVERS, SIGNERS};
use crate::cluster::spec::{Cluster, Host};
use crate::rbac::denials::Denials;
use crate::rbac::enrolment;
use crate::rbac::rights::{EVERY_NODE, EVERY_NODES_LEASE, GRANTS, Grant, NODE_LEASES, OWN_LEASE, OWN_NODE, Rule};

/// The API servers' authorization configuration, in a folder that `kubectl apply -f` does not read.
pub const AUTHORIZATION: &str = "masters/authorization.yaml";
/// The folder of files for masters, not for `kubectl`.
pub const MASTERS: &str = "masters";
/// The template of [`AUTHORIZATION`], at the path that it has on masters.
const AUTHORIZATION_TEMPLATE: &str = "master/etc/kubernetes/clusterctl/authorization.yaml";
/// The group of nodes' accounts, and the name of its roles and bindings.
const NODES_GROUP: &str = "kubelets";
/// The objects that do not depend on the number of nodes. Files are applied in the order of their names.
pub const ACCOUNTS: &str = "10-accounts.yaml";
/// The rights of signers and approvers, where the cluster file has `enrolment`.
pub const ENROLMENT: &str = "15-enrolment.yaml";
/// The objects of accounts that were removed from the cluster file, for `kubectl delete -f`.
pub const DELETIONS: &str = "delete/rbac.yaml";
/// The folder of [`DELETIONS`], which `kubectl apply -f policy/` does not read.
pub const DELETE: &str = "delete";
/// The number of nodes in one file of about 1.5 MB.
const IN_A_FILE: usize = 1_000;

/// A file of the policy folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its path in the folder.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Returns true if clusterctl writes files of this path into the policy folder, for a cluster of any size.
#[must_use]
pub fn is_ours(path: &str) -> bool {
    let number = path.strip_prefix("20-nodes-").and_then(|rest| rest.strip_suffix(".yaml"));
    let numbered = number.is_some_and(|digits| digits.len() >= 4 && digits.bytes().all(|b| b.is_ascii_digit()));
    numbered || [ACCOUNTS, ENROLMENT, AUTHORIZATION, DELETIONS].contains(&path)
}

/// Returns a file with the RBAC objects of these accounts, for deletion; `None` if there are none.
///
/// With `group`, it also has the objects of the nodes' group. Bindings are deleted first.
#[must_use]
pub fn deletions(accounts: &[String], group: bool) -> Option<PolicyFile> {
    let names = group.then_some(NODES_GROUP).into_iter().chain(accounts.iter().map(String::as_str));
    let mut text = String::from(
        "# RBAC objects of accounts that were removed from the cluster file. Written by clusterctl:\n\
         #   kubectl delete --ignore-not-found -f policy/delete/\n",
    );
    let mut any = false;
    for name in names {
        any = true;
        for (kind, namespace) in [
            ("ClusterRoleBinding", None),
            ("RoleBinding", Some(NODE_LEASES)),
            ("ClusterRole", None),
            ("Role", Some(NODE_LEASES)),
        ] {
            let namespace = namespace.map(|namespace| format!("  namespace: {namespace}\n")).unwrap_or_default();
            text.push_str(&format!(
                "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: {name:?}\n{namespace}"
            ));
        }
    }
    any.then(|| PolicyFile { path: DELETIONS.to_owned(), text })
}

impl Templates {
    /// Returns the files of the policy folder in the order of their names, each rendered on demand.
    ///
    /// # Errors
    /// An item is an error if a template, which may be customized, fails.
    pub fn policy<'a>(
        &'a self,
        cluster: &'a Cluster,
        denials: &'a Denials,
    ) -> impl Iterator<Item = Result<PolicyFile, TemplateError>> + 'a {
        let nodes: &[Host] = match cluster.accounts {
            AccountScheme::Kubelet => &cluster.nodes,
            // The Node authorizer recognizes these accounts by their names, so they need no RBAC objects.
            AccountScheme::SystemNode => &[],
        };
        let file = |path: String, text| PolicyFile { path, text };
        let accounts =
            move || Ok(file(ACCOUNTS.to_owned(), self.accounts(cluster, denials)? + &self.verifier_documents()?));
        let of_nodes = nodes.chunks(IN_A_FILE).enumerate().map(move |(i, nodes)| {
            Ok(file(format!("20-nodes-{:04}.yaml", i + 1), self.nodes(cluster.accounts, nodes)?))
        });
        let authorization = move || Ok(file(AUTHORIZATION.to_owned(), self.authorization(cluster, denials)?));
        let enrolment = cluster.enrolment.as_ref().map(|_| self.enrolment(cluster.accounts));
        let enrolment = enrolment.map(move |text| Ok(file(ENROLMENT.to_owned(), text?)));
        std::iter::once_with(accounts).chain(enrolment).chain(of_nodes).chain(std::iter::once_with(authorization))
    }

    /// Renders the API servers' authorization configuration: the same file as in every master's bundle.
    ///
    /// # Errors
    /// Returns an error if the template, which may be customized, fails.
    pub fn authorization(&self, cluster: &Cluster, denials: &Denials) -> Result<String, TemplateError> {
        let values = AuthorizationValues {
            cluster: NameValue { name: cluster.name.as_str() },
            accounts: cluster.accounts.as_str(),
            denials: denials.rules(),
            beside: denials.named_beside(),
            ledger: denials.mark().map(ToString::to_string),
            kubernetes: release(cluster),
            files: paths::by_name(true, false),
        };
        self.fill(AUTHORIZATION_TEMPLATE, &values)
    }

    fn accounts(&self, cluster: &Cluster, denials: &Denials) -> Result<String, TemplateError> {
        let values = AccountsValues {
            cluster: NameValue { name: cluster.name.as_str() },
            accounts: cluster.accounts.as_str(),
            grants: &GRANTS,
            rules: GroupRules { every_node: &EVERY_NODE, every_nodes_lease: &EVERY_NODES_LEASE },
            lease_namespace: NODE_LEASES,
            ledger: denials.mark().map(ToString::to_string),
            kubernetes: release(cluster),
        };
        self.fill("policy/accounts.yaml", &values)
    }

    fn enrolment(&self, accounts: AccountScheme) -> Result<String, TemplateError> {
        let values = EnrolmentValues {
            signers: SIGNERS,
            approvers: APPROVERS,
            signer_names: enrolment::signer_names(accounts),
            lease_namespace: enrolment::LEASE_NAMESPACE,
            lease: enrolment::LEASE,
            // Kubernetes itself lets the group `system:nodes` ask (`plugin/pkg/auth/authorizer/node`).
            nodes_group: (accounts == AccountScheme::Kubelet).then_some(NODES_GROUP),
            rules: EnrolmentRules {
                of_signers: &enrolment::OF_SIGNERS,
                of_approvers: &enrolment::OF_APPROVERS,
                of_nodes: &enrolment::OF_NODES,
            },
        };
        self.fill("policy/enrolment.yaml", &values)
    }

    /// Renders the verifier's RBAC, which is also in the verifier bundle.
    fn verifier_documents(&self) -> Result<String, TemplateError> {
        Ok(format!("---\n{}", self.verifier_policy()?))
    }

    fn nodes(&self, scheme: AccountScheme, nodes: &[Host]) -> Result<String, TemplateError> {
        let node = |host: &Host| NodeValue { account: scheme.account(&host.name).user, host: host.name.to_string() };
        let values = NodesValues {
            nodes: nodes.iter().map(node).collect(),
            rules: OwnRules { own_node: &OWN_NODE, own_lease: &OWN_LEASE },
            lease_namespace: NODE_LEASES,
        };
        self.fill("policy/nodes.yaml", &values)
    }
}

/// Returns the API versions of the cluster's release.
fn release(cluster: &Cluster) -> ReleaseValues {
    ReleaseValues::of(Settings::of(&cluster.kubernetes).features())
}

#[derive(Serialize)]
struct NameValue<'a> {
    name: &'a str,
}

/// The values for the template of the authorization configuration.
#[derive(Serialize)]
struct AuthorizationValues<'a> {
    cluster: NameValue<'a>,
    accounts: &'static str,
    denials: Vec<Vec<String>>,
    beside: Vec<String>,
    ledger: Option<String>,
    kubernetes: ReleaseValues,
    files: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct AccountsValues<'a> {
    cluster: NameValue<'a>,
    accounts: &'static str,
    grants: &'static [Grant],
    rules: GroupRules,
    lease_namespace: &'static str,
    ledger: Option<String>,
    kubernetes: ReleaseValues,
}

#[derive(Serialize)]
struct GroupRules {
    every_node: &'static [Rule],
    every_nodes_lease: &'static [Rule],
}

#[derive(Serialize)]
struct EnrolmentValues {
    signers: &'static str,
    approvers: &'static str,
    signer_names: &'static [&'static str],
    lease_namespace: &'static str,
    lease: &'static str,
    nodes_group: Option<&'static str>,
    rules: EnrolmentRules,
}

#[derive(Serialize)]
struct EnrolmentRules {
    of_signers: &'static [Rule],
    of_approvers: &'static [Rule],
    of_nodes: &'static [Rule],
}

#[derive(Serialize)]
struct NodesValues {
    nodes: Vec<NodeValue>,
    rules: OwnRules,
    lease_namespace: &'static str,
}

#[derive(Serialize)]
struct NodeValue {
    host: String,
    account: String,
}

#[derive(Serialize)]
struct OwnRules {
    own_node: &'static [Rule],
    own_lease: &'static [Rule],
}
