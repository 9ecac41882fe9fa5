//! The verifier bundle: what CI needs to run `verify`, laid out as a cluster directory. It holds no CA's key and no
//! node's credential.

use super::input::{CredentialPem, InputError, check};
use super::manifest::Manifest;
use super::model::{Bundle, BundleFile};
use crate::cluster::name::HostName;
use crate::cluster::profile::Profile;
use crate::cluster::spec::Cluster;
use crate::pki::trust_bundle::TrustBundle;

/// Where the cluster file lies in it.
pub const CLUSTER_FILE: &str = "cluster.yaml";
/// Where the root lies in it.
pub const ROOT: &str = "pki/ca.crt";
/// Where lies what API servers have to deny, as far as `verify` asks them. Their own file names every revoked certificate, which
/// is too much for a CI secret.
pub const DENIALS: &str = "policy/denials.json";
const POLICY_PATH: &str = "policy/clusterctl-verifier.yaml";
/// The bundle's own name in its manifest and as its top folder; it is no host's.
const NAME: &str = "verifier";

/// What the verifier bundle is made from.
#[derive(Debug)]
pub struct VerifierInput<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The cluster file as it lies in the directory: the inventory.
    pub cluster_file: &'a [u8],
    /// The cluster's CAs.
    pub trust: &'a TrustBundle,
    /// The verifier's credential and each master's client credential, with the path of each below the cluster directory,
    /// without ending.
    pub credentials: Vec<(String, CredentialPem)>,
    /// What the verifier's account has to be allowed: [`super::render::Templates::verifier_policy`].
    pub policy: String,
    /// What API servers have to deny, as JSON: `verify` asks them whether they do.
    pub denials: Vec<u8>,
    /// The newest certificate's place in the ledger.
    pub generation: u64,
}

/// Puts the verifier bundle together.
///
/// # Errors
/// When a credential is damaged, not of this root, or of a kind that does not belong there.
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
        let credential_of = &check(&held, input.trust)?.credential;
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
        files: Vec::new(),
    };
    Ok(Bundle::with_manifest(manifest, files))
}
