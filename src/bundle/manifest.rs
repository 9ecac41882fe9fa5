//! The manifest of a bundle: JSON with one file per line, which `install.sh` reads with `sed`.
//!
//! Parsing an untrusted manifest gives validated values.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cluster::duration::stamp;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::name::{ClusterName, HostName};
use crate::cluster::spec::Role;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::rotation::Phase;
use crate::pki::token_rotation::TokenPhase;

/// The version that is written, and the newest that is read. It increases when an older reader would misinterpret the
/// manifest.
pub const SCHEMA_VERSION: u64 = 1;

/// The phase of a rotation of a CA, or of the key that signs service account tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationMark {
    /// The role that is rotated, as `rotate-ca --role` has it.
    pub role: String,
    /// The phase.
    pub phase: MarkedPhase,
}

/// A phase of either kind of rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkedPhase {
    /// Of a CA's.
    Ca(Phase),
    /// Of the key that signs service account tokens.
    Tokens(TokenPhase),
}

impl MarkedPhase {
    /// Returns the number of the phase.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Ca(phase) => phase.number(),
            Self::Tokens(phase) => phase.number(),
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ca(phase) => phase.as_str(),
            Self::Tokens(phase) => phase.as_str(),
        }
    }

    /// Reads a name with its number.
    fn parse(text: &str, number: u8) -> Option<Self> {
        let of_ca = Phase::parse(text).map(Self::Ca);
        let all = [of_ca, TokenPhase::parse(text).map(Self::Tokens)];
        all.into_iter().flatten().find(|phase| phase.number() == number)
    }
}

/// The manifest of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The host's name.
    pub host: HostName,
    /// The host's roles, master first.
    pub roles: Vec<Role>,
    /// The user name in the host's client certificate; for a host in both roles, that of the node.
    pub account: String,
    /// The API endpoint that nodes connect to.
    pub endpoint: Endpoint,
    /// SHA-256 of the SubjectPublicKeyInfo of the active CA's root, kubeadm's pin.
    pub root_pin: Fingerprint,
    /// The pins of the roots that are trusted beside it; empty for most clusters.
    pub other_pins: Vec<Fingerprint>,
    /// All certificates in the bundle are valid from this time on.
    pub not_before: OffsetDateTime,
    /// All certificates in the bundle are valid until this time, inclusive.
    pub not_after: OffsetDateTime,
    /// The generation, greater than that of every earlier bundle of this host with other contents.
    pub generation: u64,
    /// The phase of a rotation for which the bundle was packed.
    pub rotation: Option<RotationMark>,
    /// For each program that has to be restarted when one of some files is replaced: the program and these files,
    /// separated by spaces.
    pub restarts: Vec<String>,
    /// All files but the manifest, its checksum and its signature, sorted by path.
    pub files: Vec<ManifestFile>,
}

/// One file in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// The relative path, which [`is_plain_path`] accepts.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// SHA-256 of its bytes.
    pub sha256: Fingerprint,
}

/// Errors of parsing a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is not JSON, or has other fields.
    #[error("it is not a bundle's manifest: {0}")]
    Shape(String),
    /// It was written by a newer version of clusterctl.
    #[error("it has schema version {found}, and this clusterctl reads up to {SCHEMA_VERSION}; a newer one is needed")]
    Newer {
        /// Its version.
        found: u64,
    },
    /// A field has a value that is not valid.
    #[error("its {field} is not usable: {seen:?}")]
    Field {
        /// The field's name in JSON.
        field: &'static str,
        /// Its value.
        seen: String,
    },
}

/// Returns true for a relative path of letters, digits, `.`, `_`, `-`, `@` and `/` that needs no quoting.
///
/// No component is empty, consists of dots, or begins with a hyphen. All paths in bundles satisfy this.
#[must_use]
pub fn is_plain_path(path: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && part.bytes().any(|b| b != b'.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@'))
    };
    path.len() <= 512 && path.split('/').all(plain)
}

