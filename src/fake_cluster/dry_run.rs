//! Responds to dry-run writes of kubelets as the admission policies decide.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::injected_fault::InjectedFault;
use super::response::{self, HttpResponse};
use super::state::{AuthenticatedClient, ServerState};

/// The UID of every Node.
const NODE_UID: &str = "6d1b3c1e-0000-4000-8000-000000000000";

/// A dry-run write of a kubelet, with the name of its node.
pub(super) enum DryRun<'a> {
    /// A patch of its own Node.
    Node(&'a str),
    /// A new pod.
    Pod(&'a str),
}

/// Returns the dry-run write that a request is; `None` for all other requests.
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
    /// Responds like the admission policies for `accounts: kubelet`.
    pub(super) fn respond(&self, state: &ServerState, body: &Value) -> HttpResponse {
        let admits_all = state.fault == Some(InjectedFault::NoAdmission);
        let refused = |what: &str, policy: &str, message: &str| {
            let message = format!(
                "{what} is forbidden: ValidatingAdmissionPolicy 'clusterctl-kubelets-{policy}' with binding \
                 'clusterctl-kubelets-{policy}' denied request: clusterctl: {message}"
            );
            response::failure(state, StatusCode::FORBIDDEN, "Forbidden", &message)
        };
        let metadata = |name: &str| json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": name, "uid": NODE_UID}});
        match self {
            Self::Node(own) if !admits_all && body.pointer("/spec/taints").is_some() => {
                refused(&format!("nodes \"{own}\""), "nodes", "a node must not change its taints")
            }
            Self::Node(own) => response::object(state, StatusCode::OK, &metadata(own)),
            Self::Pod(own) => {
                let name = body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                let on = body.pointer("/spec/nodeName").and_then(Value::as_str);
                let owner = body.pointer("/metadata/ownerReferences/0/uid").and_then(Value::as_str);
                let pod = format!("pods \"{name}\"");
                match (admits_all, on == Some(*own), owner == Some(NODE_UID)) {
                    (true, ..) | (_, true, true) => response::object(state, StatusCode::CREATED, &metadata(name)),
                    (_, false, _) => {
                        let words = "a node may only write pods whose spec.nodeName is its own";
                        refused(&pod, "pods", words)
                    }
                    _ => refused(&pod, "pods", "a node may only create mirror pods that its own Node owns"),
                }
            }
        }
    }
}
