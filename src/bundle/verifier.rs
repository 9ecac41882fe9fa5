//! Renders the verifier bundle: a cluster directory with the files that CI needs for verification.
//!
//! It has no CA's key and no node's credential.

use super::input::{CredentialPem, InputError, check};
use super::manifest::Manifest;
use super::model::{Bundle, BundleFile};
use crate::cluster::name::HostName;
use crate::cluster::profile::Profile;
use crate::cluster::spec::Cluster;
use crate::pki::trust_bundle::TrustBundle;

/// The path of the cluster file.
pub const CLUSTER_FILE: &str = "cluster.yaml";
/// The path of the cluster's CA certificate.
pub const ROOT: &str = "pki/ca.crt";
/// The path of the list of certificates that API servers have to deny and that verification checks.
///
/// The API servers' own file lists every revoked certificate, which may be too large for a CI secret.
pub const DENIALS: &str = "policy/denials.json";
const POLICY_PATH: &str = "policy/clusterctl-verifier.yaml";
/// The name of the top folder, and in the manifest instead of a host's name.
const NAME: &str = "verifier";

/// The input of the verifier bundle.
#[derive(Debug)]
pub struct VerifierInput<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The bytes of the cluster file.
    pub cluster_file: &'a [u8],
    /// The cluster's CAs.
    pub trust: &'a TrustBundle,
    /// The verifier's credential and each master's client credential, each with its path below the cluster directory,
    /// without extension.
    pub credentials: Vec<(String, CredentialPem)>,
    /// The verifier's RBAC: [`super::render::Templates::verifier_policy`].
    pub policy: String,
    /// The certificates that API servers have to deny, as JSON.
    pub denials: Vec<u8>,
    /// The newest certificate's sequence in the ledger.
    pub generation: u64,
}

/// Renders the verifier bundle.
///
/// # Errors
/// Returns an error if a credential is damaged, not signed by this CA, or of a profile that does not belong there.
pub fn render(input: VerifierInput<'_>) -> Result<Bundle, InputError> {
    let public =
        |path: &str, bytes: &[u8]| BundleFile { path: path.to_owned(), mode: 0o644, bytes: bytes.to_vec().into() };
    let mut files = vec![
        public(CLUSTER_FILE, input.cluster_file),
        public(ROOT, input.trust.to_pem().as_bytes()),
        public(POLICY_PATH, input.policy.as_bytes()),
        public(DENIALS, &input.denials),
    ];
    let root = input.trust.active().root();
    let (mut not_before, mut not_after) = (root.not_before, root.not_after);
    let mut account = String::new();
    for (path, credential) in input.credentials {
        let profile = credential.profile;
        if !matches!(profile, Profile::Verifier | Profile::ApiserverKubeletClient) {
            return Err(InputError::NotTheHosts { profile });
        }
        let held = credential.read()?;
        let credential_of = check(&held, input.trust)?;
        for certificate in credential_of.certificates() {
            not_before = not_before.max(certificate.not_before);
            not_after = not_after.min(certificate.not_after);
        }
        if profile == Profile::Verifier {
            account = credential_of.certificate.account().user;
        }
        files.push(public(&format!("{path}.crt"), &credential.certificate));
        files.push(BundleFile { path: format!("{path}.key"), mode: 0o600, bytes: credential.key.into() });
    }
    let manifest = Manifest {
        cluster: input.cluster.name.clone(),
        host: HostName::parse(NAME).expect("a plain word is a name"),
        roles: Vec::new(),
        account,
        endpoint: input.cluster.endpoint.clone(),
        root_pin: input.trust.pin(),
        other_pins: input.trust.pins().split_off(1),
        not_before,
        not_after,
        generation: input.generation,
        rotation: None,
        restarts: Vec::new(),
        files: Vec::new(),
    };
    Ok(Bundle::with_manifest(manifest, files))
}
