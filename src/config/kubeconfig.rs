//! Reads kubeconfigs (Kubernetes client-go `clientcmd/api/v1`), as far as trust is concerned: CAs and client credentials.
//!
//! Nothing that a kubeconfig names is opened or run here.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// The part of a kubeconfig that concerns trust.
#[derive(Debug, PartialEq, Eq)]
pub struct Kubeconfig {
    /// `current-context`
    pub current_context: Option<String>,
    /// Every cluster, in order.
    pub clusters: Vec<KubeCluster>,
    /// Every user, in order.
    pub users: Vec<KubeUser>,
    /// Every context, in order.
    pub contexts: Vec<KubeContext>,
}

/// The part of a kubeconfig that one context uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used<'a> {
    /// The context; `None` where there is none and the only cluster was taken.
    pub context: Option<&'a KubeContext>,
    /// The cluster.
    pub cluster: &'a KubeCluster,
    /// The user; `None` where the context names none that exists, so that requests are anonymous.
    pub user: Option<&'a KubeUser>,
}

/// Why a kubeconfig has no usable context. client-go (`clientcmd.ConfirmUsable`) refuses the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// No current context, and no way to choose.
    #[error("it has no current-context")]
    NoneChosen,
    /// The context does not exist.
    #[error("there is no context {0:?} in it")]
    NoContext(String),
    /// The context's cluster does not exist.
    #[error("its context {context:?} names the cluster {cluster:?}, which is not in it")]
    NoCluster {
        /// The context.
        context: String,
        /// The cluster that it names.
        cluster: String,
    },
    /// The cluster has no server.
    #[error("its cluster {0:?} has no server")]
    NoServer(String),
}

impl Kubeconfig {
    /// Returns what `context` uses, or the current context where none is named.
    ///
    /// A file without any context is taken for its only cluster, which [`Used::weaknesses`] reports.
    ///
    /// # Errors
    /// When the context, its cluster or the cluster's server does not exist.
    pub fn used(&self, context: Option<&str>) -> Result<Used<'_>, ContextError> {
        let Some(name) = context.or(self.current_context.as_deref()) else {
            let ([cluster], []) = (self.clusters.as_slice(), self.contexts.as_slice()) else {
                return Err(ContextError::NoneChosen);
            };
            let user = self.users.first().filter(|_| self.users.len() == 1);
            return Ok(Used { context: None, cluster, user });
        };
        let context = self.contexts.iter().find(|context| context.name == name);
        let context = context.ok_or_else(|| ContextError::NoContext(name.to_owned()))?;
        let cluster = self.clusters.iter().find(|cluster| cluster.name == context.cluster);
        let cluster = cluster.ok_or_else(|| ContextError::NoCluster {
            context: context.name.clone(),
            cluster: context.cluster.clone(),
        })?;
        if cluster.server.is_empty() {
            return Err(ContextError::NoServer(cluster.name.clone()));
        }
        Ok(Used { context: Some(context), cluster, user: self.users.iter().find(|user| user.name == context.user) })
    }

    /// Returns the names of all contexts, for a hint.
    #[must_use]
    pub fn context_names(&self) -> Vec<&str> {
        self.contexts.iter().map(|context| context.name.as_str()).collect()
    }
}

/// A context entry: a user and a cluster.
#[derive(Debug, PartialEq, Eq)]
pub struct KubeContext {
    /// Its name.
    pub name: String,
    /// The cluster's name.
    pub cluster: String,
    /// The user's name.
    pub user: String,
}

/// A cluster entry.
#[derive(Debug, PartialEq, Eq)]
pub struct KubeCluster {
    /// Its name.
    pub name: String,
    /// The API server's URL.
    pub server: String,
    /// `tls-server-name`: what the certificate has to name instead of the server's host.
    pub tls_server_name: Option<String>,
    /// `proxy-url`
    pub proxy_url: Option<String>,
    /// The CAs to trust; `None` means the system's roots.
    pub authority: Option<Credential>,
    /// `insecure-skip-tls-verify`
    pub insecure: bool,
    /// What client-go refuses in it.
    pub contradictions: Vec<&'static str>,
}

