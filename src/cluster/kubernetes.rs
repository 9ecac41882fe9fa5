//! Releases of Kubernetes, and the API versions, flags and fields that each supports.

use std::fmt;
use std::net::Ipv6Addr;

use super::account::AccountScheme;

/// The oldest release that bundles can be made for: 1.28.
const OLDEST: u32 = 28;
/// The newest release whose API versions, flags and fields this program knows: 1.36.
const NEWEST: u32 = 36;
/// The oldest etcd that these releases support.
const OLDEST_ETCD: [u32; 3] = [3, 4, 0];
/// An image's tag has at most this many characters (OCI distribution spec, "Pull").
const MAX_TAG: usize = 128;

/// The cluster file's `kubernetes`; `None` is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kubernetes {
    /// `kubernetes.version`
    pub version: Option<Version>,
    /// `kubernetes.imageRepository`
    pub image_repository: Option<ImageRepository>,
    /// `kubernetes.etcdVersion`
    pub etcd_version: Option<EtcdVersion>,
}

/// A release of Kubernetes, as its images are tagged: `v1.36.2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    tag: String,
    minor: u32,
}

/// A release of etcd, as its image is tagged: `3.6.8-0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdVersion(String);

/// The repository of the images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRepository(String);

/// Errors of parsing a version or a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubernetesError {
    /// Not a release of Kubernetes.
    #[error("not a version, for example v1.36.2")]
    Version,
    /// An unsupported release.
    #[error("not a supported release (Kubernetes 1.{OLDEST} and later)")]
    NotSupported,
    /// Not a release of etcd.
    #[error("not a version, for example 3.6.8-0")]
    EtcdVersion,
    /// An etcd that no release supports.
    #[error("not an etcd that Kubernetes supports (3.4.0 and later)")]
    EtcdNotSupported,
    /// Not an image repository.
    #[error("not an image repository, for example registry.k8s.io")]
    Repository,
}

impl Version {
    /// Parses an image's tag.
    ///
    /// # Errors
    /// Returns an error if it is not a release, or not a supported one.
    pub fn parse(text: &str) -> Result<Self, KubernetesError> {
        let numbers = text.strip_prefix('v').and_then(numbers_of_tag).ok_or(KubernetesError::Version)?;
        match numbers {
            [1, minor, _] if minor >= OLDEST => Ok(Self { tag: text.to_owned(), minor }),
            _ => Err(KubernetesError::NotSupported),
        }
    }

    /// Returns the minor version: 36 of v1.36.2.
    #[must_use]
    pub fn minor(&self) -> u32 {
        self.minor
    }

    /// Returns the features of this release.
    #[must_use]
    pub fn features(&self) -> Features {
        Features { minor: self.minor }
    }
}

impl Default for Version {
    fn default() -> Self {
        Self { tag: "v1.36.2".to_owned(), minor: 36 }
    }
}

impl EtcdVersion {
    /// Parses an image's tag.
    ///
    /// # Errors
    /// Returns an error if it is not an etcd release.
    pub fn parse(text: &str) -> Result<Self, KubernetesError> {
        match numbers_of_tag(text).ok_or(KubernetesError::EtcdVersion)? {
            numbers if numbers >= OLDEST_ETCD => Ok(Self(text.to_owned())),
            _ => Err(KubernetesError::EtcdNotSupported),
        }
    }

    /// Returns the default etcd of this Kubernetes release (`kubeadm config images list`).
    #[must_use]
    pub fn for_kubernetes(version: &Version) -> Self {
        Self(
            match version.minor {
                ..=32 => "3.5.16-0",
                33 => "3.5.21-0",
                _ => "3.6.8-0",
            }
            .to_owned(),
        )
    }

    /// Returns true if it serves `/livez` and `/readyz` (from 3.5.11 and 3.4.29); earlier ones only serve `/health`.
    #[must_use]
    pub fn has_livez(&self) -> bool {
        match numbers_of_tag(&self.0) {
            Some([3, 4, patch]) => patch >= 29,
            Some(numbers) => numbers >= [3, 5, 11],
            None => true,
        }
    }
}

