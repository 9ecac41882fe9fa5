//! What a node writes to show that admission works: each is sent with `?dryRun=All`, so that it runs admission and changes
//! nothing.

use serde_json::{Value, json};

use super::observation::Request;

/// The media type of a patch that replaces what it names (RFC 7386).
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";
/// Of a written object only its name and number are wanted.
pub(super) const METADATA_ALONE: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// The path and body of a dry-run write of the node `own`; `uid` is the number of its Node, which mirror pods name.
/// `None` for what is no write.
pub(super) fn write(request: Request, own: &str, other: &str, uid: Option<&str>) -> Option<(String, Value)> {
    let node = format!("/api/v1/nodes/{own}?dryRun=All");
    let pods = "/api/v1/namespaces/kube-system/pods?dryRun=All".to_owned();
    match request {
        Request::DryRunNode => Some((node, json!({}))),
        Request::DryRunTaint => {
            let taint = json!({"key": "clusterctl/verify", "effect": "NoSchedule"});
            Some((node, json!({"spec": {"taints": [taint]}})))
        }
        Request::DryRunOwnPod => Some((pods, mirror_pod(own, own, uid))),
        Request::DryRunOtherPod => Some((pods, mirror_pod(own, other, uid))),
        _ => None,
    }
}

/// A mirror pod, the only kind that a kubelet may create.
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