impl KubeCluster {
    /// Returns the server as client-go understands it: in lower case, and http where there is no scheme.
    ///
    /// That does not depend on the CA: `clientcmd` looks at the scheme first (kubectl 1.36 does).
    #[must_use]
    pub fn location(&self) -> String {
        let server = self.server.to_ascii_lowercase();
        if server.contains("://") { server } else { format!("http://{server}") }
    }
}

/// A user entry.
#[derive(Debug, PartialEq, Eq)]
pub struct KubeUser {
    /// Its name.
    pub name: String,
    /// The client certificate.
    pub certificate: Option<Credential>,
    /// Its key.
    pub key: Option<Credential>,
    /// Other means of authentication: `a token`, `an exec plugin` …
    pub others: Vec<&'static str>,
    /// `as`, `as-uid`, `as-groups` or `as-user-extra`: the account that it impersonates.
    pub impersonates: bool,
    /// What client-go refuses in it.
    pub contradictions: Vec<&'static str>,
}

/// A file, which is reloaded, or embedded data, which is not.
#[derive(PartialEq, Eq)]
pub enum Credential {
    /// A path, relative to the kubeconfig's folder.
    File(PathBuf),
    /// The bytes themselves.
    Data(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Data(_) => f.write_str("Data(…)"),
        }
    }
}

/// Why bytes are no kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// Not YAML of this shape.
    #[error("it is no kubeconfig")]
    Shape(String),
    /// Another kind of object.
    #[error("it is {0}, not a kubeconfig (kind: Config)")]
    Kind(String),
    /// An unsupported version.
    #[error("it is of apiVersion {0:?}, and only v1 is a kubeconfig's")]
    Version(String),
    /// Two entries of one name.
    #[error("it has the {what} {name:?} twice")]
    Twice {
        /// `cluster`, `user` or `context`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Data that is not base64.
    #[error("{0} is not base64")]
    Base64(String),
}

/// Reads a kubeconfig as client-go does.
///
/// A byte order mark is skipped, only the first document counts, null is empty, and `kind` and `apiVersion` may be absent.
///
/// # Errors
/// When it is none.
pub fn read(bytes: &[u8]) -> Result<Kubeconfig, KubeconfigError> {
    let wide = from_utf16(bytes);
    let bytes = wide.as_ref().map_or(bytes, |text| text.as_bytes());
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let shape = |error: serde_yaml::Error| KubeconfigError::Shape(error.to_string());
    let document = serde_yaml::Deserializer::from_slice(bytes).next();
    let document = document.ok_or_else(|| KubeconfigError::Shape("it is empty".to_owned()))?;
    let raw = match bytes.windows(MERGE.len()).any(|octets| octets == MERGE) {
        false => Raw::deserialize(document).map_err(shape)?,
        true => {
            let mut value = serde_yaml::Value::deserialize(document).map_err(shape)?;
            value.apply_merge().map_err(shape)?;
            Raw::deserialize(value).map_err(shape)?
        }
    };
    match raw.kind.as_deref() {
        Some("Config") => {}
        // Without a kind it is recognized by its lists.
        None | Some("") if raw.clusters.is_some() => {}
        None | Some("") => return Err(KubeconfigError::Shape("it has no clusters".to_owned())),
        Some(kind) => return Err(KubeconfigError::Kind(format!("of kind {kind:?}"))),
    }
    if let Some(version) = raw.api_version.filter(|version| !version.is_empty() && version != "v1") {
        return Err(KubeconfigError::Version(version));
    }
    let text = |text: Option<Text>| text.map(|Text(text)| text).unwrap_or_default();
    let binary = Binary { text: bytes };
    let clusters: Vec<KubeCluster> =
        all(raw.clusters).map(|cluster| cluster.parse(&binary)).collect::<Result<_, _>>()?;
    let users: Vec<KubeUser> = all(raw.users).map(|user| user.parse(&binary)).collect::<Result<_, _>>()?;
    let context = |raw: RawNamedContext| {
        let context = raw.context.unwrap_or_default();
        KubeContext { name: text(raw.name), cluster: text(context.cluster), user: text(context.user) }
    };
    let contexts: Vec<KubeContext> = all(raw.contexts).map(context).collect();
    once("cluster", clusters.iter().map(|cluster| cluster.name.as_str()))?;
    once("user", users.iter().map(|user| user.name.as_str()))?;
    once("context", contexts.iter().map(|context| context.name.as_str()))?;
    let current_context = Some(text(raw.current_context)).filter(|name| !name.is_empty());
    Ok(Kubeconfig { current_context, clusters, users, contexts })
}