impl ImageRepository {
    /// Parses a host with an optional port, and a path.
    ///
    /// Source: OCI distribution spec, "Pull"; github.com/distribution/reference.
    ///
    /// # Errors
    /// Returns an error if it is not a valid image name.
    pub fn parse(text: &str) -> Result<Self, KubernetesError> {
        let (first, path) = text.split_once('/').map_or((text, None), |(first, path)| (first, Some(path)));
        let good = is_registry(first) && path.is_none_or(|path| path.split('/').all(is_component));
        if good { Ok(Self(text.to_owned())) } else { Err(KubernetesError::Repository) }
    }
}

impl Default for ImageRepository {
    fn default() -> Self {
        Self("registry.k8s.io".to_owned())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tag)
    }
}

impl fmt::Display for EtcdVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ImageRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The features of a release that bundles use (Kubernetes `pkg/features`, `apiserver/pkg/features`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    minor: u32,
}

impl Features {
    /// Returns the version of `apiserver.config.k8s.io` that has AuthorizationConfiguration.
    #[must_use]
    pub fn authorization_api(self) -> &'static str {
        match self.minor {
            ..=29 => "v1alpha1",
            30 | 31 => "v1beta1",
            _ => "v1",
        }
    }

    /// Returns true if API servers have `--authorization-config`.
    #[must_use]
    pub fn has_authorization_config(self) -> bool {
        self.minor >= 29
    }

    /// Returns true if authorizers see field selectors, so that a node can be restricted to its own pods.
    #[must_use]
    pub fn has_selectors(self) -> bool {
        self.minor >= 31
    }

    /// Returns true if authorizers see the client's certificate, so that a revoked one can be denied.
    #[must_use]
    pub fn has_credential_id(self) -> bool {
        self.minor >= 32
    }

    /// Returns the version of `admissionregistration.k8s.io` that has ValidatingAdmissionPolicy.
    #[must_use]
    pub fn admission_api(self) -> &'static str {
        if self.minor >= 30 { "v1" } else { "v1beta1" }
    }

    /// Returns the flags that an API server needs for the rendered policy.
    #[must_use]
    pub fn api_server_flags(self, accounts: AccountScheme) -> Vec<String> {
        let kubelet = accounts == AccountScheme::Kubelet;
        let mut gates = Vec::new();
        if self.minor == 29 {
            gates.push("StructuredAuthorizationConfiguration=true");
        }
        if self.minor == 31 {
            gates.push("AuthorizeWithSelectors=true");
        }
        let mut flags = Vec::new();
        if self.minor < 30 && kubelet {
            gates.push("ValidatingAdmissionPolicy=true");
            flags.push("--runtime-config=admissionregistration.k8s.io/v1beta1=true".to_owned());
        }
        if !gates.is_empty() {
            flags.push(format!("--feature-gates={}", gates.join(",")));
        }
        flags
    }

    /// Returns the features that only later releases support, each with the first such release.
    #[must_use]
    pub fn shortcomings(self, accounts: AccountScheme, revoked: usize) -> Vec<&'static str> {
        let mut found = Vec::new();
        if self.minor > NEWEST {
            found.push(
                "flags and API versions are those of 1.36, the latest release that this program knows: look in the release \
                 notes for those that were removed since",
            );
        }
        if !self.has_selectors() && accounts == AccountScheme::Kubelet {
            found.push(
                "a node with an account of the kind kubelet may list the pods of all nodes (prevented from 1.31 on)",
            );
        }
        if !self.has_credential_id() && revoked > 0 {
            found.push(
                "its API servers accept revoked certificates, because they do not see which certificate a client has \
                 (from 1.32 on they do)",
            );
        }
        found
    }
}

/// Returns true for a host with or without a port: `registry.k8s.io`, `127.0.0.1:5000`, `[fd00::1]:5000`.
fn is_registry(text: &str) -> bool {
    let port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0 && port.to_string() == text);
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return false };
        return address.parse::<Ipv6Addr>().is_ok() && (rest.is_empty() || rest.strip_prefix(':').is_some_and(port));
    }
    match text.split_once(':') {
        Some((host, after)) => is_component(host) && port(after),
        None => is_component(text),
    }
}

/// Returns true for lower-case letters and digits with single separators between them.
fn is_component(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let at_edge = |c: Option<char>| c.is_some_and(plain);
    at_edge(text.chars().next())
        && at_edge(text.chars().next_back())
        && text.chars().all(|c| plain(c) || "._-".contains(c))
        && !text.contains("..")
}

