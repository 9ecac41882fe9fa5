//! The API servers' authorizers, decided by a CEL interpreter: denials for revoked certificates and kubelets.

use std::process::Command;

use clusterctl::bundle::render::Templates;
use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::rbac::denials::{Denials, IN_A_RULE, MAX};
use serde_json::{Value, json};

use super::support::authorization::{AuthorizationConfiguration, Verdict};
use super::support::kubernetes::documents;
use super::support::policies::cluster;

use crate::support::outside::needs;

fn revoked(count: usize) -> Denials {
    Denials::of((0..count).map(|i| Fingerprint::of(&i.to_be_bytes()))).expect("not too many")
}

fn authorization_text(accounts: &str, denials: &Denials) -> String {
    let templates = Templates::compiled_in().expect("templates");
    templates.authorization(&cluster(accounts, 1), denials).expect("rendered")
}

fn authorization(accounts: &str, denials: &Denials) -> AuthorizationConfiguration {
    let [config] = documents(&authorization_text(accounts, denials)).try_into().expect("one document");
    AuthorizationConfiguration::read(config)
}

/// Returns a SubjectAccessReview's spec as the API server passes it to conditions: every string is present, even if
/// empty (`apiserver/pkg/authorization/cel`, `convertObjectToUnstructured`).
fn asks(user: &str, resource_attributes: Value) -> Value {
    let groups = match user.split_once(':') {
        Some(("kubelet", _)) => json!(["kubelets", "system:authenticated"]),
        Some(("system", "node:on")) => json!(["system:nodes", "system:authenticated"]),
        _ => json!(["system:authenticated"]),
    };
    let id = format!("X509SHA256={}", Fingerprint::of(user.as_bytes()));
    let mut attributes =
        json!({"namespace": "", "verb": "", "group": "", "version": "", "resource": "", "subresource": "", "name": ""});
    for (key, value) in resource_attributes.as_object().expect("attributes") {
        attributes[key] = value.clone();
    }
    json!({
        "user": user, "groups": groups, "uid": "",
        "extra": {"authentication.kubernetes.io/credential-id": [id]},
        "resourceAttributes": attributes,
    })
}

fn by_field(key: &str, operator: &str, values: &[&str]) -> Value {
    json!({"requirements": [{"key": key, "operator": operator, "values": values}]})
}

/// The error of the CEL interpreter for a condition that fails on purpose.
const CEL_ERROR: &str = "no such key: clusterctl: ";

#[track_caller]
fn denied(verdict: Verdict, by: &str) {
    // The last condition is an error on purpose: the answer comes immediately, with the reason.
    assert!(matches!(&verdict, Verdict::Denied(name, why) if name == by && why.contains(CEL_ERROR)), "{verdict:?}");
}

#[test]
fn only_a_revoked_certificate_is_denied() {
    needs!("python3-yaml");
    for accounts in ["kubelet", "system-node"] {
        let others = revoked(IN_A_RULE + 5);
        let ours = Fingerprint::of(b"kubelet:on");
        let everyone = (0..IN_A_RULE + 5).map(|i| Fingerprint::of(&i.to_be_bytes())).chain([ours]);
        let config = authorization(accounts, &Denials::of(everyone).expect("few"));
        let own = json!({"verb": "get", "resource": "nodes", "name": "on"});
        let verdict = config.decide(&asks("kubelet:on", own.clone()));
        assert!(matches!(&verdict, Verdict::Denied(name, _) if name.starts_with("revoked-")), "{verdict:?}");
        assert_eq!(authorization(accounts, &others).decide(&asks("kubelet:on", own.clone())), Verdict::NoOpinion);
        assert_eq!(config.decide(&asks("kubelet:1e3", own.clone())), Verdict::NoOpinion);
        // Without a resource or extra fields nothing is denied.
        let mut path = asks("kubelet:on", own);
        path["nonResourceAttributes"] = json!({"path": "/healthz", "verb": "get"});
        path.as_object_mut().expect("a spec").remove("resourceAttributes");
        let verdict = config.decide(&path);
        assert!(matches!(&verdict, Verdict::Denied(name, _) if name.starts_with("revoked-")), "{verdict:?}");
        path["extra"] = json!({});
        assert_eq!(config.decide(&path), Verdict::NoOpinion);
        path["extra"] = json!({"authentication.kubernetes.io/credential-id": []});
        assert_eq!(config.decide(&path), Verdict::NoOpinion);
        path["extra"] = json!({"authentication.kubernetes.io/credential-id": ["JTI=0c9c5a1e"]});
        assert_eq!(config.decide(&path), Verdict::NoOpinion);
        assert_eq!(config.decide(&json!({"user": "kubelet:on"})), Verdict::NoOpinion);
        assert_eq!(config.decide(&json!({})), Verdict::NoOpinion);
    }
}

