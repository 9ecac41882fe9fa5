//! Kubeconfigs (Kubernetes client-go `clientcmd/api/v1`), as far as trust goes: whom they trust, and with what they call.
//! Nothing that a kubeconfig names is opened or run here.

use std::fmt;
use std::path::PathBuf;

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use zeroize::Zeroizing;

/// What a kubeconfig says of trust.
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

impl Kubeconfig {
    /// The current context's cluster, or the only one where there is no context.
    #[must_use]
    pub fn current_cluster(&self) -> Option<&KubeCluster> {
        let named = self.current().map(|context| context.cluster.as_str());
        match named {
            Some(name) => self.clusters.iter().find(|cluster| cluster.name == name),
            None => self.clusters.first().filter(|_| self.clusters.len() == 1),
        }
    }

    /// The current context's user, or the only one where there is no context.
    #[must_use]
    pub fn current_user(&self) -> Option<&KubeUser> {
        let named = self.current().map(|context| context.user.as_str());
        match named {
            Some(name) => self.users.iter().find(|user| user.name == name),
            None => self.users.first().filter(|_| self.users.len() == 1),
        }
    }

    fn current(&self) -> Option<&KubeContext> {
        let current = self.current_context.as_deref()?;
        self.contexts.iter().find(|context| context.name == current)
    }
}

/// A context entry: which user calls which cluster.
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
    /// The API server's location.
    pub server: String,
    /// Whom it trusts; `None` means the system's roots.
    pub authority: Option<Credential>,
    /// `insecure-skip-tls-verify`
    pub insecure: bool,
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
    /// Other means by which it authenticates: `a token`, `an exec plugin` …
    pub others: Vec<&'static str>,
}

/// By file, which is reloaded, or embedded, which is not.
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
    /// Data that is no base64.
    #[error("{0} is not base64")]
    Base64(String),
}

/// Reads a kubeconfig.
///
/// # Errors
/// When it is none.
pub fn read(bytes: &[u8]) -> Result<Kubeconfig, KubeconfigError> {
    let raw: Raw = serde_yaml::from_slice(bytes).map_err(|error| KubeconfigError::Shape(error.to_string()))?;
    if raw.kind != "Config" {
        return Err(KubeconfigError::Kind(format!("of kind {:?}", raw.kind)));
    }
    let clusters = raw.clusters.into_iter().map(RawNamedCluster::parse).collect::<Result<_, _>>()?;
    let users = raw.users.into_iter().map(RawNamedUser::parse).collect::<Result<_, _>>()?;
    let context =
        |raw: RawNamedContext| KubeContext { name: raw.name, cluster: raw.context.cluster, user: raw.context.user };
    let contexts = raw.contexts.into_iter().map(context).collect();
    let current_context = raw.current_context.filter(|name| !name.is_empty());
    Ok(Kubeconfig { current_context, clusters, users, contexts })
}

/// What in a kubeconfig weakens the trust that clusterctl's own has.
#[derive(Debug, PartialEq, Eq)]
pub struct Weakness {
    /// In words.
    pub what: String,
    /// Whether a stranger could pass for the master, or for this node. What does not is merely not reloaded.
    pub breaks_trust: bool,
}

/// Everything in a kubeconfig that is weaker than in clusterctl's own.
#[must_use]
pub fn weaknesses(config: &Kubeconfig) -> Vec<Weakness> {
    let mut found = Vec::new();
    let mut note = |breaks_trust, what| found.push(Weakness { what, breaks_trust });
    for cluster in &config.clusters {
        if !cluster.server.starts_with("https://") {
            note(true, format!("{} is not https", cluster.server));
        }
        if cluster.insecure {
            note(true, "insecure-skip-tls-verify is set".to_owned());
        }
        match cluster.authority {
            Some(Credential::File(_)) => {}
            Some(Credential::Data(_)) => {
                note(false, "its root is embedded, and not reloaded when it changes".to_owned())
            }
            None => note(true, "it names no root, so the system's are trusted".to_owned()),
        }
    }
    for user in &config.users {
        for means in &user.others {
            note(true, format!("user {} authenticates by {means}", user.name));
        }
        let embedded = |c: &Option<Credential>| matches!(c, Some(Credential::Data(_)));
        if embedded(&user.certificate) || embedded(&user.key) {
            note(false, format!("user {}: its certificate is embedded, and not reloaded when it changes", user.name));
        }
    }
    found
}

