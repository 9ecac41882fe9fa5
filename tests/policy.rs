//! The rights of accounts, read with Kubernetes's own types and kubectl, and the command that renders them.

use std::process::Command;

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject};
use serde_json::{Value, json};

use super::support::kubernetes::{documents, strict};
use super::support::policies::{applied, cluster, folder};
use super::support::{CLUSTER, Lab};

use crate::support::outside::needs;

fn kinds(documents: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    documents.iter().map(|d| format!("{} {}", text(&d["kind"]), text(&d["metadata"]["name"]))).collect()
}

#[test]
fn every_policy_document_decodes_strictly() {
    needs!("python3-yaml");
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
fn restrictions_are_applied_before_grants() {
    needs!("python3-yaml");
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
            "Role clusterctl:verifier",
            "RoleBinding clusterctl:verifier",
        ]
    );
}

/// Returns true if RBAC allows this user, in these groups, a request (Kubernetes `plugin/pkg/auth/authorizer/rbac`).
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
fn a_nodes_rights_are_limited_to_its_own_objects() {
    needs!("python3-yaml");
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
    // A member of the group without a node name has no node.
    assert!(!rbac_allows(&documents, ("x", &["kubelets"]), "", ("get", "", "nodes", "on")));
}

#[test]
fn the_policy_of_5000_nodes_has_small_objects_and_few_files() {
    needs!("python3-yaml");
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
fn kubectl_reads_the_policy_folder_in_order() {
    needs!("kubectl");
    let lab = lab("kubelet");
    let ran = lab.good(&["policy"]);
    assert_eq!(
        ran.out,
        "DIR/policy/10-accounts.yaml\nDIR/policy/20-nodes-0001.yaml\nDIR/policy/masters/authorization.yaml\n"
    );
    insta::assert_snapshot!("next_steps_of_policy", ran.err);
    // kubectl decodes its input into its own types, here without a server.
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
        // The type always writes an empty status.
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
        // kubectl fills in defaults; the given values stay.
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
fn policy_replaces_its_folder_and_no_foreign_files() {
    let lab = lab("kubelet");
    lab.good(&["policy"]);
    lab.write("cluster.yaml", &CLUSTER.replace("serviceCIDRs", "accounts: system-node\nserviceCIDRs"));
    let ran = lab.good(&["policy"]);
    assert_eq!(ran.out, "DIR/policy/10-accounts.yaml\nDIR/policy/masters/authorization.yaml\n");
    assert!(!lab.path("policy/20-nodes-0001.yaml").exists());
    lab.write("policy/mine.yaml", "kind: Mine\n");
    let before = lab.snapshot();
    let refused = lab.run(&["policy"]);
    insta::assert_snapshot!("a_file_in_the_policy_folder_that_clusterctl_did_not_write", refused.to_string());
    assert_eq!(before, lab.snapshot());
}

#[test]
fn a_custom_policy_template_is_used_and_a_failing_one_changes_nothing() {
    let lab = lab("kubelet");
    std::fs::create_dir_all(lab.path("t/policy")).expect("a folder");
    lab.write("t/policy/nodes.yaml", "{% for node in nodes %}\n# {{ node.account }}\n{% endfor %}\n");
    lab.good(&["policy", "--templates", "t"]);
    assert!(lab.read("policy/20-nodes-0001.yaml").contains("# \"kubelet:on\""));
    lab.write("t/policy/nodes.yaml", "{{ nothing }}\n");
    let before = lab.snapshot();
    let failed = lab.run(&["policy", "--templates", "t"]);
    insta::assert_snapshot!("a_policy_template_that_fails", failed.to_string());
    lab.write("t/policy/other.yaml", "x\n");
    let unknown = lab.run(&["policy", "--templates", "t"]);
    insta::assert_snapshot!("a_policy_template_that_overrides_nothing", unknown.to_string());
    std::fs::remove_file(lab.path("t/policy/other.yaml")).expect("removed");
    assert_eq!(before, lab.snapshot());
}

#[test]
fn policy_check_describes_every_rendered_rule() {
    needs!("python3-yaml");
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
    insta::assert_snapshot!(lab("kubelet").good(&["policy", "--check"]).out);
}
