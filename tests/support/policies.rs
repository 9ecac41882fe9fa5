//! The policy pack of a small cluster, as `kubectl apply` takes it.

use clusterctl::bundle::policy::PolicyFile;
use clusterctl::bundle::render::Templates;
use clusterctl::cluster::spec::{Cluster, RawCluster, RawHost};
use clusterctl::rbac::denials::Denials;
use serde_json::Value;

use super::kubernetes::documents;

pub(crate) fn cluster(accounts: &str, nodes: usize) -> Cluster {
    let host = |name: &str, address: String| RawHost {
        name: Some(name.to_owned()),
        addresses: vec![address],
        ..RawHost::default()
    };
    let named = ["on", "1e3", "worker-a1.fra1.example.net"].map(str::to_owned);
    let numbered = (named.len()..nodes).map(|i| format!("node-{i}"));
    let nodes = named.into_iter().chain(numbered).take(nodes).enumerate();
    let draft = RawCluster {
        name: Some("prod".into()),
        accounts: Some(accounts.to_owned()),
        masters: vec![host("m1", "192.168.0.1".into())],
        nodes: nodes.map(|(i, name)| host(&name, format!("10.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255))).collect(),
        ..RawCluster::default()
    };
    draft.check().expect("a good draft")
}

pub(crate) fn folder(cluster: &Cluster) -> Vec<PolicyFile> {
    let templates = Templates::compiled_in().expect("templates");
    templates.policy(cluster, &Denials::default()).collect::<Result<_, _>>().expect("rendered")
}

/// All documents that `kubectl apply -f policy/` applies, in its order.
pub(crate) fn applied(cluster: &Cluster) -> Vec<Value> {
    let files = folder(cluster);
    assert!(files.is_sorted_by(|a, b| a.path < b.path), "kubectl goes by names");
    files.iter().filter(|file| !file.path.contains('/')).flat_map(|file| documents(&file.text)).collect()
}