#[derive(Deserialize)]
struct Raw {
    kind: String,
    #[serde(rename = "current-context")]
    current_context: Option<String>,
    #[serde(default)]
    clusters: Vec<RawNamedCluster>,
    #[serde(default)]
    users: Vec<RawNamedUser>,
    #[serde(default)]
    contexts: Vec<RawNamedContext>,
}

#[derive(Deserialize)]
struct RawNamedContext {
    name: String,
    context: RawContext,
}

#[derive(Deserialize)]
struct RawContext {
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
struct RawNamedCluster {
    name: String,
    cluster: RawCluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawCluster {
    #[serde(default)]
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
}

impl RawNamedCluster {
    fn parse(self) -> Result<KubeCluster, KubeconfigError> {
        let cluster = self.cluster;
        let field = "certificate-authority-data";
        let authority = credential(field, cluster.certificate_authority, cluster.certificate_authority_data)?;
        let (server, insecure) = (cluster.server, cluster.insecure_skip_tls_verify);
        Ok(KubeCluster { name: self.name, server, authority, insecure })
    }
}

#[derive(Deserialize)]
struct RawNamedUser {
    name: String,
    user: RawUser,
}

#[derive(Deserialize)]
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
    exec: Option<serde::de::IgnoredAny>,
    auth_provider: Option<serde::de::IgnoredAny>,
}

impl RawNamedUser {
    fn parse(self) -> Result<KubeUser, KubeconfigError> {
        let user = self.user;
        let means = [
            (user.token.is_some() || user.token_file.is_some(), "a token"),
            (user.username.is_some(), "user name and password"),
            (user.exec.is_some(), "an exec plugin (not run)"),
            (user.auth_provider.is_some(), "an auth provider (not run)"),
        ];
        let key_data = user.client_key_data.as_ref().map(|text| text.as_str().to_owned());
        Ok(KubeUser {
            name: self.name,
            certificate: credential("client-certificate-data", user.client_certificate, user.client_certificate_data)?,
            key: credential("client-key-data", user.client_key, key_data)?,
            others: means.iter().filter(|(used, _)| *used).map(|(_, means)| *means).collect(),
        })
    }
}

/// Embedded data wins over a path, as in client-go.
fn credential(field: &str, path: Option<PathBuf>, data: Option<String>) -> Result<Option<Credential>, KubeconfigError> {
    if let Some(data) = data.filter(|data| !data.is_empty()).map(Zeroizing::new) {
        let bytes = Base64::decode_vec(data.trim()).map_err(|_| KubeconfigError::Base64(field.to_owned()))?;
        return Ok(Some(Credential::Data(Zeroizing::new(bytes))));
    }
    Ok(path.filter(|path| !path.as_os_str().is_empty()).map(Credential::File))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_data_and_other_means_are_told_apart() {
        let text = "\
apiVersion: v1
kind: Config
current-context: prod
clusters:
- name: on
  cluster: {server: 'https://10.0.0.1:6443', certificate-authority: /etc/kubernetes/pki/ca.crt}
- name: open
  cluster: {server: 'http://10.0.0.1:8080', insecure-skip-tls-verify: true}
users:
- name: kubelet:on
  user: {client-certificate: a.crt, client-key-data: YWJj, exec: {command: rm}, token: secret}
";
        let config = read(text.as_bytes()).expect("a kubeconfig");
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
        assert!(matches!(read(b"kind: Pod"), Err(KubeconfigError::Kind(_))));
        let bad = b"kind: Config\nclusters: [{name: a, cluster: {certificate-authority-data: '!'}}]";
        assert_eq!(read(bad), Err(KubeconfigError::Base64("certificate-authority-data".into())));
    }
}
