//! Renders templates to files. Only this module and `escape` use the template engine.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, Error, UndefinedBehavior};
use serde::Serialize;

use super::escape::{self, Dialect};
use super::flags::{self, Flags};
use super::host_keys::{self, HOST_KEYS};
use super::images::ImageValues;
use super::input::{BundleInput, HostCredential, InputError};
use super::manifest::Manifest;
use super::model::{Bundle, BundleFile, Common, Contents};
use super::paths;
use super::restarts;
use crate::cluster::kubelet_trust::RenderedValues;
use crate::cluster::kubernetes::Features;
use crate::cluster::profile::Profile;
use crate::cluster::spec::{Host, Role};
use crate::config::kubelet_config::{self, KubeletConfigError};
use crate::pki::certificate::Certificate;
use crate::pki::trust_bundle::TrustBundle;

/// One template: its path below `templates/`, and its text.
macro_rules! template {
    ($path:literal) => {
        ($path, include_str!(concat!("../../templates/", $path)))
    };
}

/// The built-in templates by their path below `templates/`. Those in `node/` and `master/` have the path on the host.
const COMPILED_IN: [(&str, &str); 29] = [
    template!("install.sh"),
    template!("master/etc/kubernetes/clusterctl/apiserver.env"),
    template!("master/etc/kubernetes/clusterctl/authorization.yaml"),
    template!("master/etc/kubernetes/clusterctl/controller-manager.env"),
    template!("master/etc/kubernetes/clusterctl/deny.kubeconfig"),
    template!("master/etc/kubernetes/clusterctl/etcd.env"),
    template!("master/etc/kubernetes/clusterctl/scheduler.env"),
    template!("master/etc/kubernetes/controller-manager.conf"),
    template!("master/etc/kubernetes/manifests/etcd.yaml"),
    template!("master/etc/kubernetes/manifests/kube-apiserver.yaml"),
    template!("master/etc/kubernetes/manifests/kube-controller-manager.yaml"),
    template!("master/etc/kubernetes/manifests/kube-scheduler.yaml"),
    template!("master/etc/kubernetes/scheduler.conf"),
    template!("master/etc/systemd/system/etcd.service"),
    template!("master/etc/systemd/system/etcd.service.d/99-clusterctl.conf"),
    template!("master/etc/systemd/system/kube-apiserver.service"),
    template!("master/etc/systemd/system/kube-apiserver.service.d/99-clusterctl.conf"),
    template!("master/etc/systemd/system/kube-controller-manager.service"),
    template!("master/etc/systemd/system/kube-controller-manager.service.d/99-clusterctl.conf"),
    template!("master/etc/systemd/system/kube-scheduler.service"),
    template!("master/etc/systemd/system/kube-scheduler.service.d/99-clusterctl.conf"),
    template!("node/etc/kubernetes/kubelet.conf"),
    template!("node/etc/systemd/system/kubelet.service"),
    template!("node/etc/systemd/system/kubelet.service.d/99-clusterctl.conf"),
    template!("node/var/lib/kubelet/config.yaml"),
    template!("policy/accounts.yaml"),
    template!("policy/enrolment.yaml"),
    template!("policy/nodes.yaml"),
    template!("verifier/policy/clusterctl-verifier.yaml"),
];

/// The template of the kubelet's configuration.
const KUBELET_CONFIG: &str = "node/var/lib/kubelet/config.yaml";
/// The template of the verifier's RBAC.
const VERIFIER_POLICY: &str = "verifier/policy/clusterctl-verifier.yaml";

/// Parsed templates for any number of hosts and threads.
#[derive(Debug)]
pub struct Templates {
    engine: Environment<'static>,
    /// The output of templates without expressions: the same for every host.
    common: BTreeMap<&'static str, Common>,
    /// Whether the template of the kubelet's configuration is customized.
    own_kubelet_config: bool,
}

/// Errors of a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Its path is not that of a built-in template.
    #[error("{path} overrides nothing; there are templates at {}", known.join(" "))]
    Unknown {
        /// Its path.
        path: String,
        /// The paths of the built-in templates.
        known: Vec<&'static str>,
    },
    /// It is empty, but its output is required.
    #[error("{path} is empty, and its file is required; remove it to use the built-in template")]
    Empty {
        /// Its path.
        path: String,
    },
    /// It does not parse, or uses a value that does not exist.
    #[error("template {template}, line {line}: {reason}: {text}")]
    Failed {
        /// Its path.
        template: String,
        /// The line, from 1.
        line: usize,
        /// The template engine's message.
        reason: String,
        /// The text of that line.
        text: String,
    },
}

