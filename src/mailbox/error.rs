//! Errors of the API at which hosts leave their requests.

use crate::sanitize::sanitized;

/// Errors of the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    /// The kubeconfig cannot be used.
    #[error("{0}")]
    Kubeconfig(String),
    /// It does not answer.
    #[error("{server}: {reason}")]
    Unreachable {
        /// Its location.
        server: String,
        /// The reason.
        reason: String,
    },
    /// It refuses.
    #[error("{server} answers {code}: {message}")]
    Refused {
        /// Its location.
        server: String,
        /// The HTTP status.
        code: u16,
        /// Its message.
        message: String,
    },
    /// Somebody else changed the object.
    #[error("{0} was changed meanwhile")]
    Conflict(String),
    /// The object does not exist any more.
    #[error("there is no request called {0}")]
    Gone(String),
    /// The object is not a request that can be judged.
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
    /// Returns the error with the name of the request, if it does not exist.
    pub(super) fn about(self, name: &str) -> Self {
        match self {
            Self::Gone(_) => Self::Gone(sanitized(name)),
            other => other,
        }
    }

    /// Returns true for a refusal that the same request gets again: the account lacks a right.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { code: 401 | 403, .. })
    }
}
