//! Errors of rotating a CA.

use std::path::PathBuf;

use time::OffsetDateTime;

use super::behind::{Behind, listed};
use super::left::{LeftCertificate, RetiredRoot};
use crate::app::Remedy;
use crate::cluster::duration::stamp;
use crate::cluster::profile::CaRole;
use crate::pki::rotation::Phase;

/// Errors of rotating a CA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotateError {
    /// There is no rotation of this role.
    #[error("the {} is not being rotated", _0.as_str())]
    NotRotating(CaRole),
    /// There is no rotation of this role, but one of another.
    #[error("the {} is not being rotated", role.as_str())]
    OtherRole {
        /// The role.
        role: CaRole,
        /// The role that is rotated, as `--role` names it.
        rotated: &'static str,
    },
    /// A rotation is under way.
    #[error("the {} is being rotated already, phase {} ({})", role.as_str(), phase.number(), phase.as_str())]
    UnderWay {
        /// The role.
        role: CaRole,
        /// Its phase.
        phase: Phase,
    },
    /// The old and the new CA have the same subject.
    #[error("the new CA has the subject of the {}, {subject}: programs could not tell the two apart", role.as_str())]
    SameSubject {
        /// The role.
        role: CaRole,
        /// The subject.
        subject: String,
    },
    /// The new CA is already a CA of this cluster.
    #[error("{subject} is a CA of this cluster already")]
    Known {
        /// Its subject.
        subject: String,
    },
    /// The new CA has the key of a CA of another role.
    #[error("the new CA has the key of the {}", _0.as_str())]
    SharedKey(CaRole),
    /// A canary is not a host of the cluster file.
    #[error("{0} is not a host of the cluster file with certificates of this CA")]
    UnknownCanary(String),
    /// The phase is not proven.
    #[error("phase {} ({}) is not proven: {}", phase.number(), phase.as_str(), listed(behind))]
    Gate {
        /// The phase.
        phase: Phase,
        /// The hosts that are behind, and what else is missing.
        behind: Vec<Behind>,
    },
    /// The phase is proven, but programs may not have read their files again.
    #[error("phase {} ({}) is proven; the next one may begin at {}", phase.number(), phase.as_str(), stamp(*until))]
    Wait {
        /// The phase.
        phase: Phase,
        /// The earliest time of the next phase.
        until: OffsetDateTime,
    },
    /// The phase is proven, but by a report from before programs must have read their files again.
    #[error("phase {} ({}) is proven, but the report was made before {}", phase.number(), phase.as_str(), stamp(*until))]
    OldReport {
        /// The phase.
        phase: Phase,
        /// The earliest time of a report that proves it.
        until: OffsetDateTime,
    },
    /// The report is not one of this phase.
    #[error("{} proves nothing about this phase: {why}", path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// There is no backup since the new CA was made.
    #[error("there is no backup since the new CA was made: its key is only here")]
    NoBackup,
    /// The key of the new CA is missing: after the old CA is retired, no certificate could be issued.
    #[error("the key of the new {} is not there: {}", role.as_str(), path.display())]
    NoNewKey {
        /// The role.
        role: CaRole,
        /// The file in which it has to be.
        path: PathBuf,
        /// Whether the rotation can be aborted.
        can_abort: bool,
    },
    /// Certificates are due.
    #[error("certificates of {0} are due within 30 days, and would be renewed in the middle of the rotation")]
    Due(String),
    /// Certificates of the root that is being retired are still in use.
    #[error("{} still {} a certificate of the {} root", some(left), if left.len() == 1 { "has" } else { "have" }, root.as_str())]
    Left {
        /// The root.
        root: RetiredRoot,
        /// The certificates.
        left: Vec<LeftCertificate>,
    },
    /// The cluster's hosts would be cut off until they have their new bundles.
    #[error("hosts and accounts are cut off until they have the new root and new certificates")]
    ConfirmEmergency,
    /// The rotation can no longer be aborted.
    #[error("the rotation of the {} cannot be aborted in phase {} ({})", role.as_str(), phase.number(), phase.as_str())]
    TooLate {
        /// The role.
        role: CaRole,
        /// Its phase.
        phase: Phase,
    },
    /// The rotation is being aborted.
    #[error("the rotation of the {} is being aborted", _0.as_str())]
    Aborting(CaRole),
    /// The client certificate of the old CA is missing.
    #[error("the client certificate of the old {} in the folder of its rotation cannot be read", _0.as_str())]
    NoCanary(CaRole),
    /// The key of the old CA would be deleted.
    #[error("the key of the old {} would be deleted now", _0.as_str())]
    Confirm(CaRole),
}

fn some(left: &[LeftCertificate]) -> String {
    const NAMED: usize = 5;
    let name = |one: &LeftCertificate| format!("{} ({})", one.name, one.profile);
    let named = left.iter().take(NAMED).map(name).collect::<Vec<_>>().join(", ");
    match left.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

impl RotateError {
    pub(in crate::app) fn remedy(&self) -> Option<Remedy> {
        Some(Remedy::Rotate(self.clone()))
    }
}
