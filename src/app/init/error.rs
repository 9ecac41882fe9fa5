//! Errors of writing a cluster file.

use std::path::PathBuf;

use super::abbreviated_list;
use crate::app;
use crate::cluster::config_error::ConfigError;
use crate::config::KubectlError;

/// Errors of writing a cluster file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InitError {
    /// The values break rules of the cluster file.
    #[error("the given values are not a valid cluster:\n  {}", lines(errors))]
    Invalid {
        /// All errors, with their paths in the cluster file.
        errors: Vec<ConfigError>,
        /// Whether some of the values were imported from kubectl.
        imported: bool,
    },
    /// A file is not a list of nodes.
    #[error("{} does not list nodes", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: KubectlError,
    },
    /// Listed hosts have an ExternalIP and no InternalIP.
    #[error("kubectl lists an ExternalIP and no InternalIP of {}", abbreviated_list(&with_addresses(hosts)))]
    OnlyExternalIps {
        /// The hosts, each with its ExternalIP.
        hosts: Vec<(String, String)>,
    },
    /// Listed hosts have no address that a certificate may contain.
    #[error("kubectl lists no usable address of {}", abbreviated_list(hosts))]
    NoAddresses {
        /// The hosts.
        hosts: Vec<String>,
    },
}

/// The remedy for an [`InitError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Correct the values that were given.
    CorrectValues,
    /// Name hosts directly instead of importing kubectl's list.
    NameHosts,
    /// Write a usable list of nodes; the error has the details.
    WriteList(KubectlError),
    /// Allow ExternalIPs, or name the hosts' own addresses.
    AllowExternalIps,
    /// Name the hosts' addresses, or remove the hosts from the list.
    NameAddresses,
}

impl InitError {
    pub(in crate::app) fn remedy(&self) -> app::Remedy {
        app::Remedy::Init(match self {
            Self::Invalid { imported: true, .. } => Remedy::NameHosts,
            Self::Invalid { imported: false, .. } => Remedy::CorrectValues,
            Self::List { source, .. } => Remedy::WriteList(source.clone()),
            Self::OnlyExternalIps { .. } => Remedy::AllowExternalIps,
            Self::NoAddresses { .. } => Remedy::NameAddresses,
        })
    }
}

fn lines(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

fn with_addresses(hosts: &[(String, String)]) -> Vec<String> {
    hosts.iter().map(|(name, ip)| format!("{name} ({ip})")).collect()
}
