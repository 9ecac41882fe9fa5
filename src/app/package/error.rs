//! Errors of packing bundles.

use std::fmt;
use std::path::PathBuf;

use time::OffsetDateTime;

use super::preflight_error::{Refusal, RefusedHost};
use super::remedy::Remedy;
use crate::bundle::encryption::EncryptError;
use crate::bundle::format::Format;
use crate::bundle::images::SettingError;
use crate::bundle::input::InputError;
use crate::bundle::render::RenderError;
use crate::cluster::config_error::ConfigError;
use crate::cluster::kubernetes::Version;
use crate::cluster::name::HostName;
use crate::cluster::profile::{CaRole, Profile};
use crate::pki::known_hosts::KnownHostError;
use crate::pki::ssh::SshError;
use crate::store::credentials::CredentialProblem;

/// The maximum number of hosts that a message names.
const NAMED: usize = 5;

/// Errors of packing bundles.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PackageError {
    /// No host was named.
    #[error("no host was named")]
    NoHost,
    /// The cluster file does not have this host.
    #[error("the cluster file has no host called {name:?}")]
    UnknownHost {
        /// The name.
        name: String,
        /// The most similar name in the cluster file.
        similar: Option<String>,
    },
    /// An override of a setting is not valid.
    #[error("a setting cannot be used")]
    Setting(#[from] SettingError),
    /// The kubelets' settings do not match the version of Kubernetes.
    #[error(
        "the kubelets' settings in cluster.yaml are not valid for Kubernetes {version}, so nothing was packed:{}",
        lines(fields, usize::MAX)
    )]
    KubeletSettings {
        /// The version.
        version: Version,
        /// The settings that the version does not support.
        fields: Vec<ConfigError>,
    },
    /// Only archives can be encrypted.
    #[error("bundles in the format {} cannot be encrypted", .0.as_str())]
    FormatNotEncrypted(Format),
    /// An Ignition config has no installer that checks a signature.
    #[error("bundles in the format {} cannot be signed: they have no install.sh that would check it", .0.as_str())]
    FormatNotSigned(Format),
    /// An Ignition config has no installer that looks for keys on the host.
    #[error("only {host} has its keys, and bundles in the format {} have no install.sh that would look for them", format.as_str())]
    FormatWithoutKeys {
        /// The host.
        host: HostName,
        /// The format.
        format: Format,
    },
    /// Some hosts have no recipient.
    #[error("{}, so {} packed:{}", without_recipients(hosts), left_out(hosts, *is_partial), lines(hosts, NAMED))]
    NoRecipients {
        /// The hosts, with the reasons.
        hosts: Vec<MissingRecipient>,
        /// Whether their keys were looked for in a `known_hosts` file.
        by_known_hosts: bool,
        /// Whether other hosts were packed.
        is_partial: bool,
    },
    /// Two hosts have the same SSH host key.
    #[error("{one} and {other} have the same SSH host key, so each could decrypt the other's bundle")]
    SharedHostKey {
        /// One of them.
        one: String,
        /// The other.
        other: String,
    },
    /// A bundle cannot be encrypted to its recipients.
    #[error("the bundle of {host} cannot be encrypted, so nothing was packed")]
    Encryption {
        /// The host.
        host: String,
        /// The reason.
        source: EncryptError,
    },
    /// Keys can be discarded only if encrypted bundles contain them.
    #[error("keys can be discarded only when bundles are encrypted, and no recipients are known")]
    DiscardWithoutRecipients,
    /// There are encrypted bundles, which unencrypted ones would replace.
    #[error("{} encrypted, and would be replaced by unencrypted ones, so nothing was packed", bundles_of(.0))]
    WouldReplaceEncrypted(Vec<HostName>),
    /// A CA has expired.
    #[error("the {} expired on {}, so nothing was packed", role.as_str(), crate::cluster::duration::stamp(*not_after))]
    CaExpired {
        /// Its role.
        role: CaRole,
        /// The time of expiry.
        not_after: OffsetDateTime,
    },
    /// The key that signs service account tokens cannot be used.
    #[error("the service-account key cannot be used, so nothing was packed: {0}")]
    ServiceAccountKey(CredentialProblem),
    /// Some hosts have no usable credentials.
    #[error("{0}")]
    Refused(Refusal),
    /// A credential changed while others were packed.
    #[error("the {} credential of {} cannot be used: {}", .0.name(), .0.host, .0.reason())]
    CredentialChanged(RefusedHost),
    /// A folder that would be replaced has no manifest, so it is not known which of its files belong to a bundle.
    #[error("the folder {} has no manifest, so it is not known which files would be lost", .0.display())]
    UnknownFolder(PathBuf),
    /// A folder that would be replaced contains a file that is not part of a bundle.
    #[error("{} would be lost: it is not a file of a bundle", .0.display())]
    WouldBeLost(PathBuf),
    /// A bundle cannot be rendered.
    #[error("the bundle of {host} cannot be rendered")]
    Render {
        /// The host.
        host: HostName,
        /// The reason.
        source: RenderError,
    },
    /// The signing key cannot sign.
    #[error("the signing key cannot sign")]
    Signing(#[source] SshError),
    /// A stop was requested.
    #[error("stopped on request; {packed} of {total} bundles packed")]
    Stopped {
        /// The number of bundles that are packed.
        packed: usize,
        /// The number of requested bundles.
        total: usize,
    },
    /// A credential of the verifier bundle cannot be used.
    #[error("the {} credential cannot be used, so nothing was packed: {}", profile.policy().name, super::preflight_error::joined(problems))]
    VerifierCredential {
        /// The profile of the credential.
        profile: Profile,
        /// What is wrong with it.
        problems: Vec<CredentialProblem>,
    },
    /// The verifier bundle cannot be packed.
    #[error("the verifier bundle cannot be packed")]
    VerifierBundle(#[source] InputError),
}

/// A host without a recipient for its bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRecipient {
    /// The host.
    pub host: HostName,
    /// The reason why its key was not found in `known_hosts`; `None` if the cluster file has no recipient.
    pub why: Option<KnownHostError>,
}