/// YAML's merge key.
const MERGE: &[u8] = b"<<";

/// Returns the text of a file in UTF-16 with a byte order mark, as PowerShell writes it; `None` for other files.
fn from_utf16(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let (read, octets): (fn([u8; 2]) -> u16, _) = match bytes {
        [0xff, 0xfe, rest @ ..] => (u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => (u16::from_be_bytes, rest),
        _ => return None,
    };
    let units = octets.chunks(2).map(|pair| <[u8; 2]>::try_from(pair).map(read));
    let units = Zeroizing::new(units.collect::<Result<Vec<u16>, _>>().ok()?);
    String::from_utf16(&units).ok().map(Zeroizing::new)
}

/// A text. As in client-go, a number or a boolean is none.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Refuses two entries of one name, as client-go does.
fn once<'a>(what: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), KubeconfigError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(KubeconfigError::Twice { what, name: name.to_owned() });
        }
    }
    Ok(())
}

/// A way in which a kubeconfig is weaker than clusterctl's own.
#[derive(Debug, PartialEq, Eq)]
pub struct Weakness {
    /// As text.
    pub what: String,
    /// Whether another server could impersonate the master, or another client this node; also when client-go refuses the file.
    pub breaks_trust: bool,
}

impl Used<'_> {
    /// Returns everything in it that is weaker than in clusterctl's own kubeconfigs.
    ///
    /// `tls-server-name` is not among it: `verify` honours it, and a bundle must not have it.
    #[must_use]
    pub fn weaknesses(&self) -> Vec<Weakness> {
        let mut found = Vec::new();
        let mut note = |breaks_trust, what| found.push(Weakness { what, breaks_trust });
        let Self { context, cluster, user } = self;
        if context.is_none() {
            note(true, "it has no current-context, so that kubectl and kubelets find no server in it".to_owned());
        }
        if !cluster.location().starts_with("https://") {
            note(true, format!("{} is not https", cluster.server));
        }
        if cluster.insecure {
            note(true, "insecure-skip-tls-verify is set".to_owned());
        }
        match cluster.authority {
            Some(Credential::File(_)) => {}
            Some(Credential::Data(_)) => {
                note(false, "its root is embedded, and not reloaded when it changes".to_owned());
            }
            None => note(true, "it names no root, so the system's are trusted".to_owned()),
        }
        if let Some(proxy) = &cluster.proxy_url {
            note(false, format!("proxy-url is not honoured here: {proxy} was not used"));
        }
        for contradiction in &cluster.contradictions {
            note(true, format!("cluster {}: client-go refuses {contradiction}", cluster.name));
        }
        match (user, context) {
            (Some(user), _) => {
                for means in &user.others {
                    note(true, format!("user {} authenticates by {means}", user.name));
                }
                let embedded = |c: &Option<Credential>| matches!(c, Some(Credential::Data(_)));
                if embedded(&user.certificate) || embedded(&user.key) {
                    let what = "its certificate is embedded, and not reloaded when it changes";
                    note(false, format!("user {}: {what}", user.name));
                }
                if user.impersonates {
                    let what = "as and as-groups are not honoured here: it was called as the certificate's own account";
                    note(false, format!("user {}: {what}", user.name));
                }
                for contradiction in &user.contradictions {
                    note(true, format!("user {}: client-go refuses {contradiction}", user.name));
                }
            }
            (None, Some(context)) => {
                let what = "which is not in it, so that calls are anonymous";
                note(false, format!("its context {} names the user {:?}, {what}", context.name, context.user));
            }
            (None, None) => {}
        }
        found
    }
}

#[derive(Deserialize)]
struct Raw {
    kind: Option<String>,
    #[serde(rename = "apiVersion")]
    api_version: Option<String>,
    #[serde(rename = "current-context")]
    current_context: Option<Text>,
    clusters: Option<Vec<Option<RawNamedCluster>>>,
    users: Option<Vec<Option<RawNamedUser>>>,
    contexts: Option<Vec<Option<RawNamedContext>>>,
}

