//! Errors of finding the certificates to revoke by name.

use super::remedy::Remedy;
use crate::pki::certificate::Serial;

/// Errors of finding the certificates to revoke by name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The ledger has no certificate with this serial number.
    #[error("no certificate with the serial number {0} is in this cluster's ledger")]
    UnknownSerial(Serial),
    /// An issuer was named, but no serial number.
    #[error("{0} is not a serial number, and an issuer can only be named with a serial number")]
    NotASerial(String),
    /// The ledger has no host, account or serial number of that name.
    #[error("no host, account or serial number {name:?} is in this cluster's ledger")]
    Unknown {
        /// The name.
        name: String,
        /// The most similar name in the ledger.
        similar: Option<String>,
    },
    /// The name is an account of one host; the host's name has to be used instead.
    #[error("{account} is an account of the host {host}")]
    AccountOfHost {
        /// The account.
        account: String,
        /// The host.
        host: String,
    },
    /// The name is an account of several hosts.
    #[error("{account} is an account of several hosts: {}", hosts.join(", "))]
    AccountOfHosts {
        /// The account.
        account: String,
        /// The hosts.
        hosts: Vec<String>,
    },
    /// The name belongs to a CA.
    #[error("{0} is a CA, whose certificate none of the cluster's CRLs can revoke")]
    Ca(String),
    /// The name belongs to the cluster.
    #[error("{0} is the cluster, which has no certificate of its own")]
    Cluster(String),
}

impl LookupError {
    pub(super) fn remedy(&self) -> Remedy {
        match self {
            Self::UnknownSerial(_) => Remedy::NameFileOrIssuer,
            Self::NotASerial(_) => Remedy::FindSerial,
            Self::Unknown { similar: Some(similar), .. } => Remedy::UseSimilar(similar.clone()),
            Self::AccountOfHost { host, .. } => Remedy::RevokeHost(host.clone()),
            Self::AccountOfHosts { .. } => Remedy::NameHostOrSerial,
            Self::Unknown { similar: None, .. } | Self::Ca(_) | Self::Cluster(_) => Remedy::NameHolder,
        }
    }
}
