//! The rights of accounts as Kubernetes's own types, PyYAML, kubectl and a CEL interpreter see them.

use std::process::Command;
use std::sync::OnceLock;

use clusterctl::bundle::policy::PolicyFile;
use clusterctl::bundle::render::Templates;
use clusterctl::cluster::spec::{Cluster, Draft, DraftHost};
use clusterctl::pki::fingerprint::Fingerprint;
use clusterctl::policy::denials::{Denials, IN_A_RULE, MAX};
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject};
use serde_json::{Value, json};

use super::support::admission::{Admission, Write};
use super::support::authorization::{AuthorizationConfiguration, Verdict};
use super::support::kubernetes::{documents, strict};
use super::support::{CLUSTER, Lab};

fn cluster(accounts: &str, nodes: usize) -> Cluster {
    let host = |name: &str, address: String| DraftHost {
        name: Some(name.to_owned()),
        addresses: vec![address],
        ..DraftHost::default()
    };
    let named = ["on", "1e3", "worker-a1.fra1.example.net"].map(str::to_owned);
    let numbered = (named.len()..nodes).map(|i| format!("node-{i}"));
    let nodes = named.into_iter().chain(numbered).take(nodes).enumerate();
    let draft = Draft {
        name: Some("prod".into()),
        accounts: Some(accounts.to_owned()),
        masters: vec![host("m1", "192.168.0.1".into())],
        nodes: nodes.map(|(i, name)| host(&name, format!("10.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255))).collect(),
        ..Draft::default()
    };
    draft.check().expect("a good draft")
}

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

/// A SubjectAccessReview's spec, as the API server hands it to conditions: every string is there, if empty
/// (`apiserver/pkg/authorization/cel`, `convertObjectToUnstructured`).
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

#[track_caller]
fn denied(verdict: Verdict, by: &str) {
    // The last condition is an error on purpose: the answer comes at once, and says why.
    assert!(
        matches!(&verdict, Verdict::Denied(name, why) if name == by && why.contains("no such key: clusterctl: ")),
        "{verdict:?}"
    );
}

#[test]
fn a_revoked_certificate_is_denied_everything_and_nobody_else_anything() {
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
        // No resource at all, no extra, nothing: what is not there denies nobody.
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
        // What it does not read by lists is RBAC's to judge, a group's resource of the same name, too.
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
fn reads_are_narrowed_for_kubelets_alone() {
    let config = authorization("kubelet", &Denials::default());
    let all_pods = json!({"verb": "list", "resource": "pods"});
    for user in ["admin", "system:kube-scheduler", "clusterctl:verifier", "system:node:on", ""] {
        assert_eq!(config.decide(&asks(user, all_pods.clone())), Verdict::NoOpinion, "{user}");
    }
    // Whoever is in the nodes' group under another name has no node of its own.
    let mut odd = asks("somebody", all_pods.clone());
    odd["groups"] = json!(["kubelets"]);
    denied(config.decide(&odd), "kubelets-pods");
    // The Node authorizer does the same for `system:node:`, and better.
    let config = authorization("system-node", &Denials::default());
    assert_eq!(config.decide(&asks("system:node:on", all_pods)), Verdict::NoOpinion);
}

#[test]
fn the_recorded_reviews_are_decided_as_they_were() {
    // From the exchanges with a 1.36.2: what was asked, and whether it was denied rather than not allowed.
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
fn the_authorizers_are_those_that_the_accounts_need_and_deny_first() {
    let names = |accounts, count| -> Vec<String> {
        let config = authorization(accounts, &revoked(count));
        config.authorizers.iter().map(|a| format!("{} {}", a.kind, a.name)).collect()
    };
    let reads = ["Webhook kubelets-pods", "Webhook kubelets-lists"];
    assert_eq!(names("kubelet", 0), [&["Webhook revoked-1"][..], &reads, &["RBAC rbac"]].concat());
    assert_eq!(
        names("kubelet", IN_A_RULE + 1),
        [&["Webhook revoked-1", "Webhook revoked-2"][..], &reads, &["RBAC rbac"]].concat()
    );
    assert_eq!(names("system-node", 0), ["Webhook revoked-1", "Node node", "RBAC rbac"]);
}

#[test]
fn as_many_as_can_be_revoked_stay_within_cels_limits() {
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

fn folder(cluster: &Cluster) -> Vec<PolicyFile> {
    let templates = Templates::compiled_in().expect("templates");
    templates.policy(cluster, &Denials::default()).collect::<Result<_, _>>().expect("rendered")
}

/// All documents that `kubectl apply -f policy/` applies, in its order.
fn applied(cluster: &Cluster) -> Vec<Value> {
    let files = folder(cluster);
    assert!(files.is_sorted_by(|a, b| a.path < b.path), "kubectl goes by names");
    files.iter().filter(|file| !file.path.contains('/')).flat_map(|file| documents(&file.text)).collect()
}

fn kinds(documents: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    documents.iter().map(|d| format!("{} {}", text(&d["kind"]), text(&d["metadata"]["name"]))).collect()
}

#[test]
fn every_document_is_what_kubernetes_takes_and_nothing_else() {
    for accounts in ["kubelet", "system-node"] {
        for document in applied(&cluster(accounts, 3)) {
            match (document["apiVersion"].as_str(), document["kind"].as_str()) {
                (Some("rbac.authorization.k8s.io/v1"), Some("ClusterRole")) => {
                    strict::<ClusterRole>(&document);
                }
                (Some("rbac.authorization.k8s.io/v1"), Some("ClusterRoleBinding")) => {
                    strict::<ClusterRoleBinding>(&document);
                }
                (Some("rbac.authorization.k8s.io/v1"), Some("Role")) => {
                    strict::<Role>(&document);
                }
                (Some("rbac.authorization.k8s.io/v1"), Some("RoleBinding")) => {
                    strict::<RoleBinding>(&document);
                }
                (Some("admissionregistration.k8s.io/v1"), Some("ValidatingAdmissionPolicy")) => {
                    strict::<ValidatingAdmissionPolicy>(&document);
                }
                (Some("admissionregistration.k8s.io/v1"), Some("ValidatingAdmissionPolicyBinding")) => {
                    strict::<ValidatingAdmissionPolicyBinding>(&document);
                }
                other => panic!("{other:?}"),
            }
            assert!(serde_json::to_vec(&document).expect("JSON").len() < 10_000, "{document}");
        }
    }
}

#[test]
fn what_narrows_is_applied_before_what_allows() {
    let names = kinds(&applied(&cluster("kubelet", 2)));
    let at = |name: &str| names.iter().position(|n| n == name).unwrap_or_else(|| panic!("{name}: {names:?}"));
    for policy in ["nodes", "leases", "pods", "tokens"] {
        let (policy, binding) = (
            at(&format!("ValidatingAdmissionPolicy clusterctl-kubelets-{policy}")),
            at(&format!("ValidatingAdmissionPolicyBinding clusterctl-kubelets-{policy}")),
        );
        assert!(policy < binding && binding < at("ClusterRole kubelets"), "{names:?}");
    }
    assert!(at("ClusterRole kubelets") < at("ClusterRoleBinding kubelets"));
    assert!(at("ClusterRoleBinding kubelets") < at("ClusterRole kubelet:on"));
    assert!(at("Role kubelet:1e3") < at("RoleBinding kubelet:1e3"));
    assert!(at("ClusterRole clusterctl:verifier") < at("ClusterRoleBinding clusterctl:verifier"));
    let names = kinds(&applied(&cluster("system-node", 3)));
    assert_eq!(
        names,
        [
            "ClusterRoleBinding clusterctl:kubelet-api",
            "ClusterRoleBinding clusterctl:admins",
            "ClusterRole clusterctl:verifier",
            "ClusterRoleBinding clusterctl:verifier",
        ]
    );
}

/// Whether RBAC lets this user, in these groups, do that (Kubernetes `plugin/pkg/auth/authorizer/rbac`).
fn rbac_allows(documents: &[Value], who: (&str, &[&str]), namespace: &str, what: (&str, &str, &str, &str)) -> bool {
    let (verb, group, resource, name) = what;
    let is_subject = |subjects: Option<&Vec<Subject>>| {
        subjects.into_iter().flatten().any(|s| match s.kind.as_str() {
            "User" => s.name == who.0,
            "Group" => who.1.contains(&s.name.as_str()),
            _ => false,
        })
    };
    let allows = |rule: &PolicyRule| {
        let has = |list: Option<&Vec<String>>, item: &str| list.is_some_and(|list| list.iter().any(|i| i == item));
        has(Some(&rule.verbs), verb)
            && has(rule.api_groups.as_ref(), group)
            && has(rule.resources.as_ref(), resource)
            && rule.resource_names.as_ref().is_none_or(|names| names.iter().any(|n| n == name))
    };
    let of_kind = |kind: &'static str| documents.iter().filter(move |d| d["kind"] == kind);
    let everywhere = of_kind("ClusterRoleBinding").map(strict::<ClusterRoleBinding>).any(|binding| {
        let mut roles = of_kind("ClusterRole").map(strict::<ClusterRole>);
        is_subject(binding.subjects.as_ref())
            && roles.any(|role| {
                role.metadata.name.as_deref() == Some(&binding.role_ref.name) && role.rules.iter().flatten().any(allows)
            })
    });
    let here = of_kind("RoleBinding").map(strict::<RoleBinding>).any(|binding| {
        let mut roles = of_kind("Role").map(strict::<Role>);
        binding.metadata.namespace.as_deref() == Some(namespace)
            && is_subject(binding.subjects.as_ref())
            && roles.any(|role| {
                role.metadata.namespace == binding.metadata.namespace
                    && role.metadata.name.as_deref() == Some(&binding.role_ref.name)
                    && role.rules.iter().flatten().any(allows)
            })
    });
    everywhere || here
}

#[test]
fn a_node_has_the_rights_that_a_kubelet_needs_over_itself_and_no_neighbour() {
    let documents = applied(&cluster("kubelet", 3));
    for host in ["on", "1e3", "worker-a1.fra1.example.net"] {
        let user = format!("kubelet:{host}");
        let may = |namespace: &str, verb: &str, group: &str, resource: &str, name: &str| {
            rbac_allows(
                &documents,
                (&user, &["kubelets", "system:authenticated"]),
                namespace,
                (verb, group, resource, name),
            )
        };
        for verb in ["get", "list", "watch", "update", "patch"] {
            assert!(may("", verb, "", "nodes", host), "{verb}");
            assert!(!may("", verb, "", "nodes", "node-9") && !may("", verb, "", "nodes", ""), "{verb}");
        }
        assert!(may("", "create", "", "nodes", "") && !may("", "delete", "", "nodes", host));
        for verb in ["get", "update", "patch", "delete"] {
            assert!(may("", verb, "storage.k8s.io", "csinodes", host), "{verb}");
            assert!(!may("", verb, "storage.k8s.io", "csinodes", "node-9"), "{verb}");
        }
        for verb in ["get", "update", "patch"] {
            assert!(may("kube-node-lease", verb, "coordination.k8s.io", "leases", host), "{verb}");
            assert!(!may("kube-node-lease", verb, "coordination.k8s.io", "leases", "node-9"), "{verb}");
            assert!(!may("kube-system", verb, "coordination.k8s.io", "leases", host), "{verb}");
        }
        assert!(may("kube-node-lease", "create", "coordination.k8s.io", "leases", ""));
        assert!(!may("kube-system", "create", "coordination.k8s.io", "leases", ""));
        for verb in ["patch", "update"] {
            assert!(may("", verb, "", "nodes/status", host) && !may("", verb, "", "nodes/status", "node-9"));
            assert!(may("default", verb, "", "pods/status", "a"));
        }
        for verb in ["create", "patch", "update"] {
            assert!(may("default", verb, "", "events", "") && may("default", verb, "events.k8s.io", "events", ""));
        }
        assert!(may("", "create", "authentication.k8s.io", "tokenreviews", ""));
        assert!(may("", "create", "authorization.k8s.io", "subjectaccessreviews", ""));
        assert!(may("kube-system", "create", "", "serviceaccounts/token", "x"));
        for refused in
            [("pods/exec", "create"), ("pods/eviction", "create"), ("nodes/proxy", "get"), ("secrets", "create")]
        {
            assert!(!may("default", refused.1, "", refused.0, "a"), "{refused:?}");
        }
    }
    // Who is in the group alone has no node.
    assert!(!rbac_allows(&documents, ("x", &["kubelets"]), "", ("get", "", "nodes", "on")));
}

/// Parsed once: it is the same for every test.
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

/// What the policies say of a write by `kubelet:HOST`.
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
fn a_node_writes_its_own_node_and_not_what_others_rely_on() {
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
        assert!(create(node("node-9", json!({}))).contains("its own Node alone"));
        assert!(create(json!({"metadata": {"generateName": host}})).contains("its own Node alone"));
        assert!(
            refusals(host, "UPDATE", NODES, "status", node("node-9", json!({})), node("node-9", json!({})))
                .contains("its own Node")
        );
        assert_eq!(refusals(host, "DELETE", NODES, "", plain.clone(), Value::Null), "");
        assert!(refusals(host, "DELETE", NODES, "", node("node-9", json!({})), Value::Null).contains("its own Node"));
        assert!(refusals(host, "DELETE", NODES, "", Value::Null, Value::Null).contains("its own Node"));
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
            // Taking it away, and changing it, is no better than setting it.
            let away = refusals(host, "UPDATE", NODES, "", with.clone(), plain.clone());
            let mut other = with.clone();
            other["metadata"]["labels"][label] = json!("w");
            let changed = refusals(host, "UPDATE", NODES, "", with.clone(), other);
            let kept = refusals(host, "UPDATE", NODES, "status", with.clone(), with);
            for says in says.iter().chain([&away, &changed]) {
                assert_eq!(says.is_empty(), fine, "{label}: {says}");
                assert!(fine || says.contains("sets no labels of kubernetes.io"), "{says}");
            }
            assert_eq!(kept, "", "{label}");
        }
        let mut tainted = plain.clone();
        tainted["spec"]["taints"] = json!([{"key": "dedicated", "effect": "NoSchedule"}]);
        assert_eq!(create(tainted.clone()), "", "a kubelet may register with taints, as with NodeRestriction");
        assert!(update("", tainted.clone()).contains("taints"));
        assert!(refusals(host, "UPDATE", NODES, "", tainted.clone(), plain.clone()).contains("taints"));
        assert_eq!(refusals(host, "UPDATE", NODES, "status", tainted.clone(), tainted), "");
        let mut owned = plain.clone();
        owned["metadata"]["ownerReferences"] = json!([{"kind": "Machine", "name": "m"}]);
        assert!(update("", owned.clone()).contains("ownerReferences"));
        assert!(create(owned.clone()).contains("ownerReferences"));
        assert_eq!(refusals(host, "UPDATE", NODES, "", owned.clone(), owned), "");
    }
}

#[test]
fn a_node_has_one_lease_and_one_csinode() {
    let lease = |name: &str, namespace: &str| json!({"metadata": {"name": name, "namespace": namespace}});
    let of = |operation: &str, lease: Value| match operation {
        "DELETE" => refusals("on", operation, ("coordination.k8s.io", "leases"), "", lease, Value::Null),
        "CREATE" => refusals("on", operation, ("coordination.k8s.io", "leases"), "", Value::Null, lease),
        _ => refusals("on", operation, ("coordination.k8s.io", "leases"), "", lease.clone(), lease),
    };
    for operation in ["CREATE", "UPDATE", "DELETE"] {
        assert_eq!(of(operation, lease("on", "kube-node-lease")), "");
        assert!(of(operation, lease("node-9", "kube-node-lease")).contains("its own Lease"));
        assert!(of(operation, lease("on", "kube-system")).contains("in kube-node-lease alone"));
    }
    let csi = ("storage.k8s.io", "csinodes");
    let named = |name: &str| json!({"metadata": {"name": name}});
    assert_eq!(refusals("on", "CREATE", csi, "", Value::Null, named("on")), "");
    assert_eq!(refusals("on", "DELETE", csi, "", named("on"), Value::Null), "");
    assert!(refusals("on", "DELETE", csi, "", named("node-9"), Value::Null).contains("its own CSINode"));
    assert!(refusals("on", "UPDATE", csi, "", named("node-9"), named("node-9")).contains("its own CSINode"));
}

#[test]
fn a_node_writes_the_pods_that_run_on_it() {
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
    assert!(create(mirror("node-9")).contains("spec.nodeName is its own"));
    assert!(create(pod("on")).contains("mirror pods alone"));
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
        assert!(says.contains("mirror pods alone"), "{says}");
    }
    let mut unbound = mirror("on");
    unbound["spec"] = json!({});
    assert!(create(unbound).contains("spec.nodeName"));
    let update = |sub: &str, old: Value, object: Value| refusals("on", "UPDATE", PODS, sub, old, object);
    assert_eq!(update("status", pod("on"), pod("on")), "");
    assert!(update("status", pod("node-9"), pod("node-9")).contains("spec.nodeName is its own"));
    assert!(update("status", pod("node-9"), pod("on")).contains("spec.nodeName is its own"));
    let mut relabelled = pod("on");
    relabelled["metadata"]["labels"]["app"] = json!("b");
    assert!(update("status", pod("on"), relabelled).contains("no labels"));
    assert!(update("", pod("on"), pod("on")).contains("its status alone"));
    assert_eq!(refusals("on", "DELETE", PODS, "", pod("on"), Value::Null), "");
    assert!(refusals("on", "DELETE", PODS, "", pod("node-9"), Value::Null).contains("spec.nodeName is its own"));
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a", "namespace": "default"}});
    assert!(refusals("on", "CREATE", PODS, "eviction", Value::Null, eviction).contains("evicts none"));
    assert!(refusals("on", "CONNECT", PODS, "exec", Value::Null, json!({"command": ["sh"]})).contains("enters none"));
}

#[test]
fn a_node_gets_tokens_of_pods_alone() {
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
        assert!(token(wrong).contains("bound to a pod"));
    }
    let unbound = json!({"spec": {"audiences": ["x"]}});
    assert!(
        refusals("on", "CREATE", ("", "serviceaccounts"), "token", Value::Null, unbound).contains("bound to a pod")
    );
}

#[test]
fn admission_narrows_kubelets_and_nobody_else() {
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
    assert_eq!(of("somebody", &["kubelets"]), 2, "the nodes' group under another name has no node of its own");
}

#[test]
fn five_thousand_nodes_make_no_large_object_and_few_files() {
    let cluster = cluster("kubelet", 5_000);
    let files = folder(&cluster);
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "10-accounts.yaml",
            "20-nodes-0001.yaml",
            "20-nodes-0002.yaml",
            "20-nodes-0003.yaml",
            "20-nodes-0004.yaml",
            "20-nodes-0005.yaml",
            "masters/authorization.yaml",
        ]
    );
    for file in &files {
        assert!(file.text.len() < 2 << 20, "{} has {} bytes", file.path, file.text.len());
    }
    let nodes = documents(&files[5].text);
    assert_eq!(nodes.len(), 4 * 1_000);
    assert!(nodes.iter().all(|document| document.to_string().len() < 1_000));
    assert_eq!(files, folder(&cluster), "the same bytes for the same input");
}

