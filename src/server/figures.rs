//! The figures of connections and requests.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The buckets of durations, in seconds.
pub(super) const BUCKETS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The figures of connections and requests.
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
    /// By class of status: 1xx to 5xx.
    pub(super) answers: [AtomicU64; 5],
    /// Answers with status 429.
    pub(super) limited: AtomicU64,
    pub(super) durations: [AtomicU64; BUCKETS.len() + 1],
    pub(super) duration_micros: AtomicU64,
}

impl Figures {
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
