//! Assembles the target that a bundle describes: a verifier bundle has all hosts, a node's own bundle has the endpoint
//! and the node.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::assembled::{AssembledTarget, LIMIT, narrow};
use super::denials;
use super::error::{TargetError, UnusableBundle, VerifyError};
use super::kubeconfig::{endpoint_of, other_server_name, trust_match};
use crate::app::{Error, input};
use crate::bundle::host_keys::HOST_KEYS;
use crate::bundle::model::Bundle;
use crate::bundle::{archive, verifier};
use crate::cluster::profile::CertificateSpec;
use crate::cluster::spec::Cluster;
use crate::config::{self, kubeconfig};
use crate::pki::certificate::Certificate;
use crate::store::layout::Layout;
use crate::verify::finding::Status;
use crate::verify::remedy::TargetKind;
use crate::verify::target::{Identity, KnownCredential, Peer, Target};

/// The kubelet's kubeconfig in a node's bundle.
const KUBELET_CONF: &str = "etc/kubernetes/kubelet.conf";
/// The CAs' certificates in a node's bundle.
const CA: &str = "etc/kubernetes/pki/ca.crt";
/// The kubelet's client certificate and key in a node's bundle, without extensions.
const KUBELET_CLIENT: &str = "var/lib/kubelet/pki/kubelet-client";

/// Returns the target that the bundle at `path` describes.
///
/// # Errors
/// Returns an error if the bundle cannot be read or used, or does not have one of `nodes`.
pub(super) fn target(path: &Path, nodes: &[String]) -> Result<AssembledTarget, Error> {
    let unusable = |reason| TargetError::Bundle { path: path.to_owned(), reason };
    let bytes = Zeroizing::new(input::read_named(path, LIMIT, "bundle")?);
    let bundle =
        archive::read(&bytes).map_err(|error| VerifyError::Target(unusable(UnusableBundle::Archive(error))))?;
    let target = match bundle.file(verifier::CLUSTER_FILE) {
        Some(file) => config::read(&file.bytes)
            .map_err(|error| unusable(UnusableBundle::ClusterFile(error)))
            .and_then(|cluster| from_verifier_bundle(&bundle, &cluster, nodes)),
        None => from_node_bundle(&bundle, path, nodes),
    };
    Ok(target.map_err(VerifyError::Target)?)
}

/// The reason why no connections are made as the node of a bundle without keys.
const KEY_ON_HOST: &str = "the bundle does not have its key, which only its host has";

fn from_node_bundle(bundle: &Bundle, path: &Path, nodes: &[String]) -> Result<AssembledTarget, TargetError> {
    let unusable = |reason| TargetError::Bundle { path: path.to_owned(), reason };
    let Some(config) = bundle.file(KUBELET_CONF) else { return Err(unusable(UnusableBundle::OfMaster)) };
    if let Some(node) = nodes.first() {
        return Err(TargetError::NodeBesideBundle { path: path.to_owned(), node: node.clone() });
    }
    let config = kubeconfig::read(&config.bytes).map_err(|error| unusable(UnusableBundle::Kubeconfig(error)))?;
    let used = config.resolve(None).map_err(|error| unusable(UnusableBundle::Context(error)))?;
    let mut target = Target::empty(bundle.manifest.cluster.to_string());
    target.kind = TargetKind::Bundle;
    target.endpoint = Some(endpoint_of(used.cluster)?);
    let file = |path: &str| bundle.file(path).map(|file| file.bytes.to_vec()).unwrap_or_default();
    target.add_trust_file(&file(CA));
    let host = bundle.manifest.host.to_string();
    let key = bundle.file(&format!("{KUBELET_CLIENT}.key"));
    target.nodes.push(match key {
        None if bundle.file(HOST_KEYS).is_some() => Peer::without_client(host, KEY_ON_HOST.to_owned()),
        _ => {
            let certificate = file(&format!("{KUBELET_CLIENT}.crt"));
            let client = Identity::from_pem(&certificate, key.map(|file| &*file.bytes).unwrap_or_default());
            let client = client.map_err(|error| unusable(UnusableBundle::Identity(error)))?;
            Peer { account_checked: true, ..Peer::client_only(host, client) }
        }
    });
    let pins: BTreeSet<_> = bundle.manifest.pins().collect();
    let pinned = pins == target.roots.iter().map(Certificate::spki_fingerprint).collect();
    let mut wrong: Vec<String> = used.weaknesses().into_iter().map(|weakness| weakness.what).collect();
    wrong.extend(used.cluster.tls_server_name.as_deref().map(other_server_name));
    if !pinned {
        wrong.push("the CA in it is not the one that its manifest pins".to_owned());
    }
    let findings = vec![trust_match(bundle.manifest.host.as_str(), path, &wrong, Status::Fail)];
    Ok(AssembledTarget { target, findings })
}

fn from_verifier_bundle(bundle: &Bundle, cluster: &Cluster, nodes: &[String]) -> Result<AssembledTarget, TargetError> {
    let layout = Layout::new(PathBuf::new());
    let stored = |spec: &CertificateSpec| {
        let name = spec.policy().name;
        let base = layout.holder_folder(spec.profile, spec.host.as_ref()).join(name).display().to_string();
        let (certificate, key) = (bundle.file(&format!("{base}.crt")), bundle.file(&format!("{base}.key")));
        let (Some(certificate), Some(key)) = (certificate, key) else {
            let missing = format!("the verifier bundle has no {name} of this host");
            return KnownCredential { missing: Some(missing), ..KnownCredential::default() };
        };
        match Identity::from_pem(&certificate.bytes, &key.bytes) {
            Ok(identity) => KnownCredential { issued: None, identity: Some(identity), missing: None },
            Err(error) => KnownCredential { missing: Some(error.to_string()), ..KnownCredential::default() },
        }
    };
    let mut target = Target::of(cluster, Vec::new(), stored);
    target.kind = TargetKind::Bundle;
    target.add_trust_file(bundle.file(verifier::ROOT).map(|file| &*file.bytes).unwrap_or_default());
    // Bundles of older versions do not have this file.
    if let Some(file) = bundle.file(verifier::DENIALS) {
        target.denials = Some(denials::parse(&file.bytes)?);
    }
    narrow(&mut target, nodes)?;
    Ok(target.into())
}
