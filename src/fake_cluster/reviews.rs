//! Reviews of authentication and authorization.

use serde_json::{Value, json};

use super::injected_fault::InjectedFault;
use super::state::{AuthenticatedClient, ServerState};
use crate::cluster::duration::stamp;
use crate::cluster::name::HostName;
use crate::pki::fingerprint::Fingerprint;

/// The message of authorization.yaml for a revoked certificate.
pub(super) const REVOKED: &str = "clusterctl: this certificate was revoked";

/// Returns a SelfSubjectReview.
pub(super) fn self_subject_review(state: &ServerState, client: &AuthenticatedClient) -> Value {
    let mut groups = client.groups.clone();
    groups.push("system:authenticated".to_owned());
    let mut info = json!({"username": state.user_name(client), "groups": groups});
    if let Some(credential) = client.credential {
        info["extra"] = json!({"authentication.kubernetes.io/credential-id": [credential.as_credential_id()]});
    }
    json!({
        "kind": "SelfSubjectReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"creationTimestamp": stamp(state.now)},
        "status": {"userInfo": info},
    })
}

/// Returns a SelfSubjectAccessReview according to the policy of `accounts: kubelet`, which restricts `system:node` in
/// the same way.
pub(super) fn access_review(state: &ServerState, client: &AuthenticatedClient, spec: &Value) -> Value {
    let asked = spec.get("resourceAttributes").unwrap_or(&Value::Null);
    let text = |key: &str| asked.get(key).and_then(Value::as_str).unwrap_or_default();
    let own = state.own_host(client).map(HostName::as_str);
    let by_name = own.is_some_and(|own| text("name") == own);
    let own_pods = asked
        .pointer("/fieldSelector/requirements/0")
        .filter(|requirement| requirement.get("key").and_then(Value::as_str) == Some("spec.nodeName"))
        .and_then(|requirement| requirement.pointer("/values/0")?.as_str())
        .is_some_and(|node| Some(node) == own);
    let allowed = own.is_some()
        && match (text("resource"), text("subresource"), text("verb")) {
            ("services" | "csidrivers" | "runtimeclasses", "", "get" | "list" | "watch") => true,
            ("nodes" | "leases" | "csinodes" | "events" | "pods", "", "create") => true,
            ("events", "", "patch" | "update") | ("pods", "", "get" | "delete") => true,
            ("tokenreviews" | "subjectaccessreviews", "", "create") => true,
            ("pods", "status", "patch" | "update") => true,
            ("pods", "", "list" | "watch") => own_pods,
            ("nodes", "", "get" | "list" | "watch" | "update" | "patch") => by_name,
            ("nodes", "status", "update" | "patch") => by_name,
            ("leases", "", "get" | "update" | "patch") => by_name,
            ("csinodes", "", "get" | "update" | "patch" | "delete") => by_name,
            ("secrets" | "configmaps", "", "get") => !text("name").is_empty(),
            _ => false,
        };
    let mut status = json!({"allowed": allowed});
    match state.fault {
        Some(InjectedFault::ContradictoryReviews) if allowed => status["denied"] = json!(true),
        Some(InjectedFault::FailingAuthorizer) => {
            status["evaluationError"] = json!("webhook \"policy\" failed: connection refused")
        }
        _ => {}
    }
    if allowed {
        status["reason"] = json!("RBAC: allowed by ClusterRoleBinding \"kubelets\" of ClusterRole \"kubelets\"");
    }
    json!({
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": spec,
        "status": status,
    })
}

/// Returns a SubjectAccessReview according to authorization.yaml, which denies revoked certificates, and listing
/// secrets to nodes.
pub(super) fn subject_access_review(state: &ServerState, spec: &Value) -> Value {
    let ids = spec.pointer("/extra/authentication.kubernetes.io~1credential-id").and_then(Value::as_array);
    let mut ids = ids.into_iter().flatten().filter_map(|id| Fingerprint::from_credential_id(id.as_str()?));
    let is_node = spec.get("user").and_then(Value::as_str).is_some_and(|user| user.starts_with("kubelet:"));
    let asked = |key: &str| spec.pointer(&format!("/resourceAttributes/{key}")).and_then(Value::as_str);
    let why = if ids.any(|id| state.denies(id)) {
        Some(REVOKED)
    } else if is_node && (asked("verb"), asked("resource")) == (Some("list"), Some("secrets")) {
        Some("clusterctl: a node gets these by metadata.name, and no list of them")
    } else {
        None
    };
    let status = match why {
        Some(why) => json!({"allowed": false, "denied": true, "evaluationError": format!("no such key: {why}")}),
        None => json!({"allowed": asked("resource").is_none()}),
    };
    json!({
        "kind": "SubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": spec,
        "status": status,
    })
}
