//! Remedies for the enrolment endpoint.

use serde::{Deserialize, Serialize};

/// The remedy for an enrolment endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnrolmentRemedy {
    /// Start the server, or correct its address.
    StartEnrolmentServer,
    /// Give the server a serving certificate of this cluster for this address.
    ServeOwnCertificate,
    /// Find out which program answers there: it permits more than the enrolment CA does.
    ReplaceEnrolmentServer,
    /// Review the open requests, and decide.
    ReviewRequests,
    /// Start the signer.
    StartSigner,
}
