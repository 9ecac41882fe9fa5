//! The admission policies, decided by a CEL interpreter: writes that a node is allowed.

use std::sync::OnceLock;

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use serde_json::{Value, json};

use super::support::admission::{Admission, Write};
use super::support::kubernetes::strict;
use super::support::policies::{applied, cluster};

use crate::support::outside::needs;

// The validations of the policies, as `Admission::refusals` names them.
const OWN_NODE: &str = "nodes[0]";
const LABELS: &str = "nodes[1]";
const TAINTS: &str = "nodes[2]";
const OWNERS: &str = "nodes[3]";
/// This policy also covers the node's CSINode.
const OWN_LEASE: &str = "leases[0]";
const LEASE_NAMESPACE: &str = "leases[1]";
/// Denies evictions, and execution in pods.
const POD_SUBRESOURCE: &str = "pods[0]";
const OWN_POD: &str = "pods[1]";
const MIRROR_POD: &str = "pods[2]";
const POD_STATUS: &str = "pods[3]";
const POD_TOKEN: &str = "tokens[0]";

/// Returns the policies, which are parsed once for all tests.
fn admission() -> &'static Admission {
    static ADMISSION: OnceLock<Admission> = OnceLock::new();
    ADMISSION.get_or_init(read_admission)
}

fn read_admission() -> Admission {
    let documents = applied(&cluster("kubelet", 1));
    let policies = documents.iter().filter(|d| d["kind"] == "ValidatingAdmissionPolicy");
    let policies: Vec<ValidatingAdmissionPolicy> = policies.map(strict).collect();
    for policy in &policies {
        let spec = policy.spec.as_ref().expect("a spec");
        assert_eq!(spec.failure_policy.as_deref(), Some("Fail"));
    }
    let bound: Vec<&Value> = documents.iter().filter(|d| d["kind"] == "ValidatingAdmissionPolicyBinding").collect();
    assert_eq!(bound.len(), policies.len());
    assert!(bound.iter().all(|b| b["spec"]["validationActions"] == json!(["Deny"])));
    Admission(policies)
}

/// Returns the decision of the policies on a write by `kubelet:HOST`.
fn refusals(
    host: &str,
    operation: &str,
    resource: (&str, &str),
    subresource: &str,
    old: Value,
    object: Value,
) -> String {
    let write = Write {
        user: &format!("kubelet:{host}"),
        groups: &["kubelets", "system:authenticated"],
        operation,
        resource,
        subresource,
        object,
        old,
    };
    admission().refusals(&write).join("; ")
}