/// Returns the entries of a list; null is an empty list, and an empty entry.
fn all<T: Default>(list: Option<Vec<Option<T>>>) -> impl Iterator<Item = T> {
    list.into_iter().flatten().map(Option::unwrap_or_default)
}

#[derive(Deserialize, Default)]
struct RawNamedContext {
    name: Option<Text>,
    context: Option<RawContext>,
}

#[derive(Deserialize, Default)]
struct RawContext {
    cluster: Option<Text>,
    user: Option<Text>,
}

#[derive(Deserialize, Default)]
struct RawNamedCluster {
    name: Option<Text>,
    cluster: Option<RawCluster>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct RawCluster {
    server: Option<String>,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: Option<bool>,
}

const BOTH_AUTHORITIES: &str = "certificate-authority and certificate-authority-data side by side";
const BOTH_CERTIFICATES: &str = "client-certificate and client-certificate-data side by side";
const BOTH_KEYS: &str = "client-key and client-key-data side by side";
const NO_KEY: &str = "a client certificate without its key";
const TWO_MEANS: &str = "a token and a password side by side";
const NO_PROXY: &str = "a proxy-url that is no URL of http, https or socks5";
const NOBODY_TO_ACT_AS: &str = "as-uid, as-groups or as-user-extra without as";

/// Returns true where client-go accepts a URL as a proxy's (`parseProxyURL`).
fn is_a_proxys(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    scheme.is_some_and(|scheme| ["http", "https", "socks5"].contains(&scheme.as_str()))
}

impl RawNamedCluster {
    fn parse(self, binary: &Binary<'_>) -> Result<KubeCluster, KubeconfigError> {
        let cluster = self.cluster.unwrap_or_default();
        let both = has_path(&cluster.certificate_authority) && has_text(&cluster.certificate_authority_data);
        let field = "certificate-authority-data";
        let authority = credential(field, cluster.certificate_authority, cluster.certificate_authority_data, binary)?;
        let proxy_url = cluster.proxy_url.filter(|url| !url.is_empty());
        let contradictions =
            [(both, BOTH_AUTHORITIES), (proxy_url.as_deref().is_some_and(|url| !is_a_proxys(url)), NO_PROXY)];
        Ok(KubeCluster {
            name: self.name.map(|Text(name)| name).unwrap_or_default(),
            server: cluster.server.unwrap_or_default(),
            tls_server_name: cluster.tls_server_name.filter(|name| !name.is_empty()),
            proxy_url,
            authority,
            insecure: cluster.insecure_skip_tls_verify.unwrap_or_default(),
            contradictions: contradictions.iter().filter(|(is, _)| *is).map(|(_, what)| *what).collect(),
        })
    }
}

#[derive(Deserialize, Default)]
struct RawNamedUser {
    name: Option<Text>,
    user: Option<RawUser>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct RawUser {
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<Zeroizing<String>>,
    token: Option<Zeroizing<String>>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    username: Option<String>,
    password: Option<Zeroizing<String>>,
    #[serde(default, deserialize_with = "is_there")]
    exec: bool,
    #[serde(default, deserialize_with = "is_there")]
    auth_provider: bool,
    r#as: Option<String>,
    as_uid: Option<String>,
    as_groups: Option<Vec<String>>,
    #[serde(default, deserialize_with = "is_there")]
    as_user_extra: bool,
}

/// Returns true where there is a value of any shape; null is none.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<serde::de::IgnoredAny>::deserialize(deserializer)?.is_some())
}

fn has_text(text: &Option<impl AsRef<str>>) -> bool {
    text.as_ref().is_some_and(|text| !text.as_ref().is_empty())
}

fn has_path(path: &Option<PathBuf>) -> bool {
    path.as_ref().is_some_and(|path| !path.as_os_str().is_empty())
}

impl RawNamedUser {
    fn parse(self, binary: &Binary<'_>) -> Result<KubeUser, KubeconfigError> {
        let user = self.user.unwrap_or_default();
        let secret = |text: &Option<Zeroizing<String>>| text.as_ref().is_some_and(|text| !text.is_empty());
        let token = secret(&user.token);
        let password = has_text(&user.username) || secret(&user.password);
        let means = [
            (token || has_path(&user.token_file), "a token"),
            (password, "user name and password"),
            (user.exec, "an exec plugin (not run)"),
            (user.auth_provider, "an auth provider (not run)"),
        ];
        let acts_as = has_text(&user.r#as);
        let acts_with = has_text(&user.as_uid) || user.as_groups.is_some_and(|g| !g.is_empty()) || user.as_user_extra;
        let certificate = (has_path(&user.client_certificate), has_text(&user.client_certificate_data));
        let key = (has_path(&user.client_key), secret(&user.client_key_data));
        let has_certificate = certificate.0 || certificate.1;
        let contradictions = [
            (certificate == (true, true), BOTH_CERTIFICATES),
            (has_certificate && key == (true, true), BOTH_KEYS),
            (has_certificate && key == (false, false), NO_KEY),
            (token && password, TWO_MEANS),
            (acts_with && !acts_as, NOBODY_TO_ACT_AS),
        ];
        let named = |list: &[(bool, &'static str)]| list.iter().filter(|(is, _)| *is).map(|(_, what)| *what).collect();
        let key_data = user.client_key_data.as_ref().map(|text| text.as_str().to_owned());
        let (path, data) = (user.client_certificate, user.client_certificate_data);
        Ok(KubeUser {
            name: self.name.map(|Text(name)| name).unwrap_or_default(),
            certificate: credential("client-certificate-data", path, data, binary)?,
            key: credential("client-key-data", user.client_key, key_data, binary)?,
            others: named(&means),
            impersonates: acts_as || acts_with,
            contradictions: named(&contradictions),
        })
    }
}

/// Finds the fields that have YAML's tag for binary data, which serde_yaml does not pass on.
struct Binary<'a> {
    text: &'a [u8],
}

impl Binary<'_> {
    /// Returns true where `field` has the tag anywhere in the file.
    fn marks(&self, field: &str) -> bool {
        const TAGS: [&str; 2] = ["!!binary", "!<tag:yaml.org,2002:binary>"];
        let text = String::from_utf8_lossy(self.text);
        let values = text.split(field).skip(1).filter_map(|rest| {
            let rest = rest.trim_start_matches(['"', '\'']).trim_start();
            Some(rest.strip_prefix(':')?.trim_start())
        });
        values.into_iter().any(|value| TAGS.iter().any(|tag| value.starts_with(tag)))
    }
}

/// Embedded data wins over a path, as in client-go.
fn credential(
    field: &str,
    path: Option<PathBuf>,
    data: Option<String>,
    binary: &Binary<'_>,
) -> Result<Option<Credential>, KubeconfigError> {
    if let Some(data) = data.filter(|data| !data.is_empty()).map(Zeroizing::new) {
        let wrong = || KubeconfigError::Base64(field.to_owned());
        let mut bytes = base64(&data).ok_or_else(wrong)?;
        // YAML decodes tagged data once, and then client-go decodes it as it does any other.
        if binary.marks(field) {
            let inner = std::str::from_utf8(&bytes).ok().and_then(base64);
            bytes = inner.ok_or_else(wrong)?;
        }
        return Ok(Some(Credential::Data(bytes)));
    }
    Ok(path.filter(|path| !path.as_os_str().is_empty()).map(Credential::File))
}

/// Decodes base64 as Go does, which skips line breaks and nothing else.
fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect());
    Base64::decode_vec(&text).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "\
apiVersion: v1
kind: Config
current-context: prod
contexts:
- name: prod
  context: {cluster: on, user: 'kubelet:on'}
- name: astray
  context: {cluster: nowhere, user: 'kubelet:on'}
- name: alone
  context: {cluster: on, user: nobody}
clusters:
- name: on
  cluster: {server: 'https://10.0.0.1:6443', certificate-authority: /etc/kubernetes/pki/ca.crt}
- name: open
  cluster: {server: 'http://10.0.0.1:8080', insecure-skip-tls-verify: true}
users:
- name: kubelet:on
  user: {client-certificate: a.crt, client-key-data: YWJj, exec: {command: rm}, token: secret}
";

