//! Errors of issuing an administrator's kubeconfig.

use std::path::PathBuf;

use super::foreign::ForeignKubeconfig;
use super::kubeconfig::AdminFileError;
use crate::app::Remedy;
use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::{HostName, NameError};
use crate::cluster::profile::Profile;
use crate::verify::remedy::{self as finding, DirectoryRemedy};

/// Errors of issuing an administrator's kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The default name is not valid.
    #[error("the default name of an administrator is not valid")]
    DefaultName(#[source] NameError),
    /// The name belongs to a host or to an account of the control plane.
    #[error("no administrator can be called {name}: it is {}, and one could be mistaken for the other", owner.in_words())]
    NameTaken {
        /// The name.
        name: HostName,
        /// The host or account that already has this name.
        owner: NameOwner,
    },
    /// A certificate in `system:masters`, which cannot be revoked, would be valid for too long.
    #[error("{validity} is too long for a break-glass certificate")]
    BreakGlassTooLong {
        /// The requested validity.
        validity: Lifetime,
    },
    /// There is a kubeconfig of that name.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The kubeconfig that would be replaced cannot be read, and the ledger has no certificate of that name.
    #[error("{} cannot be read, and the ledger has no certificate of that name, so that its group is not known", path.display())]
    UnknownGroup {
        /// The kubeconfig.
        path: PathBuf,
        /// The reason.
        source: AdminFileError,
    },
    /// The kubeconfig that would be replaced is not one of this account.
    #[error("{} is not the kubeconfig of an account of this name, and is not replaced", path.display())]
    Foreign {
        /// The kubeconfig.
        path: PathBuf,
        /// The reason.
        source: ForeignKubeconfig,
    },
    /// The kubeconfig that would be replaced is of another group, which has other rights.
    #[error("{} is of the group {present}, and would get {wanted}", path.display())]
    OtherGroup {
        /// The kubeconfig.
        path: PathBuf,
        /// Its group.
        present: &'static str,
        /// The group of the new certificate.
        wanted: &'static str,
    },
}

/// The owner of a name that an administrator cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameOwner {
    /// A host of the cluster file.
    Host,
    /// An account of every control-plane node.
    Account(Profile),
}

impl NameOwner {
    fn in_words(self) -> String {
        match self {
            Self::Host => "a host of the cluster file".to_owned(),
            Self::Account(profile) => format!("the account of every master's {}", profile.policy().name),
        }
    }
}

impl AdminError {
    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::DefaultName(_) => None,
            Self::NameTaken { .. } => Some(Remedy::NameThePerson),
            Self::BreakGlassTooLong { .. } => Some(Remedy::ShortenBreakGlass),
            Self::Exists(_) => Some(Remedy::ReissueAdmin),
            Self::Foreign { path, .. } => {
                let path = path.display().to_string();
                Some(Remedy::OfFinding(finding::Remedy::from(DirectoryRemedy::MoveAdminAway { path })))
            }
            Self::UnknownGroup { .. } => Some(Remedy::NameAdminGroup),
            Self::OtherGroup { .. } => Some(Remedy::KeepAdminGroup),
        }
    }
}