impl fmt::Display for MissingRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match &self.why {
            None => write!(f, "{host}: it has no sealTo"),
            Some(error @ KnownHostError::Damaged { reason, .. }) => write!(f, "{host}: {error}: {reason}"),
            Some(error) => write!(f, "{host}: {error}"),
        }
    }
}

/// Returns the first items, one per line, and the number of the others.
fn lines(items: &[impl fmt::Display], at_most: usize) -> String {
    let mut lines: Vec<String> = items.iter().take(at_most).map(|item| format!("\n  {item}")).collect();
    if items.len() > at_most {
        lines.push(format!("\n  and {} more", items.len() - at_most));
    }
    lines.concat()
}

fn without_recipients(hosts: &[MissingRecipient]) -> String {
    match hosts.len() {
        1 => "one host has no recipient for its bundle".to_owned(),
        count => format!("{count} hosts have no recipients for their bundles"),
    }
}

fn left_out(hosts: &[MissingRecipient], is_partial: bool) -> &'static str {
    match (is_partial, hosts.len()) {
        (false, _) => "nothing was",
        (true, 1) => "it was not",
        (true, _) => "they were not",
    }
}

fn bundles_of(hosts: &[HostName]) -> String {
    match hosts {
        [host] => format!("the bundle of {host} is"),
        hosts => {
            let mut named: Vec<String> = hosts.iter().take(NAMED).map(ToString::to_string).collect();
            if hosts.len() > NAMED {
                named.push(format!("{} more", hosts.len() - NAMED));
            }
            format!("the bundles of {} hosts ({}) are", hosts.len(), named.join(", "))
        }
    }
}

impl PackageError {
    /// Returns the remedy, as data.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        Some(match self {
            Self::NoHost => Remedy::NameHosts,
            Self::UnknownHost { similar: Some(name), .. } => Remedy::UseSimilarName(name.clone()),
            Self::UnknownHost { similar: None, .. } => Remedy::AddHost,
            Self::Setting(_) | Self::Signing(_) | Self::VerifierBundle(_) | Self::Encryption { .. } => return None,
            Self::KubeletSettings { .. } => Remedy::RemoveKubeletSettings,
            Self::FormatNotEncrypted(_) => Remedy::PackArchives,
            Self::FormatNotSigned(_) => Remedy::PackWithInstaller,
            Self::FormatWithoutKeys { .. } => Remedy::UseFormatWithInstaller,
            Self::NoRecipients { by_known_hosts: true, .. } => Remedy::CompleteKnownHosts,
            Self::NoRecipients { .. } => Remedy::NameRecipients,
            Self::SharedHostKey { .. } => Remedy::ReplaceHostKeys,
            Self::DiscardWithoutRecipients => Remedy::EncryptToDiscard,
            Self::WouldReplaceEncrypted(_) => Remedy::EncryptAgain,
            Self::CaExpired { .. } => Remedy::ReplaceExpiredCa,
            Self::ServiceAccountKey(CredentialProblem::NotThere) => Remedy::CreateServiceAccountKey,
            Self::ServiceAccountKey(CredentialProblem::Unreadable(error)) => Remedy::MakeReadable(error.clone()),
            Self::ServiceAccountKey(_) => Remedy::RestoreServiceAccountKey,
            Self::Refused(refusal) => Remedy::RepairCredentials(refusal.clone()),
            Self::CredentialChanged(host) => match host.unreadable() {
                Some(error) => Remedy::MakeReadable(error.clone()),
                None => Remedy::ReissueChanged { host: host.host.clone(), role: host.role() },
            },
            Self::UnknownFolder(_) | Self::WouldBeLost(_) => Remedy::MoveAway,
            Self::Render { .. } => Remedy::CorrectTemplate,
            Self::Stopped { .. } => Remedy::RunAgain,
            Self::VerifierCredential { problems, .. } => match problems.as_slice() {
                [CredentialProblem::Unreadable(error)] => Remedy::MakeReadable(error.clone()),
                _ => Remedy::IssueMasters,
            },
        })
    }
}