/// Returns the three numbers of `1.36.2`; a suffix, as tags may have one, is ignored.
fn numbers_of_tag(text: &str) -> Option<[u32; 3]> {
    // An image's tag has no leading zeros.
    let number = |part: &str| part.parse::<u32>().ok().filter(|number| number.to_string() == part);
    let (numbers, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let mut parts = numbers.split('.').map(number);
    let found = [parts.next()??, parts.next()??, parts.next()??];
    let tag = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let good = parts.next().is_none()
        && (rest.is_empty() || rest.starts_with('-'))
        && rest.chars().all(tag)
        && text.len() < MAX_TAG;
    good.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_known_by_their_tags() {
        assert_eq!(Version::parse("v1.36.2").map(|version| version.minor()), Ok(36));
        assert_eq!(Version::parse("v1.37.0-rc.1").map(|version| version.minor()), Ok(37));
        for old in ["v1.27.9", "v1.20.2", "v0.1.1", "v2.0.0"] {
            assert_eq!(Version::parse(old), Err(KubernetesError::NotSupported), "{old}");
        }
        for none in [
            "",
            "1.36.2",
            "v1.36",
            "v1.36.2.1",
            "v1.36.2+k3s1",
            "v1.36.2 ",
            "v1.x.2",
            "v1.99999999999.2",
            "v01.36.2",
            "v1.036.2",
        ] {
            assert_eq!(Version::parse(none), Err(KubernetesError::Version), "{none}");
        }
    }

    #[test]
    fn each_release_gets_the_api_versions_that_it_knows() {
        let of = |minor: u32| Version::parse(&format!("v1.{minor}.0")).expect("a release").features();
        let authorization: Vec<&str> = (28..=37).map(|minor| of(minor).authorization_api()).collect();
        assert_eq!(authorization[..4], ["v1alpha1", "v1alpha1", "v1beta1", "v1beta1"]);
        assert!(authorization[4..].iter().all(|version| *version == "v1"));
        assert_eq!((of(29).admission_api(), of(30).admission_api()), ("v1beta1", "v1"));
        assert!(!of(28).has_authorization_config() && of(29).has_authorization_config());
        for minor in 32..=37 {
            assert!(of(minor).api_server_flags(AccountScheme::Kubelet).is_empty(), "{minor}");
            assert_eq!(of(minor).shortcomings(AccountScheme::Kubelet, 1).is_empty(), minor <= NEWEST, "{minor}");
        }
        assert_eq!(of(30).shortcomings(AccountScheme::Kubelet, 1).len(), 2);
        assert!(of(28).shortcomings(AccountScheme::SystemNode, 0).is_empty());
    }

    #[test]
    fn image_references_are_those_that_container_runtimes_parse() {
        for good in
            ["registry.k8s.io", "reg:5000", "[fd00::1]:5000/k8s", "10.0.0.1:5000/a/b_c/d--e", "reg.example.net/k8s.io"]
        {
            assert!(ImageRepository::parse(good).is_ok(), "{good}");
        }
        for none in ["", "../x", "a:b:c", "-x", "a:", "a:0", "a:99999", "a/b:5000", "a/", "/a", "a//b", "[::1", "a..b"]
        {
            assert_eq!(ImageRepository::parse(none), Err(KubernetesError::Repository), "{none}");
        }
        assert_eq!(EtcdVersion::parse("2.3.1"), Err(KubernetesError::EtcdNotSupported));
    }

    #[test]
    fn livez_is_used_from_the_etcd_version_that_has_it() {
        let etcd = |text: &str| EtcdVersion::parse(text).expect("a version");
        for (text, has) in
            [("3.5.9-0", false), ("3.5.11-0", true), ("3.4.28-0", false), ("3.4.29-0", true), ("3.6.8-0", true)]
        {
            assert_eq!(etcd(text).has_livez(), has, "{text}");
        }
        for minor in 28..=37 {
            let version = Version::parse(&format!("v1.{minor}.0")).expect("a release");
            assert!(EtcdVersion::for_kubernetes(&version).has_livez(), "{minor}");
        }
    }
}
