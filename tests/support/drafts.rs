//! Cluster files for tests, and the meaning of a draft for every reader.

use clusterctl::cluster::kubelet::RawValue;
use clusterctl::cluster::spec::{RawCluster, RawHost};

pub(crate) const GOOD: &str = "\
apiVersion: clusterctl/v1
kind: Cluster
name: prod
endpoint: https://api.prod.example.net:6443
accounts: system-node
serviceCIDRs: [10.96.0.0/16, \"fd00:10:96::/112\"]
clusterDomain: cluster.local
keys: ed25519
validity: {ca: 10y, master: 1y, node: 90d}
masters:
- {name: master-1, addresses: [10.20.0.11, master-1.example.net], apiServerPort: 7443}
nodes:
- name: worker-a1.fra1.example.net
  addresses: [10.20.1.11, \"fd20:1::11\", worker-a1.fra1.example.net]
  kubeletPort: 10350
";

pub(crate) fn with(lines: &str) -> String {
    format!("apiVersion: clusterctl/v1\nkind: Cluster\n{lines}")
}

/// Returns the JSON value that PyYAML, a YAML 1.1 reader, reads for each text.
pub(crate) fn means_to_pyyaml(texts: &[String]) -> Vec<serde_json::Value> {
    let program = "import json, sys, yaml; json.dump([yaml.safe_load(t) for t in json.load(sys.stdin)], sys.stdout)";
    let input = serde_json::to_vec(texts).expect("texts");
    crate::support::python(program, &input).as_array().expect("a list").clone()
}

/// Returns the meaning that the written draft must have for every reader: strings, except for port numbers.
pub(crate) fn meaning(draft: &RawCluster) -> serde_json::Value {
    use serde_json::{Map, Value, json};
    let hosts = |hosts: &[RawHost], port_key: &str| {
        let host = |host: &RawHost| {
            let mut map = Map::new();
            map.extend(host.name.as_ref().map(|name| ("name".to_owned(), json!(name))));
            map.insert("addresses".to_owned(), json!(host.addresses));
            let number =
                |port: &str| port.parse::<u32>().ok().filter(|n| n.to_string() == port && *n > 0 && *n <= 99_999);
            map.extend(
                host.port.as_ref().map(|p| (port_key.to_owned(), number(p).map_or_else(|| json!(p), |n| json!(n)))),
            );
            map.extend(kubelet_meaning(&host.kubelet));
            Value::Object(map)
        };
        hosts.iter().map(host).collect::<Vec<_>>()
    };
    let mut map = Map::new();
    map.insert("apiVersion".into(), json!("clusterctl/v1"));
    map.insert("kind".into(), json!("Cluster"));
    let texts = [
        ("name", &draft.name),
        ("endpoint", &draft.endpoint),
        ("accounts", &draft.accounts),
        ("clusterDomain", &draft.cluster_domain),
        ("renewBefore", &draft.renew_before),
        ("keys", &draft.keys),
        ("templates", &draft.templates),
        ("withUnits", &draft.with_units),
    ];
    map.extend(texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text.as_ref()?)))));
    map.extend(draft.service_cidrs.as_ref().map(|cidrs| ("serviceCIDRs".to_owned(), json!(cidrs))));
    let validity = [
        ("ca", &draft.validity_ca),
        ("master", &draft.validity_master),
        ("node", &draft.validity_node),
        ("admin", &draft.validity_admin),
        ("crl", &draft.validity_crl),
    ];
    let validity: Map<String, Value> =
        validity.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text.as_ref()?)))).collect();
    if !validity.is_empty() {
        map.insert("validity".into(), Value::Object(validity));
    }
    let kubernetes = [
        ("version", &draft.kubernetes_version),
        ("imageRepository", &draft.image_repository),
        ("etcdVersion", &draft.etcd_version),
    ];
    let kubernetes: Map<String, Value> =
        kubernetes.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text.as_ref()?)))).collect();
    let signers = [
        ("cluster", &draft.signers.cluster),
        ("etcd", &draft.signers.etcd),
        ("front-proxy", &draft.signers.front_proxy),
        ("next-cluster", &draft.signers.next_cluster),
    ];
    let signers: Map<String, Value> = signers
        .into_iter()
        .filter_map(|(key, signer)| {
            let signer = signer.as_ref()?;
            let exec = signer.exec.as_ref().map(|exec| ("exec".to_owned(), json!(exec)));
            let texts = [("timeout", &signer.timeout), ("pkcs11", &signer.pkcs11), ("module", &signer.module)];
            let texts = texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text.as_ref()?))));
            Some((key.to_owned(), Value::Object(exec.into_iter().chain(texts).collect())))
        })
        .collect();
    if !signers.is_empty() {
        map.insert("signers".into(), Value::Object(signers));
    }
    if !kubernetes.is_empty() {
        map.insert("kubernetes".into(), Value::Object(kubernetes));
    }
    map.extend(kubelet_meaning(&draft.kubelet));
    map.insert("masters".into(), json!(hosts(&draft.masters, "apiServerPort")));
    map.insert("nodes".into(), json!(hosts(&draft.nodes, "kubeletPort")));
    Value::Object(map)
}

fn kubelet_meaning(kubelet: &RawValue) -> Option<(String, serde_json::Value)> {
    fn meaning(written: &RawValue) -> serde_json::Value {
        match written {
            RawValue::Null => serde_json::Value::Null,
            RawValue::Text(text) => text.clone().into(),
            RawValue::List(items) => items.iter().map(meaning).collect(),
            RawValue::Mapping(entries) => {
                serde_json::Value::Object(entries.iter().map(|(key, value)| (key.clone(), meaning(value))).collect())
            }
        }
    }
    (*kubelet != RawValue::Null).then(|| ("kubelet".to_owned(), meaning(kubelet)))
}
