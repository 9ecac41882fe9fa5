//! Compares a bundle with the one that would be packed now.
//!
//! Rendering is deterministic, so a difference means a later change or other templates or settings.

use std::collections::BTreeMap;

use crate::bundle::format::Format;
use crate::bundle::host_keys::HOST_KEYS;
use crate::bundle::images::Settings;
use crate::bundle::input::{BundleInput, HostCredential, Roles};
use crate::bundle::model::{Bundle, INSTALLER, MANIFEST, MANIFEST_SUM, SIGNATURE};
use crate::bundle::paths;
use crate::bundle::render::Templates;
use crate::cluster::profile::{CaRole, CertificateSpec};
use crate::cluster::spec::Cluster;
use crate::pki::ca_set::CaSet;
use crate::pki::trust_bundle::TrustBundle;
use crate::rbac::denials::Denials;
use crate::store::credentials;
use crate::store::layout::Layout;
use crate::store::ledger::inventory::Inventory;
use crate::store::service_account::{self, KeyPairState};

/// Flags that affect trust. A flag takes precedence over the configuration file of a component.
const TRUST_FLAGS: [&str; 24] = [
    "--anonymous-auth",
    "--authentication-config",
    "--authentication-token-webhook-config-file",
    "--authorization-config",
    "--authorization-mode",
    "--bootstrap-kubeconfig",
    "--client-ca-file",
    "--client-cert-auth",
    "--config",
    "--enable-bootstrap-token-auth",
    "--insecure-skip-tls-verify",
    "--kubeconfig",
    "--kubelet-certificate-authority",
    "--peer-client-cert-auth",
    "--peer-trusted-ca-file",
    "--read-only-port",
    "--requestheader-allowed-names",
    "--requestheader-client-ca-file",
    "--rotate-certificates",
    "--tls-cert-file",
    "--tls-private-key-file",
    "--token-auth-file",
    "--trusted-ca-file",
    "--use-service-account-credentials",
];

/// Renders the bundle that a host should have.
pub(super) struct ExpectedBundle<'a> {
    pub(super) layout: &'a Layout,
    pub(super) cluster: &'a Cluster,
    pub(super) cas: Option<CaSet>,
    pub(super) known: &'a Inventory,
    pub(super) denials: &'a Denials,
    pub(super) templates: Option<Templates>,
}

/// The differences of a bundle.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Missing files, and changes that affect trust, as text.
    pub(super) problems: Vec<String>,
    /// The paths of all files that differ.
    pub(super) changed: Vec<String>,
}

/// Returns the CAs of all roles; `None` if one of them cannot be read.
pub(super) fn ca_set(known: &BTreeMap<CaRole, TrustBundle>) -> Option<CaSet> {
    CaSet::try_from_fn(|role| known.get(&role).cloned().ok_or(())).ok()
}