impl Manifest {
    /// Returns the pins of all roots in the trust file, the active CA's first.
    pub fn pins(&self) -> impl Iterator<Item = Fingerprint> {
        [self.root_pin].into_iter().chain(self.other_pins.iter().copied())
    }

    /// Returns the manifest as JSON with a line feed at the end; the same manifest gives the same bytes.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json_form = ManifestJson::from(self);
        // Destructured without `..`, so that a new field cannot be forgotten.
        let ManifestJson {
            schema_version,
            cluster,
            host,
            roles,
            account,
            endpoint,
            root_pin,
            other_pins,
            not_before,
            not_after,
            generation,
            rotation,
            restarts,
            files,
        } = &json_form;
        let mut out = String::with_capacity(512 + files.len() * 192);
        out.push_str("{\n");
        let mut field = |name: &str, value: String| {
            out.extend(["  \"", name, "\": ", &value, ",\n"]);
        };
        field("schemaVersion", json(schema_version));
        field("cluster", json(cluster));
        field("host", json(host));
        field("roles", json(roles));
        field("account", json(account));
        field("endpoint", json(endpoint));
        field("rootPin", json(root_pin));
        if !other_pins.is_empty() {
            field("otherPins", json(other_pins));
        }
        field("notBefore", json(not_before));
        field("notAfter", json(not_after));
        field("generation", json(generation));
        if let Some(rotation) = rotation {
            field("rotation", json(rotation));
        }
        if !restarts.is_empty() {
            field("restarts", json(restarts));
        }
        out.push_str("  \"files\": [");
        for (i, file) in files.iter().enumerate() {
            out.extend([if i == 0 { "\n    " } else { ",\n    " }, &json(file)]);
        }
        out.push_str("\n  ]\n}\n");
        out
    }

    /// Parses an untrusted manifest.
    ///
    /// # Errors
    /// Returns an error if it is not one, has a later version, or a value in it is not valid.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        let shape = |error: serde_json::Error| ManifestError::Shape(error.to_string());
        // The version is checked first: a later one may have other fields.
        let Version { schema_version: found } = serde_json::from_slice(json).map_err(shape)?;
        if found > SCHEMA_VERSION {
            return Err(ManifestError::Newer { found });
        }
        serde_json::from_slice::<ManifestJson<'_>>(json).map_err(shape)?.read()
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    // Serializing numbers, strings and lists of them cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    schema_version: u64,
}

/// The manifest's fields in JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ManifestJson<'a> {
    schema_version: u64,
    cluster: String,
    host: String,
    roles: Vec<String>,
    account: String,
    endpoint: String,
    root_pin: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    other_pins: Vec<String>,
    not_before: String,
    not_after: String,
    generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<RotationJson>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    restarts: Vec<String>,
    files: Vec<FileJson<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RotationJson {
    role: String,
    phase: String,
    number: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileJson<'a> {
    path: Cow<'a, str>,
    mode: String,
    sha256: String,
}

impl<'a> From<&'a Manifest> for ManifestJson<'a> {
    fn from(manifest: &'a Manifest) -> Self {
        let file = |file: &'a ManifestFile| FileJson {
            path: Cow::Borrowed(&file.path),
            mode: format!("{:04o}", file.mode),
            sha256: file.sha256.to_string(),
        };
        Self {
            schema_version: SCHEMA_VERSION,
            cluster: manifest.cluster.to_string(),
            host: manifest.host.to_string(),
            roles: manifest.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            account: manifest.account.clone(),
            endpoint: manifest.endpoint.to_string(),
            root_pin: manifest.root_pin.as_pin(),
            other_pins: manifest.other_pins.iter().map(Fingerprint::as_pin).collect(),
            not_before: stamp(manifest.not_before),
            not_after: stamp(manifest.not_after),
            generation: manifest.generation,
            rotation: manifest.rotation.as_ref().map(|mark| RotationJson {
                role: mark.role.clone(),
                phase: mark.phase.as_str().to_owned(),
                number: mark.phase.number(),
            }),
            restarts: manifest.restarts.clone(),
            files: manifest.files.iter().map(file).collect(),
        }
    }
}

