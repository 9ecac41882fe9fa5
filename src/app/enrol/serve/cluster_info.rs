//! The ConfigMap `kube-public/cluster-info`, by which kubeadm discovers a cluster.

use base64ct::{Base64, Encoding};

use crate::cluster::spec::Cluster;
use crate::pki::trust_bundle::TrustBundle;

/// The key of the kubeconfig in the ConfigMap (Kubernetes `cluster-bootstrap/token/api`, `KubeConfigKey`).
pub(super) const KUBECONFIG: &str = "kubeconfig";

/// Returns a kubeconfig with the API server's location and the roots, and no user.
pub(super) fn kubeconfig(cluster: &Cluster, trust: &TrustBundle) -> String {
    let (roots, server) = (Base64::encode_string(trust.to_pem().as_bytes()), &cluster.endpoint);
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {roots}\n    server: {server}\n  name: \"\"\n\
         contexts: null\ncurrent-context: \"\"\nkind: Config\npreferences: {{}}\nusers: null\n"
    )
}
