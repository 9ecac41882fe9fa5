//! The counters of connections and requests, for the metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::enrol::request::State;

/// The upper limits of the buckets of durations, in seconds.
pub(super) const BUCKETS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The counters of connections and requests.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) connections: AtomicI64,
    pub(super) accepted: AtomicU64,
    /// Connections that were refused because there were too many.
    pub(super) refused_connections: AtomicU64,
    /// Connections that were refused because there were too many of their address.
    pub(super) refused_by_address: AtomicU64,
    pub(super) failed_handshakes: AtomicU64,
    pub(super) watches: AtomicI64,
    /// Client certificates and tokens that were rejected.
    pub(super) rejected: AtomicU64,
    /// Answers, by class of status: 1xx to 5xx.
    pub(super) answers: [AtomicU64; 5],
    /// Answers with status 429.
    pub(super) limited: AtomicU64,
    pub(super) durations: [AtomicU64; BUCKETS.len() + 1],
    pub(super) duration_micros: AtomicU64,
    /// Decisions and certificates, by the new state of the request and the user.
    decisions: Mutex<BTreeMap<(State, String), u64>>,
}

/// The largest number of pairs of state and user that are counted; decisions of further pairs are not counted.
const MAX_USERS: usize = 256;

impl Figures {
    /// Counts a decision about a request, or its certificate.
    pub(super) fn decided(&self, state: State, by: &str) {
        let mut decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (state, by.to_owned());
        if decisions.len() < MAX_USERS || decisions.contains_key(&key) {
            *decisions.entry(key).or_default() += 1;
        }
    }

    /// Returns how many decisions there were, by the new state of the request and the user.
    pub(super) fn decisions(&self) -> BTreeMap<(State, String), u64> {
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn answered(&self, status: u16, micros: u64) {
        if let Some(class) = self.answers.get(usize::from(status / 100).saturating_sub(1)) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        if status == 429 {
            self.limited.fetch_add(1, Ordering::Relaxed);
        }
        let seconds = micros as f64 / 1e6;
        let bucket = BUCKETS.iter().position(|limit| seconds <= *limit).unwrap_or(BUCKETS.len());
        self.durations[bucket].fetch_add(1, Ordering::Relaxed);
        self.duration_micros.fetch_add(micros, Ordering::Relaxed);
    }
}
