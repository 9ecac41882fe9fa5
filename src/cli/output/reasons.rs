//! Renders the reasons for issuing certificates as text.

use crate::app::issue::{IssueReason, PlannedCertificate};
use crate::cluster::duration::in_words;

/// Returns all reasons for which a certificate is issued, on one line.
pub(crate) fn of(certificate: &PlannedCertificate) -> String {
    let reasons: Vec<String> = certificate.reasons.iter().map(reason).collect();
    reasons.join("; ")
}

/// Returns the ids of all reasons, each once.
pub(crate) fn ids(certificate: &PlannedCertificate) -> Vec<&'static str> {
    let mut ids: Vec<&str> = certificate.reasons.iter().map(IssueReason::id).collect();
    ids.dedup();
    ids
}

/// Returns one reason.
pub(crate) fn reason(reason: &IssueReason) -> String {
    match reason {
        IssueReason::Problem(problem) => problem.to_string(),
        IssueReason::Expires { after } => format!("expires in {}", in_words(*after)),
        IssueReason::Requested => "--reissue asks for it".to_owned(),
        IssueReason::Rotation => "the rotation of its CA requires another one".to_owned(),
        IssueReason::KeyDiscarded => "its key was discarded, and the next bundle needs one".to_owned(),
    }
}