#[test]
fn a_node_writes_only_its_own_node_and_no_protected_labels() {
    needs!("python3-yaml");
    const NODES: (&str, &str) = ("", "nodes");
    for host in ["on", "1e3", "worker-a1.fra1.example.net"] {
        let node = |name: &str, labels: Value| json!({"metadata": {"name": name, "labels": labels}, "spec": {}});
        let plain = node(host, json!({"kubernetes.io/hostname": host, "disk": "ssd"}));
        let create = |object: Value| refusals(host, "CREATE", NODES, "", Value::Null, object);
        let update = |sub: &str, object: Value| refusals(host, "UPDATE", NODES, sub, plain.clone(), object);
        assert_eq!(create(plain.clone()), "");
        assert_eq!(create(json!({"metadata": {"name": host}})), "");
        assert_eq!(update("status", plain.clone()), "");
        assert_eq!(update("", plain.clone()), "");
        assert!(create(node("node-9", json!({}))).contains(OWN_NODE));
        assert!(create(json!({"metadata": {"generateName": host}})).contains(OWN_NODE));
        assert!(
            refusals(host, "UPDATE", NODES, "status", node("node-9", json!({})), node("node-9", json!({})))
                .contains(OWN_NODE)
        );
        assert_eq!(refusals(host, "DELETE", NODES, "", plain.clone(), Value::Null), "");
        assert!(refusals(host, "DELETE", NODES, "", node("node-9", json!({})), Value::Null).contains(OWN_NODE));
        assert!(refusals(host, "DELETE", NODES, "", Value::Null, Value::Null).contains(OWN_NODE));
        for (label, fine) in [
            ("kubernetes.io/os", true),
            ("topology.kubernetes.io/zone", true),
            ("node.kubernetes.io/instance-type", true),
            ("x.node.kubernetes.io/y", true),
            ("kubelet.kubernetes.io/x", true),
            ("example.net/team", true),
            ("plain", true),
            ("mykubernetes.io/x", true),
            ("node-restriction.kubernetes.io/tier", false),
            ("a.node-restriction.kubernetes.io/tier", false),
            ("node-role.kubernetes.io/control-plane", false),
            ("kubernetes.io/role", false),
            ("k8s.io/x", false),
            ("topology.k8s.io/x", false),
            ("mynode.kubernetes.io/x", false),
        ] {
            let mut with = plain.clone();
            with["metadata"]["labels"][label] = json!("v");
            let says = [create(with.clone()), update("", with.clone()), update("status", with.clone())];
            // Removing and changing it are denied like setting it.
            let away = refusals(host, "UPDATE", NODES, "", with.clone(), plain.clone());
            let mut other = with.clone();
            other["metadata"]["labels"][label] = json!("w");
            let changed = refusals(host, "UPDATE", NODES, "", with.clone(), other);
            let kept = refusals(host, "UPDATE", NODES, "status", with.clone(), with);
            for says in says.iter().chain([&away, &changed]) {
                assert_eq!(says.is_empty(), fine, "{label}: {says}");
                assert!(fine || says.contains(LABELS), "{says}");
            }
            assert_eq!(kept, "", "{label}");
        }
        let mut tainted = plain.clone();
        tainted["spec"]["taints"] = json!([{"key": "dedicated", "effect": "NoSchedule"}]);
        assert_eq!(create(tainted.clone()), "", "a kubelet may register with taints, as with NodeRestriction");
        assert!(update("", tainted.clone()).contains(TAINTS));
        assert!(refusals(host, "UPDATE", NODES, "", tainted.clone(), plain.clone()).contains(TAINTS));
        assert_eq!(refusals(host, "UPDATE", NODES, "status", tainted.clone(), tainted), "");
        let mut owned = plain.clone();
        owned["metadata"]["ownerReferences"] = json!([{"kind": "Machine", "name": "m"}]);
        assert!(update("", owned.clone()).contains(OWNERS));
        assert!(create(owned.clone()).contains(OWNERS));
        assert_eq!(refusals(host, "UPDATE", NODES, "", owned.clone(), owned), "");
    }
}

#[test]
fn a_node_has_one_lease_and_one_csinode() {
    needs!("python3-yaml");
    let lease = |name: &str, namespace: &str| json!({"metadata": {"name": name, "namespace": namespace}});
    let of = |operation: &str, lease: Value| match operation {
        "DELETE" => refusals("on", operation, ("coordination.k8s.io", "leases"), "", lease, Value::Null),
        "CREATE" => refusals("on", operation, ("coordination.k8s.io", "leases"), "", Value::Null, lease),
        _ => refusals("on", operation, ("coordination.k8s.io", "leases"), "", lease.clone(), lease),
    };
    for operation in ["CREATE", "UPDATE", "DELETE"] {
        assert_eq!(of(operation, lease("on", "kube-node-lease")), "");
        assert!(of(operation, lease("node-9", "kube-node-lease")).contains(OWN_LEASE));
        assert!(of(operation, lease("on", "kube-system")).contains(LEASE_NAMESPACE));
    }
    let csi = ("storage.k8s.io", "csinodes");
    let named = |name: &str| json!({"metadata": {"name": name}});
    assert_eq!(refusals("on", "CREATE", csi, "", Value::Null, named("on")), "");
    assert_eq!(refusals("on", "DELETE", csi, "", named("on"), Value::Null), "");
    assert!(refusals("on", "DELETE", csi, "", named("node-9"), Value::Null).contains(OWN_LEASE));
    assert!(refusals("on", "UPDATE", csi, "", named("node-9"), named("node-9")).contains(OWN_LEASE));
}

