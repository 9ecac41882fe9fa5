//! The options of a revocation.

use std::path::PathBuf;

use crate::cluster::lifetime::Lifetime;
use crate::cluster::name::HostName;
use crate::cluster::profile::CaRole;
use crate::pki::reason::Reason;

/// The options of a revocation.
#[derive(Debug, Clone)]
pub struct RevokeOptions {
    /// The action.
    pub request: Request,
    /// The time from a CRL's thisUpdate to its nextUpdate; `None` means that of the cluster file.
    pub crl_validity: Option<Lifetime>,
    /// A folder with templates that replace those of the cluster file.
    pub templates: Option<PathBuf>,
}

/// The action of a revocation.
#[derive(Debug, Clone)]
pub enum Request {
    /// Certificates are revoked.
    Revoke {
        /// The certificates.
        subject: Subject,
        /// The reason.
        reason: Reason,
    },
    /// All certificates of hosts that left the cluster are revoked, unless they already are.
    Remove {
        /// The hosts.
        hosts: Vec<HostName>,
        /// The reason.
        reason: Reason,
    },
    /// Revocations that the ledger lacks are recorded from these rendered files and bundles, and from those in the
    /// directory.
    RecordFromFiles(Vec<PathBuf>),
    /// All certificates of the CA that a rotation replaces are revoked, but not those by which it is proven.
    Replaced(CaRole),
    /// The CRLs are signed again, and nothing is revoked.
    RenewCrls,
}

/// The certificates to revoke, as the user names them.
#[derive(Debug, Clone)]
pub struct Subject {
    /// A host, an account, a serial number in hexadecimal, or a file.
    pub name: String,
    /// The file, if `name` is one.
    pub file: PathBuf,
    /// The issuer of a serial number that the ledger does not have.
    pub issuer: Option<CaRole>,
}

impl Request {
    /// Returns the description of this process for other processes that wait for the lock.
    pub(super) fn purpose(&self) -> &'static str {
        match self {
            Self::Revoke { .. } | Self::RecordFromFiles(_) => "revoke",
            Self::Remove { .. } => "remove",
            Self::Replaced(_) => "rotate-ca",
            Self::RenewCrls => "crl renew",
        }
    }

    /// Returns the subject for the ledger's event.
    pub(super) fn event_subject(&self) -> &str {
        match self {
            Self::Revoke { subject, .. } => &subject.name,
            Self::Remove { .. } => "hosts",
            Self::RecordFromFiles(_) => "from files",
            Self::Replaced(role) => role.as_str(),
            Self::RenewCrls => "CRLs",
        }
    }

    /// Returns the reason of the revocation.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Revoke { reason, .. } | Self::Remove { reason, .. } => *reason,
            // Its own key is as secret as before.
            Self::Replaced(_) => Reason::Superseded,
            Self::RecordFromFiles(_) | Self::RenewCrls => Reason::Unspecified,
        }
    }
}