/// Errors of rendering a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The credentials are missing or not valid.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A template fails.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A customized template renders a kubelet configuration that is not valid or weakens authentication.
    #[error("the output of template {template} is refused: {why}")]
    KubeletConfig {
        /// Its path.
        template: &'static str,
        /// The reason.
        why: KubeletConfigError,
    },
}

impl Templates {
    /// Returns the built-in templates.
    ///
    /// # Errors
    /// Returns no error, as the tests show; the type is that of [`Templates::with_overrides`].
    pub fn compiled_in() -> Result<Self, TemplateError> {
        Self::with_overrides(&BTreeMap::new())
    }

    /// Returns the built-in templates, with overrides by their path below `templates/`.
    ///
    /// # Errors
    /// Returns an error if a path overrides nothing, or a text is not a valid template.
    pub fn with_overrides(overrides: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        if let Some(path) = overrides.keys().find(|path| !COMPILED_IN.iter().any(|(known, _)| known == path)) {
            let known = COMPILED_IN.iter().map(|(path, _)| *path).collect();
            return Err(TemplateError::Unknown { path: path.clone(), known });
        }
        // An empty systemd drop-in is allowed: static pods need none.
        let empty =
            |(path, text): &(&String, &String)| text.trim().is_empty() && !path.ends_with(".d/99-clusterctl.conf");
        if let Some((path, _)) = overrides.iter().find(empty) {
            return Err(TemplateError::Empty { path: path.clone() });
        }
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_syntax(lines_of_blocks_vanish());
        engine.set_auto_escape_callback(|path| Dialect::of(path).unwrap_or(Dialect::Json).auto_escape());
        engine.set_formatter(escape::write);
        let mut common = BTreeMap::new();
        for (path, text) in COMPILED_IN {
            let text = match overrides.get(path) {
                Some(own) => {
                    engine.add_template_owned(path, own.clone()).map_err(|error| failed(path, own, &error))?;
                    own
                }
                None => {
                    engine.add_template(path, text).map_err(|error| failed(path, text, &error))?;
                    text
                }
            };
            if has_no_expressions(text) {
                let made = engine.render_str(text, ()).map_err(|error| failed(path, text, &error))?;
                common.insert(path, Common::new(made.into_bytes()));
            }
        }
        Ok(Self { engine, common, own_kubelet_config: overrides.contains_key(KUBELET_CONFIG) })
    }

