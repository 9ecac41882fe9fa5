//! The reasons for which certificates are issued.

use time::Duration;

use super::error::CredentialName;
use crate::store::credentials::CredentialProblem;

/// The reason for issuing a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssueReason {
    /// The credential is missing or cannot be used.
    Problem(CredentialProblem),
    /// The certificate expires soon.
    Expires {
        /// The time until it expires.
        after: Duration,
    },
    /// The user asked to replace valid certificates, too (`--reissue`).
    Requested,
    /// The rotation of its CA requires another one.
    Rotation,
    /// The private key was discarded (deleted from the cluster directory), and the host's next bundle needs one.
    KeyDiscarded,
}

/// A certificate that is going to be issued, with the reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCertificate {
    /// The credential whose certificate is issued.
    pub credential: CredentialName,
    /// All reasons for issuing it.
    pub reasons: Vec<IssueReason>,
}

impl IssueReason {
    /// Returns the id of the reason in JSON output.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Problem(problem) => problem.id(),
            Self::Expires { .. } => "due",
            Self::Requested => "requested",
            Self::Rotation => "rotation",
            Self::KeyDiscarded => "key-discarded",
        }
    }
}
