//! Imports what `kubectl get nodes -o json` prints.

use super::cluster_file::cluster;
use crate::support::drafts::{meaning, means_to_pyyaml};
use crate::support::outside::needs;
use clusterctl::cluster::inventory::{ExternalIps, Inventory};
use clusterctl::cluster::spec::{RawCluster, RawHost};
use clusterctl::config::{KubectlError, from_kubectl, write};

// ── from kubectl ──

fn kubectls(bytes: &[u8]) -> Result<Inventory, KubectlError> {
    from_kubectl(bytes, ExternalIps::NamesOnly)
}

#[test]
fn recorded_kubectl_output_is_imported_completely() {
    needs!("python3-yaml");
    let found = kubectls(include_bytes!("data/nodes-from-kubectl.json")).expect("real output");
    let names: Vec<&str> = found.nodes.iter().filter_map(|node| node.name.as_deref()).collect();
    assert_eq!(
        names,
        [
            "ip-10-20-3-7.eu-central-1.compute.internal",
            "node-1",
            "on",
            "worker-a1.fra1.example.net",
            "worker-a2.fra1.example.net",
            "worker-b1",
            "worker-b2"
        ]
    );
    assert_eq!(names[0].len(), 42);
    assert_eq!(found.nodes[0].addresses, ["10.20.3.7", "ip-10-20-3-7.eu-central-1.compute.internal"]);
    assert_eq!(found.nodes[3].addresses, ["10.20.1.11", "fd20:1::11", "worker-a1.fra1.example.net"]);
    assert_eq!(found.nodes[6].addresses, ["10.20.2.12", "worker-b2", "worker-b2.edge.example.net", "203.0.113.22"]);
    assert!(found.nodes.iter().all(|node| node.port.is_none()));
    assert!(found.masters.is_empty() && found.without_addresses.is_empty());

    let master = RawHost { name: Some("master-1".into()), addresses: vec!["10.20.0.11".into()], ..RawHost::default() };
    let draft =
        RawCluster { name: Some("prod".into()), masters: vec![master], nodes: found.nodes, ..RawCluster::default() };
    let cluster = cluster(&write(&draft));
    assert_eq!(cluster.nodes[2].name.as_str(), "on");
    assert_eq!(means_to_pyyaml(&[write(&draft)]), [meaning(&draft)]);
}

#[test]
fn ports_masters_and_nodes_without_addresses_are_reported() {
    let json = r#"{"kind": "NodeList", "apiVersion": "v1", "items": [
        {"metadata": {"name": "cp", "labels": {"node-role.kubernetes.io/control-plane": ""}},
         "status": {"addresses": [{"type": "InternalIP", "address": "fd00::1"}, {"type": "ExternalIP", "address": "FD00:0::1"}],
                    "daemonEndpoints": {"kubeletEndpoint": {"Port": 10350}}}},
        {"metadata": {"name": "old", "labels": {"node-role.kubernetes.io/master": "true"}},
         "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.2"}], "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}}},
        {"metadata": {"name": "lost"}, "status": {"addresses": []}},
        {"metadata": {"name": "new"}}]}"#;
    let found = kubectls(json.as_bytes()).expect("valid");
    let host = |name: &str, address: &str, port: Option<&str>| RawHost {
        name: Some(name.into()),
        addresses: vec![address.into()],
        port: port.map(Into::into),
        ..RawHost::default()
    };
    assert_eq!(found.nodes, [host("cp", "fd00::1", Some("10350")), host("old", "10.0.0.2", None)]);
    assert_eq!(found.masters, [host("cp", "fd00::1", None), host("old", "10.0.0.2", None)]);
    assert_eq!(found.without_addresses, ["lost", "new"]);
}

#[test]
fn a_single_node_object_is_imported() {
    let json = r#"{"kind":"Node","metadata":{"name":"a"},"status":{"addresses":[{"type":"Hostname","address":"a"}]}}"#;
    assert_eq!(kubectls(json.as_bytes()).expect("valid").nodes.len(), 1);
}

#[test]
fn input_that_is_not_kubectl_output_has_typed_errors() {
    let refused = |json: &str| kubectls(json.as_bytes()).expect_err(json);
    assert_eq!(refused(r#"{"kind":"List","items":[]}"#), KubectlError::NoNodes);
    assert_eq!(refused(r#"{"kind":"List","items":null}"#), KubectlError::NoNodes);
    assert_eq!(refused(r#"{"kind":"PodList","items":[]}"#), KubectlError::OtherKind { kind: "PodList".into() });
    let pods = r#"{"kind":"List","items":[{"kind":"Pod","metadata":{"name":"p"}}]}"#;
    assert_eq!(refused(pods), KubectlError::OtherKind { kind: "Pod".into() });
    assert_eq!(refused(r#"{"kind":"List","items":[{"metadata":{}}]}"#), KubectlError::NoName { index: 0 });
    assert_eq!(kubectls(b"\xff\xfe{\0"), Err(KubectlError::NotUtf8));
    for wrong in
        ["", "NAME STATUS ROLES\nn1 Ready <none>\n", "[]", "{}", "apiVersion: v1\nkind: List\n", &"[".repeat(100_000)]
    {
        let error = refused(wrong);
        let said = matches!(error, KubectlError::Json { .. } | KubectlError::Empty | KubectlError::Table);
        assert!(said, "{error:?}");
    }
}