#[test]
fn a_kubelet_lists_its_own_pods_and_no_others() {
    needs!("python3-yaml");
    let config = authorization("kubelet", &Denials::default());
    for host in ["on", "1e3", "worker-a1.fra1.example.net"] {
        let user = format!("kubelet:{host}");
        for verb in ["list", "watch"] {
            let pods = |selector: Value| {
                let mut attributes = json!({"verb": verb, "resource": "pods", "version": "v1"});
                if !selector.is_null() {
                    attributes["fieldSelector"] = selector;
                }
                config.decide(&asks(&user, attributes))
            };
            assert_eq!(pods(by_field("spec.nodeName", "In", &[host])), Verdict::NoOpinion);
            for wrong in [
                Value::Null,
                json!({}),
                json!({"rawSelector": format!("spec.nodeName={host}")}),
                json!({"requirements": []}),
                by_field("spec.nodeName", "In", &["node-9"]),
                by_field("spec.nodeName", "In", &[host, "node-9"]),
                by_field("spec.nodeName", "In", &[]),
                by_field("spec.nodeName", "NotIn", &[host]),
                by_field("metadata.name", "In", &[host]),
            ] {
                denied(pods(wrong), "kubelets-pods");
            }
        }
        // RBAC decides other requests, also for a resource of the same name in another group.
        for fine in [
            json!({"verb": "get", "resource": "pods", "namespace": "kube-system", "name": "a"}),
            json!({"verb": "create", "resource": "pods", "namespace": "kube-system"}),
            json!({"verb": "list", "resource": "services"}),
            json!({"verb": "list", "resource": "pods", "group": "metrics.k8s.io"}),
        ] {
            assert_eq!(config.decide(&asks(&user, fine)), Verdict::NoOpinion);
        }
    }
}

#[test]
fn a_kubelet_gets_secrets_by_name_and_no_list_of_them() {
    needs!("python3-yaml");
    let config = authorization("kubelet", &Denials::default());
    for resource in ["secrets", "configmaps", "persistentvolumeclaims", "persistentvolumes"] {
        for verb in ["list", "watch", "deletecollection"] {
            let all = json!({"verb": verb, "resource": resource, "namespace": "kube-system"});
            denied(config.decide(&asks("kubelet:on", all.clone())), "kubelets-lists");
            let mut one = all.clone();
            one["name"] = json!("registry");
            assert_eq!(config.decide(&asks("kubelet:on", one)), Verdict::NoOpinion);
            let mut one = all;
            one["fieldSelector"] = by_field("metadata.name", "In", &["registry"]);
            assert_eq!(config.decide(&asks("kubelet:on", one.clone())), Verdict::NoOpinion);
            one["fieldSelector"] = by_field("type", "In", &["Opaque"]);
            denied(config.decide(&asks("kubelet:on", one)), "kubelets-lists");
        }
        let get = json!({"verb": "get", "resource": resource, "namespace": "kube-system", "name": "registry"});
        assert_eq!(config.decide(&asks("kubelet:on", get)), Verdict::NoOpinion);
    }
}

#[test]
fn only_reads_of_kubelets_are_restricted() {
    needs!("python3-yaml");
    let config = authorization("kubelet", &Denials::default());
    let all_pods = json!({"verb": "list", "resource": "pods"});
    for user in ["admin", "system:kube-scheduler", "clusterctl:verifier", "system:node:on", ""] {
        assert_eq!(config.decide(&asks(user, all_pods.clone())), Verdict::NoOpinion, "{user}");
    }
    // A member of the nodes' group with another name has no node of its own.
    let mut request = asks("other", all_pods.clone());
    request["groups"] = json!(["kubelets"]);
    denied(config.decide(&request), "kubelets-pods");
    // The Node authorizer covers `system:node:`.
    let config = authorization("system-node", &Denials::default());
    assert_eq!(config.decide(&asks("system:node:on", all_pods)), Verdict::NoOpinion);
}

