//! Responds to dry-run writes of nodes according to the admission policies.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::injected_fault::InjectedFault;
use super::response::{self, HttpResponse};
use super::state::{AuthenticatedClient, ServerState};

/// The UID of every Node.
const NODE_UID: &str = "6d1b3c1e-0000-4000-8000-000000000000";

/// A dry-run write of a node.
pub(super) enum DryRun<'a> {
    Node(&'a str),
    Pod(&'a str),
}

/// Returns the dry-run write of a request; other writes are not simulated.
pub(super) fn of_request<'a>(
    state: &'a ServerState,
    client: &AuthenticatedClient,
    method: &Method,
    path: &str,
    query: Option<&str>,
) -> Option<DryRun<'a>> {
    let own = state.own_host(client).filter(|_| query == Some("dryRun=All"))?.as_str();
    match method.as_str() {
        "PATCH" if path.strip_prefix("/api/v1/nodes/") == Some(own) => Some(DryRun::Node(own)),
        "POST" if path == "/api/v1/namespaces/kube-system/pods" => Some(DryRun::Pod(own)),
        _ => None,
    }
}

impl DryRun<'_> {
    /// Responds like the admission policies of `accounts: kubelet`.
    pub(super) fn respond(&self, state: &ServerState, body: &Value) -> HttpResponse {
        let admits = state.fault == Some(InjectedFault::NoAdmission);
        let refused = |what: &str, policy: &str, message: &str| {
            let message = format!(
                "{what} is forbidden: ValidatingAdmissionPolicy 'clusterctl-kubelets-{policy}' with binding \
                 'clusterctl-kubelets-{policy}' denied request: clusterctl: {message}"
            );
            response::failure(state, StatusCode::FORBIDDEN, "Forbidden", &message)
        };
        let metadata = |name: &str| json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": name, "uid": NODE_UID}});
        match self {
            Self::Node(own) if !admits && body.pointer("/spec/taints").is_some() => {
                refused(&format!("nodes \"{own}\""), "nodes", "a node does not change its taints")
            }
            Self::Node(own) => response::object(state, StatusCode::OK, &metadata(own)),
            Self::Pod(own) => {
                let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                let on = body.pointer("/spec/nodeName").and_then(Value::as_str);
                let owner = body.pointer("/metadata/ownerReferences/0/uid").and_then(Value::as_str);
                let pod = format!("pods \"{name}\"");
                match (admits, on == Some(*own), owner == Some(NODE_UID)) {
                    (true, ..) | (_, true, true) => response::object(state, StatusCode::CREATED, &metadata(name)),
                    (_, false, _) => {
                        let words = "a node writes the pods alone whose spec.nodeName is its own";
                        refused(&pod, "pods", words)
                    }
                    _ => refused(&pod, "pods", "a node creates mirror pods alone, owned by its own Node"),
                }
            }
        }
    }
}
