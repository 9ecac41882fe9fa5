//! The role whose CA or key is rotated, as an argument.

use clap::ValueEnum;

use crate::app::verify::ProvenRotation;
use crate::cluster::profile::CaRole;

/// `--role`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum Role {
    /// The CA of nodes, API servers and administrators
    Cluster,
    /// The CA of etcd's members and clients
    Etcd,
    /// The CA of API servers as clients of extension API servers
    FrontProxy,
    /// The key that signs the tokens of service accounts, which is no CA
    ServiceAccount,
}

impl Role {
    /// Returns the role of the CA; `None` for the key of service accounts.
    pub(in crate::commands) fn of_ca(self) -> Option<CaRole> {
        match self {
            Self::Cluster => Some(CaRole::Cluster),
            Self::Etcd => Some(CaRole::Etcd),
            Self::FrontProxy => Some(CaRole::FrontProxy),
            Self::ServiceAccount => None,
        }
    }
    /// Returns the rotation whose phase is proven.
    pub(in crate::commands) fn proven(self) -> ProvenRotation {
        self.of_ca().map_or(ProvenRotation::TokenKey, ProvenRotation::Ca)
    }
}