impl ManifestJson<'_> {
    fn read(self) -> Result<Manifest, ManifestError> {
        let role = |text: String| {
            let known = [Role::Master, Role::Node].into_iter().find(|role| role.as_str() == text);
            known.ok_or_else(|| unusable("roles", &text))
        };
        // It is shown on terminals, so it may have no control characters.
        if self.account.chars().any(char::is_control) {
            return Err(unusable("account", &self.account));
        }
        Ok(Manifest {
            cluster: ClusterName::parse(&self.cluster).map_err(|_| unusable("cluster", &self.cluster))?,
            host: HostName::parse(&self.host).map_err(|_| unusable("host", &self.host))?,
            roles: self.roles.into_iter().map(role).collect::<Result<_, _>>()?,
            account: self.account,
            endpoint: Endpoint::parse(&self.endpoint).map_err(|_| unusable("endpoint", &self.endpoint))?,
            root_pin: pin("rootPin", &self.root_pin)?,
            other_pins: self.other_pins.iter().map(|text| pin("otherPins", text)).collect::<Result<_, _>>()?,
            not_before: time("notBefore", &self.not_before)?,
            not_after: time("notAfter", &self.not_after)?,
            generation: self.generation,
            rotation: self.rotation.map(RotationJson::read).transpose()?,
            restarts: self.restarts.into_iter().map(restart).collect::<Result<_, _>>()?,
            files: self.files.into_iter().map(FileJson::read).collect::<Result<_, _>>()?,
        })
    }
}

impl RotationJson {
    fn read(self) -> Result<RotationMark, ManifestError> {
        let is_name = |c: char| c.is_ascii_lowercase() || c == '-';
        match MarkedPhase::parse(&self.phase, self.number) {
            Some(phase) if self.role.chars().all(is_name) => Ok(RotationMark { role: self.role, phase }),
            _ => Err(unusable("rotation", &format!("{} {}", self.role, self.phase))),
        }
    }
}

/// Reads a line of `restarts`, which goes into a shell.
fn restart(line: String) -> Result<String, ManifestError> {
    match line.split(' ').all(is_plain_path) {
        true => Ok(line),
        false => Err(unusable("restarts", &line)),
    }
}

impl FileJson<'_> {
    fn read(self) -> Result<ManifestFile, ManifestError> {
        if !is_plain_path(&self.path) {
            return Err(unusable("path", &self.path));
        }
        let octal = self.mode.len() == 4 && self.mode.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let mode = u32::from_str_radix(&self.mode, 8).ok().filter(|&mode| octal && mode <= 0o777);
        let mode = mode.ok_or_else(|| unusable("mode", &self.mode))?;
        let sha256 = Fingerprint::parse(&self.sha256).ok_or_else(|| unusable("sha256", &self.sha256))?;
        Ok(ManifestFile { path: self.path.into_owned(), mode, sha256 })
    }
}

fn pin(field: &'static str, text: &str) -> Result<Fingerprint, ManifestError> {
    text.strip_prefix("sha256:").and_then(Fingerprint::parse).ok_or_else(|| unusable(field, text))
}

fn time(field: &'static str, text: &str) -> Result<OffsetDateTime, ManifestError> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| unusable(field, text))
}