    /// Returns the built-in templates as pairs of path and text.
    #[must_use]
    pub fn eject() -> &'static [(&'static str, &'static str)] {
        &COMPILED_IN
    }

    /// Renders the RBAC that the verifier's account needs, for `kubectl apply`.
    ///
    /// # Errors
    /// Returns an error if the template, which may be customized, fails.
    pub fn verifier_policy(&self) -> Result<String, TemplateError> {
        let template =
            self.engine.get_template(VERIFIER_POLICY).map_err(|error| failed(VERIFIER_POLICY, "", &error))?;
        template.render(()).map_err(|error| failed(VERIFIER_POLICY, template.source(), &error))
    }

    /// Renders one host's bundle: the same input gives the same bundle.
    ///
    /// # Errors
    /// Returns an error if a credential is missing or not the host's own, or a template fails.
    pub fn render(&self, input: &BundleInput<'_>) -> Result<Bundle, RenderError> {
        let credentials = input.checked()?;
        let mut files = BTreeMap::<String, Contents>::new();
        let mut root = |path: &str, trust: &TrustBundle| {
            files.insert(path.to_owned(), trust.to_pem().into_bytes().into());
        };
        root(paths::CA, &input.cas.cluster);
        if input.roles.master().is_some() {
            root(paths::ETCD_CA, &input.cas.etcd);
            root(paths::FRONT_PROXY_CA, &input.cas.front_proxy);
        }
        if let Some(pair) = input.checked_service_account()? {
            files.insert(paths::SERVICE_ACCOUNT_KEY.to_owned(), pair.to_pem().as_bytes().to_vec().into());
            // API servers publish their keys in this order.
            let public: String = [pair.public_pem()].iter().chain(input.other_token_keys).map(String::as_str).collect();
            files.insert(paths::SERVICE_ACCOUNT_PUBLIC.to_owned(), public.into_bytes().into());
        }
        for held in &credentials {
            if let Some(base) = paths::kept_at(held.profile) {
                let pem: String = held.certificates().map(Certificate::to_pem).collect();
                files.insert(format!("{base}.crt"), pem.into_bytes().into());
                if let Some(key) = &held.key {
                    files.insert(format!("{base}.key"), key.to_pem().as_bytes().to_vec().into());
                }
            }
        }
        if let Some(list) = host_keys::list(&credentials) {
            files.insert(HOST_KEYS.to_owned(), list.into_bytes().into());
        }
        let values = Value::from(Serde(&Values::of(input, &credentials)));
        for (template, _) in COMPILED_IN {
            let Some(path) = goes_to(template, input) else { continue };
            let made = match (self.common.get(template), template, input.roles.node()) {
                (_, KUBELET_CONFIG, Some(node)) => {
                    self.kubelet_config(self.fill_with(template, values.clone())?, input, node)?.into_bytes().into()
                }
                (Some(common), ..) => common.clone().into(),
                (None, ..) => self.fill_with(template, values.clone())?.into_bytes().into(),
            };
            files.insert(path.to_owned(), made);
        }
        let files = files.into_iter().map(|(path, bytes)| BundleFile { mode: paths::mode_of(&path), path, bytes });
        Ok(with_manifest(input, &credentials, files.collect()))
    }

    /// Merges the cluster file's settings over the template's output, and checks that authentication is still required.
    fn kubelet_config(&self, text: String, input: &BundleInput<'_>, node: &Host) -> Result<String, RenderError> {
        let patches = [&input.cluster.kubelet, &node.kubelet];
        // The built-in template is valid, as the tests show.
        if !self.own_kubelet_config && patches.iter().all(|patch| patch.is_empty()) {
            return Ok(text);
        }
        let pair = paths::kept_at(Profile::KubeletServer).unwrap_or_default();
        let (certificate, key, client_ca) = (format!("/{pair}.crt"), format!("/{pair}.key"), format!("/{}", paths::CA));
        let own = RenderedValues { port: node.port, client_ca: &client_ca, certificate: &certificate, key: &key };
        kubelet_config::finished(&text, patches, &own)
            .map_err(|why| RenderError::KubeletConfig { template: KUBELET_CONFIG, why })
    }

    pub(super) fn fill(&self, path: &'static str, values: &impl Serialize) -> Result<String, TemplateError> {
        self.fill_with(path, Value::from(Serde(values)))
    }

    fn fill_with(&self, path: &'static str, values: Value) -> Result<String, TemplateError> {
        let template = self.engine.get_template(path).map_err(|error| failed(path, "", &error))?;
        template.render(values).map_err(|error| failed(path, template.source(), &error))
    }
}

/// Returns true if a template has no expressions. It may have comments, which are not in its output.
fn has_no_expressions(template: &str) -> bool {
    ["{{", "{%"].iter().all(|tag| !template.contains(tag))
}

fn lines_of_blocks_vanish() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    // The delimiters are the engine's defaults, so this cannot fail.
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build().unwrap_or_default()
}

/// Returns the path of a template's output on this host; `None` if the host does not need it.
fn goes_to(template: &'static str, input: &BundleInput<'_>) -> Option<&'static str> {
    if template.ends_with(paths::UNIT_ENDING) && !input.settings.with_units {
        return None;
    }
    match template.split_once('/') {
        Some(("master", path)) => input.roles.master().map(|_| path),
        Some(("node", path)) => input.roles.node().map(|_| path),
        // These are not for hosts: see `Templates::verifier_policy` and `Templates::policy`.
        Some(("verifier" | "policy", _)) => None,
        _ => Some(template),
    }
}

fn failed(template: &str, source: &str, error: &Error) -> TemplateError {
    let line = error.line().unwrap_or(1);
    let text = source.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim();
    let reason = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    TemplateError::Failed { template: template.to_owned(), line, reason, text: text.chars().take(120).collect() }
}

/// Adds the manifest and its checksum.
fn with_manifest(input: &BundleInput<'_>, credentials: &[&HostCredential], files: Vec<BundleFile>) -> Bundle {
    let (trust, root) = (&input.cas.cluster, input.cas.cluster.active().root());
    let certificates = || credentials.iter().flat_map(|held| held.certificates());
    let account = credentials.iter().find(|c| c.profile == Profile::KubeletClient);
    let account = account.or_else(|| credentials.iter().find(|c| c.profile == Profile::ApiserverKubeletClient));
    let manifest = Manifest {
        cluster: input.cluster.name.clone(),
        host: input.roles.host().clone(),
        roles: input.roles.list(),
        account: account.map(|held| held.certificate.account().user).unwrap_or_default(),
        endpoint: input.cluster.endpoint.clone(),
        root_pin: trust.pin(),
        other_pins: trust.pins().split_off(1),
        not_before: certificates().map(|c| c.not_before).fold(root.not_before, Ord::max),
        not_after: certificates().map(|c| c.not_after).fold(root.not_after, Ord::min),
        generation: input.generation,
        rotation: input.rotation.cloned(),
        restarts: restarts::lines(input.read_at_start, &files, &input.roles.list()),
        files: Vec::new(),
    };
    Bundle::with_manifest(manifest, files)
}

