//! The fields of a kubeconfig as they are written, and their conversion to the model.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::data::{Binary, credential};
use super::error::KubeconfigError;
use super::model::{KubeCluster, KubeContext, KubeUser};

/// A kubeconfig as it is written.
#[derive(Deserialize)]
pub(super) struct Raw {
    pub(super) kind: Option<String>,
    #[serde(rename = "apiVersion")]
    pub(super) api_version: Option<String>,
    #[serde(rename = "current-context")]
    pub(super) current_context: Option<Text>,
    pub(super) clusters: Option<Vec<Option<RawNamedCluster>>>,
    pub(super) users: Option<Vec<Option<RawNamedUser>>>,
    pub(super) contexts: Option<Vec<Option<RawNamedContext>>>,
}

/// Returns the entries of a list; null is an empty list, and an empty entry.
pub(super) fn all<T: Default>(list: Option<Vec<Option<T>>>) -> impl Iterator<Item = T> {
    list.into_iter().flatten().map(Option::unwrap_or_default)
}

#[derive(Deserialize, Default)]
pub(super) struct RawNamedContext {
    name: Option<Text>,
    context: Option<RawContext>,
}

impl RawNamedContext {
    pub(super) fn parse(self) -> KubeContext {
        let context = self.context.unwrap_or_default();
        KubeContext { name: string(self.name), cluster: string(context.cluster), user: string(context.user) }
    }
}

#[derive(Deserialize, Default)]
struct RawContext {
    cluster: Option<Text>,
    user: Option<Text>,
}

#[derive(Deserialize, Default)]
pub(super) struct RawNamedCluster {
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

const CA_TWICE: &str = "certificate-authority and certificate-authority-data together";
const CERTIFICATE_TWICE: &str = "client-certificate and client-certificate-data together";
const KEY_TWICE: &str = "client-key and client-key-data together";
const NO_KEY: &str = "a client certificate without its key";
const TOKEN_AND_PASSWORD: &str = "a token and a password together";
const INVALID_PROXY: &str = "a proxy-url that is not a URL of http, https or socks5";
const NO_USER_TO_IMPERSONATE: &str = "as-uid, as-groups or as-user-extra without as";

/// Returns true if client-go accepts the URL of a proxy (`parseProxyURL`).
fn is_proxy_url(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    scheme.is_some_and(|scheme| ["http", "https", "socks5"].contains(&scheme.as_str()))
}

impl RawNamedCluster {
    pub(super) fn parse(self, binary: &Binary<'_>) -> Result<KubeCluster, KubeconfigError> {
        let cluster = self.cluster.unwrap_or_default();
        let both = has_path(&cluster.certificate_authority) && has_text(&cluster.certificate_authority_data);
        let field = "certificate-authority-data";
        let ca = credential(field, cluster.certificate_authority, cluster.certificate_authority_data, binary)?;
        let proxy_url = cluster.proxy_url.filter(|url| !url.is_empty());
        let contradictions =
            [(both, CA_TWICE), (proxy_url.as_deref().is_some_and(|url| !is_proxy_url(url)), INVALID_PROXY)];
        Ok(KubeCluster {
            name: string(self.name),
            server: cluster.server.unwrap_or_default(),
            tls_server_name: cluster.tls_server_name.filter(|name| !name.is_empty()),
            proxy_url,
            ca,
            insecure: cluster.insecure_skip_tls_verify.unwrap_or_default(),
            contradictions: contradictions.iter().filter(|(is, _)| *is).map(|(_, what)| *what).collect(),
        })
    }
}

#[derive(Deserialize, Default)]
pub(super) struct RawNamedUser {
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
    #[serde(default, deserialize_with = "is_present")]
    exec: bool,
    #[serde(default, deserialize_with = "is_present")]
    auth_provider: bool,
    r#as: Option<String>,
    as_uid: Option<String>,
    as_groups: Option<Vec<String>>,
    #[serde(default, deserialize_with = "is_present")]
    as_user_extra: bool,
}

/// Returns true for a value of any shape except null.
fn is_present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<serde::de::IgnoredAny>::deserialize(deserializer)?.is_some())
}

fn has_text(text: &Option<impl AsRef<str>>) -> bool {
    text.as_ref().is_some_and(|text| !text.as_ref().is_empty())
}

fn has_path(path: &Option<PathBuf>) -> bool {
    path.as_ref().is_some_and(|path| !path.as_os_str().is_empty())
}

impl RawNamedUser {
    pub(super) fn parse(self, binary: &Binary<'_>) -> Result<KubeUser, KubeconfigError> {
        let user = self.user.unwrap_or_default();
        let secret = |text: &Option<Zeroizing<String>>| text.as_ref().is_some_and(|text| !text.is_empty());
        let token = secret(&user.token);
        let password = has_text(&user.username) || secret(&user.password);
        let others = [
            (token || has_path(&user.token_file), "a token"),
            (password, "user name and password"),
            (user.exec, "an exec plugin (not run)"),
            (user.auth_provider, "an auth provider (not run)"),
        ];
        let impersonates = has_text(&user.r#as);
        let with_attributes =
            has_text(&user.as_uid) || user.as_groups.is_some_and(|g| !g.is_empty()) || user.as_user_extra;
        let certificate = (has_path(&user.client_certificate), has_text(&user.client_certificate_data));
        let key = (has_path(&user.client_key), secret(&user.client_key_data));
        let has_certificate = certificate.0 || certificate.1;
        let contradictions = [
            (certificate == (true, true), CERTIFICATE_TWICE),
            (has_certificate && key == (true, true), KEY_TWICE),
            (has_certificate && key == (false, false), NO_KEY),
            (token && password, TOKEN_AND_PASSWORD),
            (with_attributes && !impersonates, NO_USER_TO_IMPERSONATE),
        ];
        let is_empty = |text: Option<&str>| text.is_some_and(str::is_empty);
        let has_empty_field = is_empty(user.client_certificate_data.as_deref())
            || is_empty(user.client_key_data.as_ref().map(|text| text.as_str()));
        let named = |list: &[(bool, &'static str)]| list.iter().filter(|(is, _)| *is).map(|(_, what)| *what).collect();
        let key_data = user.client_key_data.as_ref().map(|text| text.as_str().to_owned());
        let (path, data) = (user.client_certificate, user.client_certificate_data);
        Ok(KubeUser {
            name: string(self.name),
            certificate: credential("client-certificate-data", path, data, binary)?,
            key: credential("client-key-data", user.client_key, key_data, binary)?,
            has_empty_field,
            others: named(&others),
            impersonates: impersonates || with_attributes,
            contradictions: named(&contradictions),
        })
    }
}

/// A string; as in client-go, a number or a boolean is an error.
pub(super) struct Text(String);

/// Returns the string, or an empty one.
pub(super) fn string(text: Option<Text>) -> String {
    text.map(|Text(text)| text).unwrap_or_default()
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
