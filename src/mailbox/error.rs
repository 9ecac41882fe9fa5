//! Errors of the mailbox's API.

use crate::sanitize::sanitized;

/// Errors of the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    /// The kubeconfig cannot be used.
    #[error("{0}")]
    Kubeconfig(String),
    /// The API cannot be reached, or does not answer.
    #[error("{server}: {reason}")]
    Unreachable {
        /// Its location.
        server: String,
        /// The reason.
        reason: String,
    },
    /// The API refuses the call.
    #[error("{server} answers {code}: {message}")]
    Refused {
        /// Its location.
        server: String,
        /// The HTTP status.
        code: u16,
        /// Its message.
        message: String,
    },
    /// The object was changed by another client.
    #[error("{0} was changed meanwhile")]
    Conflict(String),
    /// The object does not exist any more.
    #[error("there is no request called {0}")]
    Gone(String),
    /// The object is not a valid request for one of clusterctl's signers.
    #[error("{name}: {reason}")]
    Unreadable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No runtime or connection can be set up on this machine.
    #[error("no connection can be set up: {0}")]
    Setup(String),
}

impl MailboxError {
    /// Returns the error; if the request does not exist, with its name.
    pub(super) fn about(self, name: &str) -> Self {
        match self {
            Self::Gone(_) => Self::Gone(sanitized(name)),
            other => other,
        }
    }

    /// Returns true if the client is not authenticated, or has no right to this.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { code: 401 | 403, .. })
    }
}
