//! What a use case reports while it runs, as data; [`crate::cli::notices`] has the words.

use super::init;
use super::revoke;

/// Something that a person should know while a use case runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Another process has the lock of the cluster directory.
    WaitingForLock {
        /// The other process, as it describes itself.
        holder: String,
    },
    /// Of [`init`].
    Init(init::Notice),
    /// Something about revocations.
    Revoke(revoke::Notice),
}

impl From<revoke::Notice> for Notice {
    fn from(notice: revoke::Notice) -> Self {
        Self::Revoke(notice)
    }
}
