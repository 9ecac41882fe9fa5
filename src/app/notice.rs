//! Notices that use cases report, as data; `cli::notices` renders them.

use super::admin;
use super::enrol::join::JoinNotice;
use super::init;
use super::issue;
use super::revoke;
use super::rotate;

/// A notice of a use case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Another process holds the lock of the cluster directory.
    WaitingForLock {
        /// The description that the other process wrote into the lock.
        holder: String,
    },
    /// A notice of [`init`].
    Init(init::Notice),
    /// A notice of [`join`](super::enrol::join).
    Join(JoinNotice),
    /// A notice of [`admin`].
    Admin(admin::Notice),
    /// A notice of [`issue`].
    Issue(issue::Notice),
    /// A notice of [`revoke`].
    Revoke(revoke::Notice),
    /// A notice of [`rotate`].
    Rotate(rotate::Notice),
}

impl From<JoinNotice> for Notice {
    fn from(notice: JoinNotice) -> Self {
        Self::Join(notice)
    }
}

impl From<revoke::Notice> for Notice {
    fn from(notice: revoke::Notice) -> Self {
        Self::Revoke(notice)
    }
}

impl From<rotate::Notice> for Notice {
    fn from(notice: rotate::Notice) -> Self {
        Self::Rotate(notice)
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
