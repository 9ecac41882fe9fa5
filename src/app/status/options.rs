//! The options of a status.

use std::path::PathBuf;

use crate::cluster::host_pattern::HostPattern;
use crate::cluster::lifetime::Lifetime;

/// The options of a status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusOptions {
    /// The selected hosts; if empty, all hosts and everything that belongs to no host.
    pub hosts: Vec<HostPattern>,
    /// Items that expire within this time are [`State::Expiring`](super::State::Expiring).
    ///
    /// `None` means 30 days or a sixth of the item's lifetime, whichever is shorter, so that short-lived items are not
    /// reported during their whole lifetime.
    pub expires_within: Option<Lifetime>,
    /// The folder with the queue of the enrolment CA's server, whose open requests are reported; `None` if there is none.
    pub queue: Option<PathBuf>,
}