fn unusable(field: &'static str, seen: &str) -> ManifestError {
    ManifestError::Field { field, seen: seen.chars().take(80).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn manifest() -> Manifest {
        let file = |path: &str, mode| ManifestFile { path: path.into(), mode, sha256: Fingerprint::of(b"abc") };
        Manifest {
            cluster: ClusterName::parse("prod").expect("a name"),
            host: HostName::parse("on").expect("a name"),
            roles: vec![Role::Master, Role::Node],
            account: "kubelet:on".into(),
            endpoint: Endpoint::parse("https://10.0.0.1:6443").expect("an endpoint"),
            root_pin: Fingerprint::of(b"abc"),
            other_pins: Vec::new(),
            not_before: datetime!(2026-11-23 11:55:00 UTC),
            not_after: datetime!(2027-11-23 12:00:00 UTC),
            generation: 7,
            rotation: None,
            restarts: vec!["kubelet etc/kubernetes/kubelet.conf".into()],
            files: vec![file("etc/kubernetes/kubelet.conf", 0o600), file("install.sh", 0o755)],
        }
    }

    #[test]
    fn a_manifest_survives_its_json() {
        let json = manifest().to_json();
        assert_eq!(Manifest::parse(json.as_bytes()), Ok(manifest()));
        assert!(json.contains("\n  \"generation\": 7,\n"), "{json}");
        assert!(!json.contains("otherPins"), "{json}");
        let several = Manifest { other_pins: vec![Fingerprint::of(b"def")], ..manifest() };
        assert_eq!(Manifest::parse(several.to_json().as_bytes()), Ok(several));
        let mark = RotationMark { role: "cluster".into(), phase: MarkedPhase::Ca(Phase::TrustBoth) };
        let rotating = Manifest { rotation: Some(mark), restarts: Vec::new(), ..manifest() };
        let text = rotating.to_json();
        let line = "\n  \"rotation\": {\"role\":\"cluster\",\"phase\":\"trust-both\",\"number\":1},\n";
        assert!(text.contains(line), "{text}");
        assert_eq!(Manifest::parse(text.as_bytes()), Ok(rotating));
        assert!(Manifest::parse(text.replace("\"number\":1", "\"number\":2").as_bytes()).is_err());
        for phase in TokenPhase::ALL.into_iter().skip(1) {
            let mark = RotationMark { role: "service-account".into(), phase: MarkedPhase::Tokens(phase) };
            let rotating = Manifest { rotation: Some(mark), ..manifest() };
            assert_eq!(Manifest::parse(rotating.to_json().as_bytes()), Ok(rotating));
        }
        assert!(
            json.contains("\n    {\"path\":\"etc/kubernetes/kubelet.conf\",\"mode\":\"0600\",\"sha256\":\"ba7816bf"),
            "{json}"
        );
    }

    #[test]
    fn values_that_cannot_be_right_are_refused() {
        let json = manifest().to_json();
        let changed = |from: &str, to: &str| {
            assert!(json.contains(from), "{from}");
            Manifest::parse(json.replacen(from, to, 1).as_bytes()).expect_err("a bad manifest")
        };
        assert_eq!(changed("\"on\"", "\"../on\""), unusable("host", "../on"));
        assert_eq!(changed("\"etc/kubernetes/kubelet.conf", "\"etc/../../x"), unusable("path", "etc/../../x"));
        assert_eq!(changed("\"etc/kubernetes/kubelet.conf", "\"/etc/passwd"), unusable("path", "/etc/passwd"));
        assert!(matches!(changed("kubelet etc", "kubelet $(id)"), ManifestError::Field { field: "restarts", .. }));
        assert_eq!(changed("0600", "4755"), unusable("mode", "4755"));
        assert_eq!(changed("0600", "+600"), unusable("mode", "+600"));
        assert!(changed("sha256:ba", "sha256:zz").to_string().contains("rootPin"));
        assert_eq!(changed("kubelet:on", "kubelet:\\u001b[2J"), unusable("account", "kubelet:\u{1b}[2J"));
        assert_eq!(changed("\"schemaVersion\": 1", "\"schemaVersion\": 2"), ManifestError::Newer { found: 2 });
        assert!(matches!(changed("\"cluster\"", "\"clutter\""), ManifestError::Shape(_)));
    }

    #[test]
    fn plain_paths_are_relative_and_need_no_quotes() {
        for path in ["install.sh", "etc/systemd/system/kubelet.service.d/99-clusterctl.conf", "a@b_c"] {
            assert!(is_plain_path(path), "{path}");
        }
        for path in ["", "/etc/x", "a//b", "a/", "./a", "a/../b", "...", "a b", "a\nb", "-rf", "a/-b", "ä", "a\\b"] {
            assert!(!is_plain_path(path), "{path}");
        }
    }
}