/// The values for templates. They include no private key, so no template can print one.
#[derive(Serialize)]
struct Values<'a> {
    host: &'a str,
    roles: Vec<&'static str>,
    generation: u64,
    cluster: ClusterValues<'a>,
    accounts: &'static str,
    denials: Vec<Vec<String>>,
    beside: Vec<String>,
    ledger: Option<String>,
    images: ImageValues,
    kubernetes: ReleaseValues,
    files: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flags: Option<Flags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    master: Option<HostValues>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<HostValues>,
}

/// The features of the release of Kubernetes.
#[derive(Serialize)]
pub(super) struct ReleaseValues {
    /// The version of `apiserver.config.k8s.io`.
    authorization_api: &'static str,
    /// The version of `admissionregistration.k8s.io`.
    admission_api: &'static str,
    /// Whether authorizers see field selectors.
    selectors: bool,
}

impl ReleaseValues {
    pub(super) fn of(features: Features) -> Self {
        Self {
            authorization_api: features.authorization_api(),
            admission_api: features.admission_api(),
            selectors: features.has_selectors(),
        }
    }
}

#[derive(Serialize)]
struct ClusterValues<'a> {
    name: &'a str,
    endpoint: String,
    domain: &'a str,
    service_cidrs: Vec<String>,
    root_pin: String,
}

/// A host in one of its roles.
#[derive(Serialize)]
struct HostValues {
    /// The API server's port of a master, the kubelet's of a node.
    port: u16,
    /// All addresses, in the cluster file's order.
    addresses: Vec<String>,
    /// The first IP address and the first one of the other family, if any: the value of `--node-ip`.
    ips: Vec<String>,
    /// The user name of its client certificate.
    account: String,
    /// Its URL, as `https://host:port`.
    server: String,
}

impl<'a> Values<'a> {
    fn of(input: &BundleInput<'a>, credentials: &[&HostCredential]) -> Self {
        let user = |profile| {
            let found = credentials.iter().find(|held| held.profile == profile);
            found.map(|held| held.certificate.account().user).unwrap_or_default()
        };
        let cluster = input.cluster;
        let (master, node) = (input.roles.master(), input.roles.node());
        let files = paths::by_name(master.is_some(), node.is_some());
        Self {
            host: input.roles.host().as_str(),
            roles: input.roles.list().into_iter().map(Role::as_str).collect(),
            generation: input.generation,
            cluster: ClusterValues {
                name: cluster.name.as_str(),
                endpoint: cluster.endpoint.to_string(),
                domain: cluster.cluster_domain.as_str(),
                service_cidrs: cluster.service_cidrs.iter().map(ToString::to_string).collect(),
                root_pin: input.cas.cluster.pin().as_pin(),
            },
            accounts: cluster.accounts.as_str(),
            denials: master.map(|_| input.denials.rules()).unwrap_or_default(),
            beside: master.map(|_| input.denials.named_beside()).unwrap_or_default(),
            ledger: master.and(input.denials.mark()).map(ToString::to_string),
            images: input.settings.values(),
            kubernetes: ReleaseValues::of(input.settings.features()),
            flags: master.map(|master| Flags::of(cluster, master, &files, input.settings.features())),
            files,
            master: master.map(|host| HostValues::of(host, user(Profile::ApiserverKubeletClient))),
            node: node.map(|host| HostValues::of(host, user(Profile::KubeletClient))),
        }
    }
}

impl HostValues {
    fn of(host: &Host, account: String) -> Self {
        let ips = || host.addresses.iter().filter_map(crate::cluster::address::Address::ip);
        let first = ips().next();
        let other = first.and_then(|first| ips().find(|ip| ip.is_ipv4() != first.is_ipv4()));
        Self {
            port: host.port,
            addresses: host.addresses.iter().map(ToString::to_string).collect(),
            ips: first.into_iter().chain(other).map(|ip| ip.to_string()).collect(),
            account,
            server: format!("https://{}:{}", flags::dialled(host), host.port),
        }
    }
}
