//! Where a bundle is otherwise than it would be if it was packed now. Bundles are the same bytes for the same input, so that
//! whatever differs was changed since, or made with templates and settings of somebody's own.

use std::collections::BTreeMap;

use crate::bundle::format::Format;
use crate::bundle::images::Settings;
use crate::bundle::input::{BundleInput, Held, Roles};
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
use crate::store::service_account::{self, Found};

/// Flags that speak of trust: one that a bundle adds overrides what the kubelet's or the API server's files say.
const OF_TRUST: [&str; 24] = [
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

/// What a bundle should be.
pub(crate) struct ExpectedBundle<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) cluster: &'a Cluster,
    pub(crate) roots: Option<CaSet>,
    pub(crate) denials: &'a Denials,
    pub(crate) templates: Option<Templates>,
}

/// Where a bundle differs.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// What undoes trust, or is missing.
    pub(crate) wrong: Vec<String>,
    /// Files that are otherwise, in what way ever.
    pub(crate) changed: Vec<String>,
}

/// All three roots, where all can be read.
pub(crate) fn roots(known: &BTreeMap<CaRole, TrustBundle>) -> Option<CaSet> {
    CaSet::try_from_fn(|kind| known.get(&kind).cloned().ok_or(())).ok()
}

impl ExpectedBundle<'_> {
    /// Holds a bundle against the one that would be packed now. Nothing is found where that one cannot be made: a credential
    /// is missing or its key was forgotten, which is told of elsewhere.
    pub(crate) fn difference(&self, bundle: &Bundle, roles: Roles<'_>, format: Format) -> Difference {
        let mut found = Difference::default();
        let has_units = bundle.files.iter().any(|file| file.path.ends_with(paths::UNIT_ENDING));
        let with_units = self.cluster.with_units || has_units;
        let Some(today) = self.today(roles, bundle.manifest.generation, with_units) else { return found };
        let own = |path: &str| [MANIFEST, MANIFEST_SUM, SIGNATURE].contains(&path);
        for wanted in today.files.iter().filter(|file| !own(&file.path)) {
            let path = &wanted.path;
            match bundle.file(path) {
                // Ignition lays files in place itself.
                None if path == INSTALLER && format == Format::Ignition => {}
                None => found.wrong.push(format!("{path} is missing")),
                Some(file) if file.bytes == wanted.bytes => {}
                // The ledger's sequence is a comment, and what is revoked may well be nothing that API servers deny.
                Some(file) if *path == paths::AUTHORIZATION && text(&file.bytes) == text(&wanted.bytes) => {}
                Some(_) if is_credential(path) => found.wrong.push(format!("{path} is not what lies in the directory")),
                Some(file) => {
                    let (text, wanted) = (text(&file.bytes), text(&wanted.bytes));
                    if path != INSTALLER {
                        found.wrong.extend(flags(path, &text, &wanted));
                    }
                    if *path == paths::AUTHORIZATION {
                        found.wrong.extend(lenient(&text));
                    }
                    found.changed.push(path.clone());
                }
            }
        }
        let more = bundle.files.iter().filter(|file| !own(&file.path) && today.file(&file.path).is_none());
        found.changed.extend(more.map(|file| file.path.clone()));
        found
    }

    fn today(&self, roles: Roles<'_>, generation: u64, with_units: bool) -> Option<Bundle> {
        let master = roles.master().map(|host| self.cluster.master_leaves(host));
        let node = roles.node().map(|host| self.cluster.node_leaves(host));
        let leaves = master.into_iter().chain(node).flatten();
        let held = |leaf: CertificateSpec| {
            let credential = credentials::read(self.layout, &leaf).ok()?.credential;
            Some(Held { profile: leaf.profile, credential })
        };
        let credentials = leaves.map(held).collect::<Option<Vec<Held>>>()?;
        let service_account = match (roles.master(), service_account::look(self.layout)) {
            (None, _) => None,
            (Some(_), Ok(Found::Whole(key))) => Some(key.to_pem().as_bytes().to_vec().into()),
            (Some(_), _) => return None,
        };
        let input = BundleInput {
            cluster: self.cluster,
            roles,
            roots: self.roots.as_ref()?,
            service_account: service_account.as_ref(),
            settings: &Settings { with_units, ..Settings::of(&self.cluster.kubernetes) },
            denials: self.denials,
            credentials: &credentials,
            generation,
        };
        self.templates.as_ref()?.render(&input).ok()
    }
}

fn is_credential(path: &str) -> bool {
    [".crt", ".key", ".pub"].iter().any(|ending| path.ends_with(ending))
}

fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    // What stands in a comment is told to nobody.
    text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| [line, "\n"]).collect()
}

/// Flags that belong there and are not, and flags of trust that do not belong there.
fn flags(path: &str, text: &str, wanted: &str) -> Vec<String> {
    let (given, wanted) = (flags_in(text), flags_in(wanted));
    let lost = wanted.iter().filter(|flag| !given.contains(flag)).map(|flag| format!("{path} does not say {flag}"));
    let name = |flag: &str| flag.split('=').next().unwrap_or_default().to_owned();
    let of_trust = |flag: &&String| !wanted.contains(flag) && OF_TRUST.contains(&name(flag).as_str());
    let added = given.iter().filter(of_trust).map(|flag| format!("{path} says {flag}"));
    lost.chain(added).collect()
}

fn flags_in(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || c == '"' || c == '\'');
    words.filter(|word| word.starts_with("--")).map(ToOwned::to_owned).collect()
}

/// An authorizer that lets through what it cannot judge, or everything.
fn lenient(text: &str) -> Option<String> {
    let found = ["NoOpinion", "AlwaysAllow"].into_iter().find(|word| text.contains(word))?;
    Some(format!("{} says {found}", paths::AUTHORIZATION))
}
