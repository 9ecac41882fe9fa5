//! Errors of a signer.

use crate::app::enrol::remedy::ReviewRemedy;
use crate::mailbox::MailboxError;

/// Errors of a signer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// A mailbox cannot be used.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// Another signer holds the Lease.
    #[error("another signer works at {0}")]
    Standby(String),
    /// The cluster file has no key `enrolment`.
    #[error("the cluster file has no enrolment")]
    NotEnabled,
    /// A thread cannot be started.
    #[error("a thread cannot be started: {0}")]
    Thread(String),
}

impl SignerError {
    pub(in crate::app) fn remedy(&self) -> ReviewRemedy {
        match self {
            Self::NotEnabled => ReviewRemedy::EnableEnrolment,
            Self::Standby(_) => ReviewRemedy::EndTheOtherSigner,
            Self::Mailbox(MailboxError::Kubeconfig(_)) => ReviewRemedy::CorrectKubeconfig,
            Self::Mailbox(error) if error.is_forbidden() => ReviewRemedy::GrantRights,
            Self::Mailbox(MailboxError::Gone(_) | MailboxError::Unreadable { .. }) => ReviewRemedy::ListRequests,
            Self::Mailbox(_) | Self::Thread(_) => ReviewRemedy::CheckConnection,
        }
    }
}
