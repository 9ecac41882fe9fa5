//! The options of joining and renewing, their time limit, and the intervals between attempts.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::app::observer::Cancellation;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::key_kind::KeyKind;
use crate::cluster::name::HostName;
use crate::enrol::token::Token;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::ssh::SshKey;

/// The options of `join`.
#[derive(Debug)]
pub struct JoinOptions {
    /// The cluster's id: the pin of a root.
    pub cluster: Fingerprint,
    /// The bootstrap endpoints, in the order in which they are tried.
    pub bootstrap: Vec<Endpoint>,
    /// The host's name in the cluster file.
    pub host: HostName,
    /// Whether the user gave the name, so that it may differ from the system's.
    pub host_was_given: bool,
    /// The folder that is used as `/`.
    pub root: PathBuf,
    /// The kind of new keys.
    pub keys: KeyKind,
    /// A one-time token.
    pub token: Option<Token>,
    /// The host's SSH key, with its path.
    pub ssh_host_key: Option<(PathBuf, SshKey)>,
    /// The time limit of waiting for a decision.
    pub wait: Duration,
    /// Whether to start the kubelet.
    pub start: bool,
}

/// The options of renewing.
#[derive(Debug)]
pub struct RenewOptions {
    /// The folder that is used as `/`.
    pub root: PathBuf,
    /// The host's SSH key, which proves the host once its certificate has expired.
    pub ssh_host_key: Option<SshKey>,
    /// The time limit of waiting for a decision.
    pub wait: Duration,
    /// Whether to renew certificates that are not due, too.
    pub force: bool,
}

/// The clock and the time limit of an operation that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    began: OffsetDateTime,
    since: Instant,
    deadline: Instant,
    cancellation: Cancellation,
}

/// The shortest time limit of a request, for the attempt at the end of the wait.
const LAST_ATTEMPT: Duration = Duration::from_secs(1);
/// How often a sleep checks whether a stop was requested.
const LOOK: Duration = Duration::from_millis(50);

impl Waiting {
    /// Begins at `now`, and ends after `limit`.
    pub(super) fn begin(now: OffsetDateTime, limit: Duration, cancellation: Cancellation) -> Self {
        let since = Instant::now();
        let deadline = since.checked_add(limit).unwrap_or(since);
        Self { began: now, since, deadline, cancellation }
    }

    /// Returns the time limit of a request: the rest of the wait, but at least a second, for the last attempt.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).max(LAST_ATTEMPT)
    }

    /// Returns the current time.
    pub(super) fn now(&self) -> OffsetDateTime {
        self.began + self.since.elapsed()
    }

    /// Sleeps for `span`, or until the end of the wait if that is earlier. Returns true if another attempt may follow.
    ///
    /// The last attempt follows at the end of the wait. Returns false if the wait had already ended, or a stop was
    /// requested.
    pub(super) fn sleep(&self, span: Duration) -> bool {
        let start = Instant::now();
        if start >= self.deadline {
            return false;
        }
        let until = (start + span).min(self.deadline);
        loop {
            let now = Instant::now();
            if self.cancellation.is_cancelled() || now >= until {
                return !self.cancellation.is_cancelled();
            }
            std::thread::sleep(LOOK.min(until - now));
        }
    }

    /// Returns true if a stop was requested.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }
}

/// Intervals that grow, with jitter, so that many hosts do not ask at the same time.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, most: Duration) -> Self {
        Self { next: first, most }
    }

    /// Returns the next interval: 75 to 125 per cent of the planned one, and never less than `least`.
    pub(super) fn interval(&mut self, least: Option<Duration>) -> Duration {
        let planned = self.next;
        self.next = (self.next * 8 / 5).min(self.most);
        let jittered = planned.mul_f64(0.75 + crate::pki::mac::random_fraction() / 2.0);
        jittered.max(least.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_grow_to_their_limit() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut backoff = Backoff::new(first, most);
        let intervals: Vec<Duration> = (0..20).map(|_| backoff.interval(None)).collect();
        assert!(intervals[0] >= first * 3 / 4 && intervals[0] <= first * 5 / 4);
        assert!(intervals.iter().all(|one| *one <= most * 5 / 4));
        assert!(intervals[19] >= most * 3 / 4);
        assert_eq!(backoff.interval(Some(most * 9)), most * 9);
    }

    #[test]
    fn waiting_ends_at_its_limit_and_when_it_is_stopped() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let waiting = Waiting::begin(now, Duration::from_millis(1), Cancellation::default());
        let _ = waiting.sleep(Duration::from_secs(60));
        assert!(!waiting.sleep(Duration::from_secs(60)));
        assert!(waiting.now() > now);
        let stop = Cancellation::default();
        let waiting = Waiting::begin(now, Duration::from_secs(60), stop.clone());
        stop.cancel();
        assert!(!waiting.sleep(Duration::from_secs(60)));
    }
}
