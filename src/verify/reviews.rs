//! SelfSubjectAccessReviews about the rights that a node needs and those that it must not have.

use serde_json::json;

use super::observation::Access;

/// Returns SelfSubjectAccessReviews (Kubernetes `authorization.k8s.io/v1`) about the rights that a node needs and those
/// that it must not have.
pub(super) fn reviews(own: &str, other: &str) -> Vec<(Access, String)> {
    let node = |verb: &str, name: &str| json!({"verb": verb, "resource": "nodes", "name": name});
    let status = |name: &str| json!({"verb": "patch", "resource": "nodes", "subresource": "status", "name": name});
    let lease = |verb: &str, name: &str| {
        let (group, namespace) = ("coordination.k8s.io", "kube-node-lease");
        json!({"verb": verb, "group": group, "resource": "leases", "namespace": namespace, "name": name})
    };
    let mine = json!({"requirements": [{"key": "spec.nodeName", "operator": "In", "values": [own]}]});
    let attributes = |access: Access| match access {
        Access::OwnNodeGet => node("get", own),
        Access::OwnNodePatch => node("patch", own),
        Access::OwnStatusPatch => status(own),
        Access::OwnLeaseGet => lease("get", own),
        Access::OwnLeaseUpdate => lease("update", own),
        Access::OwnPodsList => json!({"verb": "list", "resource": "pods", "fieldSelector": mine}),
        Access::EventsCreate => json!({"verb": "create", "resource": "events", "namespace": "default"}),
        Access::OtherStatusPatch => status(other),
        Access::OtherLeaseUpdate => lease("update", other),
        Access::AllPodsList => json!({"verb": "list", "resource": "pods"}),
        Access::SecretsList => json!({"verb": "list", "resource": "secrets"}),
    };
    let review = |access: Access| {
        json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes(access)},
        })
    };
    Access::ALL.into_iter().map(|access| (access, review(access).to_string())).collect()
}
