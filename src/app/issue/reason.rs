//! Why certificates are issued.

use time::Duration;

use super::error::CredentialName;
use crate::store::credentials::CredentialProblem;

/// The reason for issuing a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssueReason {
    /// The credential is missing or cannot be used.
    Problem(CredentialProblem),
    /// It expires soon.
    Expires {
        /// After this time.
        after: Duration,
    },
    /// All valid certificates are replaced.
    Requested,
    /// Its key was discarded, and the host's next bundle needs one.
    KeyDiscarded,
}

/// A certificate to be issued, with the reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCertificate {
    /// Its name.
    pub credential: CredentialName,
    /// All reasons.
    pub reasons: Vec<IssueReason>,
}

impl IssueReason {
    /// Returns the id, as in JSON.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Problem(problem) => problem.id(),
            Self::Expires { .. } => "due",
            Self::Requested => "requested",
            Self::KeyDiscarded => "key-discarded",
        }
    }
}
