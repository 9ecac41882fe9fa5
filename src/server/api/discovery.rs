//! The discovery of APIs for kubectl and client-go, and of the cluster for kubeadm.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::Answer;
use super::call::Call;
use super::status::{Failed, json_response};

const CERTIFICATES: &str = "certificates.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";
const COORDINATION: &str = "coordination.k8s.io";
const GROUPS: [&str; 3] = [CERTIFICATES, AUTHENTICATION, COORDINATION];

fn answer(object: &Value) -> Answer {
    Ok(json_response(StatusCode::OK, object))
}

pub(super) async fn versions() -> Answer {
    answer(&json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}))
}

fn group_object(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

pub(super) async fn groups() -> Answer {
    answer(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": GROUPS.map(group_object)}))
}

pub(super) async fn group(call: Call) -> Answer {
    let name = GROUPS.into_iter().find(|name| *name == call.segment(1)).ok_or_else(Failed::no_such_path)?;
    let mut object = group_object(name);
    object["kind"] = json!("APIGroup");
    object["apiVersion"] = json!("v1");
    answer(&object)
}

fn resource(name: &str, kind: &str, namespaced: bool, verbs: &[&str]) -> Value {
    let mut object = json!({"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": verbs});
    if name == "certificatesigningrequests" {
        object["singularName"] = json!("certificatesigningrequest");
        object["shortNames"] = json!(["csr"]);
    }
    object
}

pub(super) async fn resources(call: Call) -> Answer {
    let csr = "CertificateSigningRequest";
    let resources = match call.segment(1) {
        CERTIFICATES => vec![
            resource("certificatesigningrequests", csr, false, &["create", "delete", "get", "list", "watch"]),
            resource("certificatesigningrequests/approval", csr, false, &["get", "patch", "update"]),
            resource("certificatesigningrequests/status", csr, false, &["get", "patch", "update"]),
        ],
        AUTHENTICATION => vec![resource("selfsubjectreviews", "SelfSubjectReview", false, &["create"])],
        COORDINATION => {
            let verbs = ["create", "delete", "get", "list", "patch", "update"];
            vec![resource("leases", "Lease", true, &verbs)]
        }
        _ => return Err(Failed::no_such_path()),
    };
    let version = format!("{}/v1", call.segment(1));
    answer(&json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}))
}

pub(super) async fn core() -> Answer {
    let resources = [resource("configmaps", "ConfigMap", true, &["get"])];
    answer(&json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": resources}))
}

/// The ConfigMap by which kubeadm discovers a cluster, without credentials.
pub(super) async fn cluster_info(call: Call) -> Answer {
    let data = tokio::task::block_in_place(|| call.state.site.cluster_info(call.state.now()));
    if data.is_empty() {
        return Err(Failed::not_found("configmaps", "cluster-info"));
    }
    let data: Map<String, Value> = data.into_iter().map(|(name, value)| (name, json!(value))).collect();
    answer(&json!({
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "cluster-info", "namespace": "kube-public", "resourceVersion": "1"},
        "data": data,
    }))
}