#[test]
fn recorded_reviews_get_the_recorded_decisions() {
    needs!("python3-yaml");
    // From exchanges with Kubernetes 1.36.2: the request, and whether it was denied rather than not allowed.
    let config = authorization("kubelet", &Denials::default());
    let node_1 = |attributes: Value| {
        json!({"user": "kubelet:node-1", "groups": ["kubelets", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/credential-id":
            ["X509SHA256=22aad7e6aa9b9d3cf4f9e2da741eb9778990eeca922a8476e37fe1ec6ad73b8e"]},
        "resourceAttributes": attributes})
    };
    for not_denied in [
        json!({"verb": "patch", "resource": "nodes", "subresource": "status", "name": "node-2"}),
        json!({"verb": "patch", "resource": "nodes", "subresource": "status", "name": "node-1"}),
        json!({"verb": "list", "resource": "pods", "fieldSelector": by_field("spec.nodeName", "In", &["node-1"])}),
    ] {
        assert_eq!(config.decide(&node_1(not_denied)), Verdict::NoOpinion);
    }
    denied(config.decide(&node_1(json!({"verb": "list", "resource": "pods"}))), "kubelets-pods");
    denied(config.decide(&node_1(json!({"verb": "list", "resource": "secrets"}))), "kubelets-lists");
}

#[test]
fn the_authorizers_are_the_same_for_both_kinds_of_accounts_and_deny_first() {
    needs!("python3-yaml");
    let names = |accounts, count| -> Vec<String> {
        let config = authorization(accounts, &revoked(count));
        config.authorizers.iter().map(|a| format!("{} {}", a.kind, a.name)).collect()
    };
    let reads = ["Webhook kubelets-pods", "Webhook kubelets-lists"];
    let last = ["Node node", "RBAC rbac"];
    // Both configurations have the same authorizer types, so that an API server that started with one can load the
    // other, and no account gains rights by the change.
    for accounts in ["kubelet", "system-node"] {
        assert_eq!(names(accounts, 0), [&["Webhook revoked-1"][..], &reads, &last].concat());
        let two = ["Webhook revoked-1", "Webhook revoked-2"];
        assert_eq!(names(accounts, IN_A_RULE + 1), [&two[..], &reads, &last].concat());
        let config = authorization(accounts, &Denials::default());
        for resource in ["secrets", "pods"] {
            let all = json!({"verb": "list", "resource": resource});
            assert!(matches!(config.decide(&asks("kubelet:on", all)), Verdict::Denied(..)), "{accounts} {resource}");
        }
    }
}

#[test]
fn as_many_as_can_be_revoked_stay_within_cels_limits() {
    needs!("python3-yaml");
    let text = authorization_text("kubelet", &revoked(MAX));
    let [config] = documents(&text).try_into().expect("one document");
    let config: AuthorizationConfiguration = serde_json::from_value(config).expect("known fields");
    assert_eq!(config.authorizers.iter().filter(|a| a.name.starts_with("revoked-")).count(), MAX / IN_A_RULE);
    let expressions = config.authorizers.iter().filter_map(|a| a.webhook.as_ref()).flat_map(|w| &w.match_conditions);
    let longest = expressions.map(|c| c.expression.chars().count()).max().expect("some");
    assert!((90_000..100_000).contains(&longest), "{longest}");
    assert!(text.len() < 8 << 20, "{}", text.len());
}

#[test]
fn kubectl_reads_the_kubeconfig_that_denies_and_finds_a_closed_port_in_it() {
    needs!("kubectl");
    let (_, text) = Templates::eject().iter().find(|(path, _)| path.ends_with("deny.kubeconfig")).expect("there");
    let text =
        text.split("#}\n").nth(1).expect("a template").replace("{{ files.ca }}", "\"/etc/kubernetes/pki/ca.crt\"");
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("deny.kubeconfig");
    std::fs::write(&path, text).expect("written");
    let output = Command::new("kubectl")
        .args([
            "config",
            "view",
            "--minify",
            "-o",
            "jsonpath={.clusters[0].cluster.server} {.users[0].name}",
            "--kubeconfig",
        ])
        .arg(&path)
        .output()
        .expect("kubectl");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "https://127.0.0.1:1 kube-apiserver");
}
