//! What a use case reports while it runs, as data; `cli::notices` has the words.

use super::admin;
use super::init;
use super::issue;
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
    /// Of [`admin`].
    Admin(admin::Notice),
    /// Of [`issue`].
    Issue(issue::Notice),
    /// Of [`revoke`].
    Revoke(revoke::Notice),
}

impl From<revoke::Notice> for Notice {
    fn from(notice: revoke::Notice) -> Self {
        Self::Revoke(notice)
    }
}

impl From<issue::Notice> for Notice {
    fn from(notice: issue::Notice) -> Self {
        Self::Issue(notice)
    }
}

impl From<admin::Notice> for Notice {
    fn from(notice: admin::Notice) -> Self {
        Self::Admin(notice)
    }
}