// ── the command ──

fn lab(accounts: &str) -> Lab {
    Lab::with(&CLUSTER.replace("serviceCIDRs", &format!("accounts: {accounts}\nserviceCIDRs")))
}

#[test]
fn policy_writes_a_folder_that_kubectl_reads_in_order_and_without_the_api_servers_own_file() {
    let lab = lab("kubelet");
    let ran = lab.good(&["policy"]);
    assert_eq!(
        ran.out,
        "DIR/policy/10-accounts.yaml\nDIR/policy/20-nodes-0001.yaml\nDIR/policy/masters/authorization.yaml\n"
    );
    assert!(ran.err.contains("kubectl apply -f DIR/policy"), "{ran}");
    // kubectl decodes what it is given into its own types, and here asks no server.
    let output = Command::new("kubectl")
        .args(["label", "--local", "-f", "policy", "x=y", "-o", "json"])
        .current_dir(lab.dir())
        .output()
        .expect("kubectl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let typed = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let mut typed: Vec<Value> = typed.collect::<Result<_, _>>().expect("JSON");
    for object in &mut typed {
        object["metadata"]["labels"].as_object_mut().expect("labels").remove("x");
        object["metadata"].as_object_mut().expect("metadata").remove("creationTimestamp");
        // An empty status that the type always writes.
        object.as_object_mut().expect("an object").remove("status");
    }
    let ours: Vec<Value> = ["policy/10-accounts.yaml", "policy/20-nodes-0001.yaml"]
        .iter()
        .flat_map(|path| documents(&lab.read(path)))
        .map(|mut document| {
            let labels = &mut document["metadata"]["labels"];
            if labels.is_null() {
                *labels = json!({});
            }
            document
        })
        .collect();
    assert_eq!(kinds(&typed), kinds(&ours));
    for (theirs, ours) in typed.iter().zip(&ours) {
        for part in ["metadata", "rules", "roleRef", "subjects"] {
            assert_eq!(theirs[part], ours[part], "{theirs}");
        }
        // kubectl fills in defaults where a type has some; what we say stays.
        for (key, value) in ours["spec"].as_object().into_iter().flatten() {
            let says = |value: &Value| value.to_string();
            let same = &theirs["spec"][key] == value || key == "matchConstraints";
            assert!(same, "{key}: {} {}", says(value), says(&theirs["spec"][key]));
        }
    }
    let before = lab.snapshot();
    lab.good(&["policy"]);
    assert_eq!(before, lab.snapshot(), "the same bytes for the same input");
}

#[test]
fn policy_replaces_its_folder_as_a_whole_and_nobody_elses_files() {
    let lab = lab("kubelet");
    lab.good(&["policy"]);
    lab.write("cluster.yaml", &CLUSTER.replace("serviceCIDRs", "accounts: system-node\nserviceCIDRs"));
    let ran = lab.good(&["policy"]);
    assert_eq!(ran.out, "DIR/policy/10-accounts.yaml\nDIR/policy/masters/authorization.yaml\n");
    assert!(!lab.path("policy/20-nodes-0001.yaml").exists());
    lab.write("policy/mine.yaml", "kind: Mine\n");
    let before = lab.snapshot();
    let refused = lab.run(&["policy"]);
    assert_eq!(refused.status, 3, "{refused}");
    assert!(refused.err.contains("DIR/policy/mine.yaml is not from clusterctl"), "{refused}");
    assert_eq!(before, lab.snapshot());
}

#[test]
fn a_template_of_ones_own_is_used_and_one_that_fails_changes_nothing() {
    let lab = lab("kubelet");
    std::fs::create_dir_all(lab.path("t/policy")).expect("a folder");
    lab.write("t/policy/nodes.yaml", "{% for node in nodes %}\n# {{ node.account }}\n{% endfor %}\n");
    lab.good(&["policy", "--templates", "t"]);
    assert!(lab.read("policy/20-nodes-0001.yaml").contains("# \"kubelet:on\""));
    lab.write("t/policy/nodes.yaml", "{{ nothing }}\n");
    let before = lab.snapshot();
    let failed = lab.run(&["policy", "--templates", "t"]);
    assert_eq!(failed.status, 2, "{failed}");
    assert!(failed.err.contains("policy/nodes.yaml, line 1"), "{failed}");
    lab.write("t/policy/other.yaml", "x\n");
    let unknown = lab.run(&["policy", "--templates", "t"]);
    assert!(unknown.status == 2 && unknown.err.contains("overrides nothing"), "{unknown}");
    std::fs::remove_file(lab.path("t/policy/other.yaml")).expect("removed");
    assert_eq!(before, lab.snapshot());
}

#[test]
fn check_says_on_one_screen_all_that_is_rendered() {
    for accounts in ["kubelet", "system-node"] {
        let ran = lab(accounts).good(&["policy", "--check"]);
        assert!(ran.out.lines().count() <= 40 && ran.out.lines().all(|line| line.chars().count() <= 110), "{ran}");
        let unwrapped: Vec<&str> = ran.out.split_whitespace().collect();
        let unwrapped = unwrapped.join(" ");
        for document in applied(&cluster(accounts, 1)) {
            for rule in document["rules"].as_array().into_iter().flatten() {
                let list = |key: &str, by: &str| {
                    let items = rule[key].as_array().into_iter().flatten();
                    items.map(|item| item.as_str().expect("text")).collect::<Vec<_>>().join(by)
                };
                let what = [list("resources", ", "), list("nonResourceURLs", ", ")].concat();
                let says = format!("{what}: {}", list("verbs", " "));
                assert!(unwrapped.contains(&says), "{says}: {ran}");
            }
            for subject in document["subjects"].as_array().into_iter().flatten() {
                let name = subject["name"].as_str().expect("a name").replace(":on", ":HOST");
                assert!(unwrapped.contains(&name), "{name}: {ran}");
            }
        }
    }
    let kubelets = lab("kubelet").good(&["policy", "--check"]).out;
    assert!(kubelets.contains("  open    it can get a secret"), "{kubelets}");
}
