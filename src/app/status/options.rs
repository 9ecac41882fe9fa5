//! The options of a status.

use crate::cluster::host_pattern::HostPattern;
use crate::cluster::lifetime::Lifetime;

/// The options of a status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusOptions {
    /// The hosts; where there are none, all hosts, and everything that is not a host's.
    pub hosts: Vec<HostPattern>,
    /// What expires within this time is [`State::Expiring`](super::State::Expiring).
    ///
    /// `None` stands for 30 days, or a sixth of its life where that is shorter: what was made for a short time is not
    /// reported for all of that time.
    pub expires_within: Option<Lifetime>,
}
