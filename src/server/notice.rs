//! Notices of a running server to its operator.

use std::sync::{Mutex, PoisonError};

use time::{Duration, OffsetDateTime};

/// How long before its expiry the serving certificate is reported.
const EXPIRES_WITHIN: Duration = Duration::days(7);
/// The largest number of notices that wait to be read.
const MOST: usize = 100;

/// A notice of a running server to its operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerNotice {
    /// Files that changed cannot be read; the former state applies.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// Files that could not be read can be read again.
    Readable,
    /// The serving certificate expires soon.
    Expiring {
        /// When.
        not_after: OffsetDateTime,
    },
    /// The serving certificate has expired: clients refuse it.
    Expired {
        /// When.
        not_after: OffsetDateTime,
    },
}

/// The notices of a server, each of which is given once.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: Vec<ServerNotice>,
    problem: Option<String>,
    /// The problem of the last check. It is reported if the next check finds it, too: a file may be being written.
    suspected: Option<String>,
    /// The last notice about the serving certificate.
    expiry: Option<ServerNotice>,
}

impl Notices {
    /// Adds notices if the result of reading the files, or the state of the serving certificate, has changed.
    pub(super) fn note(&self, problem: Option<String>, not_after: OffsetDateTime, now: OffsetDateTime) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = problem != state.problem;
        let is_lasting = problem.is_none() || problem == state.suspected;
        state.suspected.clone_from(&problem);
        if is_new && is_lasting {
            state.add(match &problem {
                Some(reason) => ServerNotice::Unreadable { reason: reason.clone() },
                None => ServerNotice::Readable,
            });
            state.problem = problem;
        }
        let expiry = match () {
            () if not_after <= now => Some(ServerNotice::Expired { not_after }),
            () if not_after - now <= EXPIRES_WITHIN => Some(ServerNotice::Expiring { not_after }),
            () => None,
        };
        if expiry != state.expiry {
            expiry.clone().into_iter().for_each(|notice| state.add(notice));
            state.expiry = expiry;
        }
    }

    /// Returns true if the files cannot be read.
    pub(super) fn has_problem(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).problem.is_some()
    }

    /// Returns the notices since the last call.
    pub(super) fn take(&self) -> Vec<ServerNotice> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting)
    }
}

impl State {
    fn add(&mut self, notice: ServerNotice) {
        if self.waiting.len() < MOST {
            self.waiting.push(notice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once() {
        let (notices, now) = (Notices::default(), OffsetDateTime::UNIX_EPOCH);
        let (far, soon) = (now + Duration::days(90), now + Duration::days(2));
        notices.note(None, far, now);
        assert_eq!(notices.take(), []);
        let broken = Some("line 3".to_owned());
        notices.note(broken.clone(), far, now);
        notices.note(broken, far, now);
        assert_eq!(notices.take(), [ServerNotice::Unreadable { reason: "line 3".to_owned() }]);
        assert!(notices.has_problem());
        notices.note(None, soon, now);
        notices.note(None, soon, now);
        assert_eq!(notices.take(), [ServerNotice::Readable, ServerNotice::Expiring { not_after: soon }]);
        notices.note(None, soon, soon);
        notices.note(None, far, soon);
        assert_eq!(notices.take(), [ServerNotice::Expired { not_after: soon }]);
    }
}
