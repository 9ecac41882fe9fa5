//! The writes of a node that prove admission. Each is sent with `?dryRun=All`, so that it runs admission and changes
//! nothing.

use serde_json::{Value, json};

use super::observation::Request;

/// The media type of a JSON merge patch (RFC 7396).
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";
/// The media type for only the metadata of an object.
pub(super) const METADATA_ALONE: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// A dry-run write, ready to be sent.
pub(super) struct Write {
    pub(super) request: Request,
    pub(super) path: String,
    pub(super) body: Value,
}

/// Returns a patch of a node's own Node that changes nothing, which every node may make.
pub(super) fn own_node(own: &str) -> Write {
    Write { request: Request::DryRunNode, path: node_path(own), body: json!({}) }
}

/// Returns the uid of a written object; mirror pods name their Node's.
pub(super) fn uid(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    Some(body.pointer("/metadata/uid")?.as_str()?.to_owned())
}

/// Returns the writes of the node `own` besides [`own_node`]: a taint on itself, a pod of its own, and a pod on
/// `other`. `uid` is its Node's.
pub(super) fn others(own: &str, other: &str, uid: Option<&str>) -> [Write; 3] {
    let taint = json!({"key": "clusterctl/verify", "effect": "NoSchedule"});
    let pod = |request, on| Write {
        request,
        path: "/api/v1/namespaces/kube-system/pods?dryRun=All".to_owned(),
        body: mirror_pod(own, on, uid),
    };
    [
        Write { request: Request::DryRunTaint, path: node_path(own), body: json!({"spec": {"taints": [taint]}}) },
        pod(Request::DryRunOwnPod, own),
        pod(Request::DryRunOtherPod, other),
    ]
}

fn node_path(name: &str) -> String {
    format!("/api/v1/nodes/{name}?dryRun=All")
}

/// Returns a mirror pod, the only kind that a kubelet may create.
fn mirror_pod(own: &str, on: &str, uid: Option<&str>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("clusterctl-verify-{on}"),
            "namespace": "kube-system",
            "annotations": {"kubernetes.io/config.mirror": "clusterctl", "kubernetes.io/config.source": "file"},
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Node", "name": own, "uid": uid.unwrap_or_default(), "controller": true,
            }],
        },
        "spec": {
            "nodeName": on,
            "containers": [{"name": "none", "image": "clusterctl.invalid/none"}],
            "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
        },
    })
}
