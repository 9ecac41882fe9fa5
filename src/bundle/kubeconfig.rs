//! Renders an administrator's kubeconfig: one file with certificates and key in it.
//!
//! Hosts get kubeconfigs from templates instead, with paths of files, because programs reload files.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::cluster::endpoint::Endpoint;
use crate::cluster::spec::Cluster;
use crate::pki::certificate::Certificate;
use crate::pki::issuer::Credential;
use crate::pki::trust_bundle::TrustBundle;

/// Returns a kubeconfig (client-go `clientcmd/api/v1`) for `cluster`'s endpoint with `credential`, which trusts
/// `trust`.
///
/// Strings are quoted as in JSON, so that a YAML 1.1 reader also reads them as strings.
#[must_use]
pub fn embedded(cluster: &Cluster, trust: &TrustBundle, credential: &Credential) -> Zeroizing<String> {
    embedded_for(&cluster.endpoint, cluster, trust, credential)
}

/// Like [`embedded`], for another server than the API servers' endpoint.
#[must_use]
pub fn embedded_for(
    endpoint: &Endpoint,
    cluster: &Cluster,
    trust: &TrustBundle,
    credential: &Credential,
) -> Zeroizing<String> {
    let user = credential.certificate.account().user;
    let (cluster_name, context) = (quoted(cluster.name.as_str()), quoted(&format!("{user}@{}", cluster.name)));
    let (server, user) = (quoted(&endpoint.to_string()), quoted(&user));
    let anchors: String = trust.anchors_of_accounts().into_iter().map(Certificate::to_pem).collect();
    let ca = data(anchors.as_bytes());
    let certificate = data(credential.certificate_pem().as_bytes());
    let key = data(credential.key.to_pem().as_bytes());
    // The capacity is sufficient, because growing would leave copies of the key in memory.
    let mut text = Zeroizing::new(String::with_capacity(1024 + ca.len() + certificate.len() + key.len()));
    for part in [
        "# An administrator's account. Written by clusterctl; every reader of this file has that account.\n",
        "apiVersion: v1\nkind: Config\nclusters:\n- name: ",
        &cluster_name,
        "\n  cluster:\n    server: ",
        &server,
        "\n    certificate-authority-data: ",
        &ca,
        "\nusers:\n- name: ",
        &user,
        "\n  user:\n    client-certificate-data: ",
        &certificate,
        "\n    client-key-data: ",
        &key,
        "\ncontexts:\n- name: ",
        &context,
        "\n  context:\n    cluster: ",
        &cluster_name,
        "\n    user: ",
        &user,
        "\ncurrent-context: ",
        &context,
        "\n",
    ] {
        text.push_str(part);
    }
    text
}

fn data(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(format!("\"{}\"", Zeroizing::new(Base64::encode_string(bytes)).as_str()))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