    #[test]
    fn files_data_and_other_means_are_told_apart() {
        let config = read(ALL.as_bytes()).expect("a kubeconfig");
        assert_eq!(config.clusters[0].authority, Some(Credential::File("/etc/kubernetes/pki/ca.crt".into())));
        assert_eq!((config.clusters[1].insecure, &config.clusters[1].authority), (true, &None));
        let user = &config.users[0];
        assert_eq!(user.key, Some(Credential::Data(Zeroizing::new(b"abc".to_vec()))));
        assert_eq!(user.others, ["a token", "an exec plugin (not run)"]);
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn anything_else_is_none() {
        assert!(matches!(read(b"- 1"), Err(KubeconfigError::Shape(_))));
        assert!(matches!(read(b""), Err(KubeconfigError::Shape(_))));
        assert!(matches!(read(b"name: prod"), Err(KubeconfigError::Shape(_))));
        assert!(matches!(read(b"kind: Pod"), Err(KubeconfigError::Kind(_))));
        assert!(matches!(read(b"kind: Config\napiVersion: v2"), Err(KubeconfigError::Version(_))));
        let bad = b"kind: Config\nclusters: [{name: a, cluster: {certificate-authority-data: '!'}}]";
        assert_eq!(read(bad), Err(KubeconfigError::Base64("certificate-authority-data".into())));
        let twice = b"kind: Config\nusers: [{name: a}, {name: a}]";
        assert_eq!(read(twice), Err(KubeconfigError::Twice { what: "user", name: "a".into() }));
    }

    #[test]
    fn only_what_the_context_uses_is_used() {
        let config = read(ALL.as_bytes()).expect("a kubeconfig");
        let current = config.used(None).expect("the current context");
        assert_eq!((current.cluster.name.as_str(), current.user.map(|u| u.name.as_str())), ("on", Some("kubelet:on")));
        assert!(current.weaknesses().iter().all(|weakness| !weakness.what.contains("insecure")));
        assert_eq!(config.used(Some("prod")), Ok(current));
        assert_eq!(config.used(Some("absent")), Err(ContextError::NoContext("absent".into())));
        assert!(matches!(config.used(Some("astray")), Err(ContextError::NoCluster { .. })));
        let alone = config.used(Some("alone")).expect("anonymous");
        assert!(alone.user.is_none() && alone.weaknesses().iter().any(|w| w.what.contains("anonymous")));
    }

    #[test]
    fn a_context_that_is_not_there_is_an_error_and_none_at_all_is_a_weakness() {
        let dangling = ALL.replace("current-context: prod", "current-context: gone");
        assert_eq!(read(dangling.as_bytes()).expect("read").used(None), Err(ContextError::NoContext("gone".into())));
        let unset = ALL.replace("current-context: prod\n", "");
        assert_eq!(read(unset.as_bytes()).expect("read").used(None), Err(ContextError::NoneChosen));
        let one = b"kind: Config\nclusters: [{name: c, cluster: {server: 'https://a', certificate-authority: ca}}]";
        let one = read(one).expect("read");
        assert!(one.used(None).expect("the only one").weaknesses().iter().any(|weakness| weakness.breaks_trust));
        let no_server = ALL.replace("server: 'https://10.0.0.1:6443', ", "");
        assert!(matches!(read(no_server.as_bytes()).expect("read").used(None), Err(ContextError::NoServer(_))));
    }

    #[test]
    fn what_client_go_reads_is_read() {
        let marked = [b"\xef\xbb\xbf".as_slice(), ALL.as_bytes()].concat();
        assert_eq!(read(&marked), read(ALL.as_bytes()));
        assert_eq!(read(format!("{ALL}---\nkind: Pod\n").as_bytes()), read(ALL.as_bytes()));
        assert_eq!(read(format!("---\n{ALL}---\n: [").as_bytes()), read(ALL.as_bytes()));
        assert_eq!(read(ALL.replace("apiVersion: v1\nkind: Config\n", "").as_bytes()), read(ALL.as_bytes()));
        let empty = read(b"kind: Config\nclusters: null\nusers: ~\ncontexts:\ncurrent-context: null\n").expect("read");
        assert_eq!(empty, Kubeconfig { current_context: None, clusters: vec![], users: vec![], contexts: vec![] });
        let data = |written: &str| {
            let text =
                format!("kind: Config\nclusters:\n- name: a\n  cluster:\n    certificate-authority-data: {written}\n");
            match read(text.as_bytes()) {
                Ok(config) => match &config.clusters[0].authority {
                    Some(Credential::Data(bytes)) => String::from_utf8(bytes.to_vec()).ok(),
                    _ => None,
                },
                Err(_) => None,
            }
        };
        for written in [
            "YWJj",
            "|\n      YW\n      Jj",
            "\"YW\\r\\nJj\"",
            "!!binary WVdKag==",
            "!!binary |\n      WVdK\n      ag==",
        ] {
            assert_eq!(data(written).as_deref(), Some("abc"), "{written}");
        }
        // Go accepts none of these.
        for written in ["'YW Jj'", "' YWJj'", ">\n      YW\n      Jj", "!!binary YWJj", "YWJ"] {
            assert_eq!(data(written), None, "{written}");
        }
    }

    #[test]
    fn merged_keys_and_utf_16_count_and_names_are_texts() {
        let base = read(ALL.as_bytes()).expect("read");
        let merged = ALL.replace("clusters:\n", "common: &c {tls-server-name: other}\nclusters:\n");
        let merged = read(merged.replace("{server: 'https", "{<<: *c, server: 'https").as_bytes()).expect("read");
        assert_eq!(merged.clusters[0].tls_server_name.as_deref(), Some("other"));
        assert_eq!(merged.users, base.users);
        let units = || std::iter::once(0xfeff).chain(ALL.encode_utf16());
        let (little, big): (Vec<u8>, Vec<u8>) =
            (units().flat_map(u16::to_le_bytes).collect(), units().flat_map(u16::to_be_bytes).collect());
        assert_eq!(read(&little).as_ref(), Ok(&base));
        assert_eq!(read(&big).as_ref(), Ok(&base));
        assert!(read(&little[..little.len() - 1]).is_err());
        for (from, to) in [("current-context: prod", "current-context: 1"), ("- name: alone", "- name: true")] {
            assert!(matches!(read(ALL.replace(from, to).as_bytes()), Err(KubeconfigError::Shape(_))), "{to}");
        }
        assert!(read(ALL.replace("- name: alone", "- name: '1'").as_bytes()).is_ok());
    }

    #[test]
    fn what_is_not_honoured_or_refused_by_client_go_is_reported() {
        let change = |from: &str, to: &str| {
            let config = read(ALL.replace(from, to).as_bytes()).expect("read");
            let weaknesses = config.used(None).expect("used").weaknesses();
            weaknesses.into_iter().map(|weakness| (weakness.breaks_trust, weakness.what)).collect::<Vec<_>>()
        };
        let known = change("", "").len();
        let cases = [
            ("certificate-authority: /etc", "proxy-url: 'http://p:1', certificate-authority: /etc", false, "proxy-url"),
            ("certificate-authority: /etc", "proxy-url: 'ftp://p', certificate-authority: /etc", true, "proxy-url"),
            ("certificate-authority: /etc", "proxy-url: 'p:1', certificate-authority: /etc", true, "proxy-url"),
            (
                "certificate-authority: /etc",
                "certificate-authority-data: YWJj, certificate-authority: /etc",
                true,
                "refuses",
            ),
            ("exec:", "as: root, exec:", false, "as and as-groups"),
            ("exec:", "as-groups: [a], exec:", true, "without as"),
            ("exec:", "password: x, exec:", true, "a token and a password"),
            ("client-key-data: YWJj", "client-key: ''", true, "without its key"),
        ];
        for (from, to, breaks_trust, what) in cases {
            let found = change(from, to);
            assert!(found.len() >= known, "{to}");
            assert!(
                found.iter().any(|(breaks, text)| *breaks == breaks_trust && text.contains(what)),
                "{to}: {found:?}"
            );
        }
        let nothing = change(", exec: {command: rm}, token: secret", ", exec: null, token: '', username: '', as: ''");
        assert!(nothing.iter().all(|(breaks, _)| !breaks), "{nothing:?}");
    }

    #[test]
    fn the_servers_location_is_client_gos() {
        let location = |server: &str| {
            let text = ALL.replace("https://10.0.0.1:6443", server);
            read(text.as_bytes()).expect("read").used(None).expect("used").cluster.location()
        };
        assert_eq!(location("HTTPS://Internal-ELB.example.COM:6443"), "https://internal-elb.example.com:6443");
        assert_eq!(location("10.0.0.1:6443"), "http://10.0.0.1:6443");
        assert_eq!(location("http://A:80"), "http://a:80");
    }
}