#[test]
fn a_node_writes_only_pods_that_run_on_it() {
    needs!("python3-yaml");
    const PODS: (&str, &str) = ("", "pods");
    let pod = |node: &str| {
        json!({"metadata": {"name": "a", "namespace": "default", "labels": {"app": "a"}},
        "spec": {"nodeName": node}})
    };
    let mirror = |node: &str| {
        let mut pod = pod(node);
        pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "5f3c"});
        pod["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "Node", "name": node, "uid": "1", "controller": true}]);
        pod
    };
    let create = |object: Value| refusals("on", "CREATE", PODS, "", Value::Null, object);
    assert_eq!(create(mirror("on")), "");
    assert!(create(mirror("node-9")).contains(OWN_POD));
    assert!(create(pod("on")).contains(MIRROR_POD));
    let spoil = |change: &dyn Fn(&mut Value)| {
        let mut pod = mirror("on");
        change(&mut pod);
        create(pod)
    };
    for says in [
        spoil(&|pod| pod["metadata"]["ownerReferences"][0]["name"] = json!("node-9")),
        spoil(&|pod| pod["metadata"]["ownerReferences"][0]["kind"] = json!("Pod")),
        spoil(&|pod| pod["metadata"]["ownerReferences"][0]["controller"] = json!(false)),
        spoil(&|pod| pod["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = json!(true)),
        spoil(&|pod| pod["metadata"]["ownerReferences"] = json!([])),
        spoil(&|pod| pod["metadata"]["annotations"] = json!({})),
    ] {
        assert!(says.contains(MIRROR_POD), "{says}");
    }
    let mut unbound = mirror("on");
    unbound["spec"] = json!({});
    assert!(create(unbound).contains(OWN_POD));
    let update = |sub: &str, old: Value, object: Value| refusals("on", "UPDATE", PODS, sub, old, object);
    assert_eq!(update("status", pod("on"), pod("on")), "");
    assert!(update("status", pod("node-9"), pod("node-9")).contains(OWN_POD));
    assert!(update("status", pod("node-9"), pod("on")).contains(OWN_POD));
    let mut relabelled = pod("on");
    relabelled["metadata"]["labels"]["app"] = json!("b");
    assert!(update("status", pod("on"), relabelled).contains(POD_STATUS));
    assert!(update("", pod("on"), pod("on")).contains(POD_STATUS));
    assert_eq!(refusals("on", "DELETE", PODS, "", pod("on"), Value::Null), "");
    assert!(refusals("on", "DELETE", PODS, "", pod("node-9"), Value::Null).contains(OWN_POD));
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a", "namespace": "default"}});
    assert!(refusals("on", "CREATE", PODS, "eviction", Value::Null, eviction).contains(POD_SUBRESOURCE));
    assert!(refusals("on", "CONNECT", PODS, "exec", Value::Null, json!({"command": ["sh"]})).contains(POD_SUBRESOURCE));
}

#[test]
fn a_node_gets_only_tokens_bound_to_pods() {
    needs!("python3-yaml");
    let token = |reference: Value| {
        let object = json!({"spec": {"audiences": ["x"], "boundObjectRef": reference}});
        refusals("on", "CREATE", ("", "serviceaccounts"), "token", Value::Null, object)
    };
    assert_eq!(token(json!({"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "1"})), "");
    for wrong in [
        json!({"apiVersion": "v1", "kind": "Secret", "name": "a", "uid": "1"}),
        json!({"apiVersion": "v1", "kind": "Pod", "name": "a"}),
        json!({"apiVersion": "v1", "kind": "Pod", "name": "", "uid": "1"}),
        json!({}),
    ] {
        assert!(token(wrong).contains(POD_TOKEN));
    }
    let unbound = json!({"spec": {"audiences": ["x"]}});
    assert!(refusals("on", "CREATE", ("", "serviceaccounts"), "token", Value::Null, unbound).contains(POD_TOKEN));
}

#[test]
fn admission_restricts_only_kubelets() {
    needs!("python3-yaml");
    let of = |user: &str, groups: &[&str]| {
        let object = json!({"metadata": {"name": "node-9", "labels": {"node-role.kubernetes.io/x": ""}}});
        let resource = ("", "nodes");
        admission()
            .refusals(&Write { user, groups, operation: "CREATE", resource, subresource: "", object, old: Value::Null })
            .len()
    };
    for user in ["admin", "system:node:node-9", "system:serviceaccount:kube-system:node-controller"] {
        assert_eq!(of(user, &["system:authenticated"]), 0, "{user}");
    }
    assert_eq!(of("kubelet:on", &["kubelets"]), 2);
    assert_eq!(of("other", &["kubelets"]), 2, "the nodes' group under another name has no node of its own");
}