impl ExpectedBundle<'_> {
    /// Compares a bundle with the one that would be packed now.
    ///
    /// Returns no differences if the expected bundle cannot be rendered because a credential is missing or its key was
    /// deleted; other findings report that.
    pub(super) fn difference(&self, bundle: &Bundle, roles: Roles<'_>, format: Format) -> Difference {
        let mut found = Difference::default();
        let has_units = bundle.files.iter().any(|file| file.path.ends_with(paths::UNIT_ENDING));
        let with_units = self.cluster.with_units || has_units;
        let Some(expected) = self.expected(roles, bundle.manifest.generation, with_units) else { return found };
        let is_metadata = |path: &str| [MANIFEST, MANIFEST_SUM, SIGNATURE].contains(&path);
        for wanted in expected.files.iter().filter(|file| !is_metadata(&file.path)) {
            let path = &wanted.path;
            match bundle.file(path) {
                // Ignition installs the files itself.
                None if [INSTALLER, HOST_KEYS].contains(&path.as_str()) && format == Format::Ignition => {}
                None => found.problems.push(format!("{path} is missing")),
                Some(file) if file.bytes == wanted.bytes => {}
                // The ledger's sequence is only in a comment, and not every revocation changes what API servers deny.
                Some(file) if *path == paths::AUTHORIZATION && text(&file.bytes) == text(&wanted.bytes) => {}
                Some(_) if is_credential(path) => {
                    found.problems.push(format!("{path} is not the one in the directory"))
                }
                Some(file) => {
                    let (text, wanted) = (text(&file.bytes), text(&wanted.bytes));
                    if path != INSTALLER {
                        found.problems.extend(flags(path, &text, &wanted));
                    }
                    if *path == paths::AUTHORIZATION {
                        found.problems.extend(permissive_setting(&text));
                    }
                    found.changed.push(path.clone());
                }
            }
        }
        let extra = bundle.files.iter().filter(|file| !is_metadata(&file.path) && expected.file(&file.path).is_none());
        found.changed.extend(extra.map(|file| file.path.clone()));
        found
    }

    fn expected(&self, roles: Roles<'_>, generation: u64, with_units: bool) -> Option<Bundle> {
        let master = roles.master().map(|host| self.cluster.master_specs(host));
        let node = roles.node().map(|host| self.cluster.node_specs(host));
        let specs = master.into_iter().chain(node).flatten();
        let read_credential = |spec: CertificateSpec| {
            if credentials::is_key_on_host(self.layout, &spec, self.known) {
                let (certificate, chain) = credentials::read_certificates(self.layout, &spec).ok()?;
                return Some(HostCredential { profile: spec.profile, certificate, chain, key: None });
            }
            let credential = credentials::read(self.layout, &spec).ok()?.credential;
            Some(HostCredential::with_key(spec.profile, credential))
        };
        let credentials = specs.map(read_credential).collect::<Option<Vec<HostCredential>>>()?;
        let service_account = match (roles.master(), service_account::read(self.layout)) {
            (None, _) => None,
            (Some(_), Ok(KeyPairState::Complete(key))) => Some(key.to_pem().as_bytes().to_vec().into()),
            (Some(_), _) => return None,
        };
        let other_token_keys = service_account::other_public_keys(self.layout).ok()?;
        let input = BundleInput {
            cluster: self.cluster,
            roles,
            cas: self.cas.as_ref()?,
            service_account: service_account.as_ref(),
            other_token_keys: &other_token_keys,
            settings: &Settings { with_units, ..Settings::of(&self.cluster.kubernetes) },
            denials: self.denials,
            credentials: &credentials,
            generation,
            // They are only in the manifest, which is not compared.
            rotation: None,
            read_at_start: &[],
        };
        self.templates.as_ref()?.render(&input).ok()
    }
}

fn is_credential(path: &str) -> bool {
    [".crt", ".key", ".pub"].iter().any(|ending| path.ends_with(ending))
}

fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    // Comments do not change the meaning.
    text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| [line, "\n"]).collect()
}

/// Returns the flags that are missing, and added flags that affect trust.
fn flags(path: &str, text: &str, wanted: &str) -> Vec<String> {
    let (given, wanted) = (flags_in(text), flags_in(wanted));
    let lost = wanted.iter().filter(|flag| !given.contains(flag)).map(|flag| format!("{path} does not have {flag}"));
    let name = |flag: &str| flag.split('=').next().unwrap_or_default().to_owned();
    let affects_trust = |flag: &&String| !wanted.contains(flag) && TRUST_FLAGS.contains(&name(flag).as_str());
    let added = given.iter().filter(affects_trust).map(|flag| format!("{path} has {flag}"));
    lost.chain(added).collect()
}

fn flags_in(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || c == '"' || c == '\'');
    words.filter(|word| word.starts_with("--")).map(ToOwned::to_owned).collect()
}

/// Returns the setting that lets an authorizer permit everything, or have no opinion.
fn permissive_setting(text: &str) -> Option<String> {
    let found = ["NoOpinion", "AlwaysAllow"].into_iter().find(|word| text.contains(word))?;
    Some(format!("{} has {found}", paths::AUTHORIZATION))
}
