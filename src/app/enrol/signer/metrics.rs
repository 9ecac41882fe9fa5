//! The metrics of a signer, in Prometheus's text format: a file for node_exporter's textfile collector, because a signer does
//! not listen.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::event::Counts;
use crate::metrics::{head, labels};
use crate::store::error::StoreError;
use crate::store::files;

/// The shortest interval between two writes if only the time of the last round changed.
const IDLE: Duration = Duration::from_secs(15);
/// The shortest interval between two writes.
const BUSY: Duration = Duration::from_secs(1);

/// The file with a signer's metrics.
#[derive(Debug)]
pub struct SignerMetrics {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_mailbox: BTreeMap<String, Figures>,
    written: Option<Instant>,
    is_changed: bool,
}

/// The metrics of one mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Figures {
    counts: Counts,
    failures: usize,
    waiting: usize,
    is_working: bool,
    is_insecure: bool,
    last: Option<OffsetDateTime>,
}

/// The result of one round of a signer at a mailbox.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    /// The round succeeded; there may have been nothing to do.
    Worked {
        /// What it did.
        counts: Counts,
        /// The number of open requests.
        waiting: usize,
        /// Whether the policy is `insecure-always-approve`.
        is_insecure: bool,
    },
    /// Another signer holds the Lease.
    Standby,
    /// It failed.
    Failed,
}

impl SignerMetrics {
    /// Returns metrics that are written to this file, which other users can read.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::default() }
    }

    /// Adds the result of a round, and writes the file unless it was written just before.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub(super) fn note(&self, mailbox: &str, turn: Turn, now: OffsetDateTime) -> Result<(), StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = state.by_mailbox.entry(mailbox.to_owned()).or_default();
        let before = *figures;
        match turn {
            Turn::Worked { counts, waiting, is_insecure } => {
                figures.counts.add(counts);
                let last = Some(now);
                *figures = Figures { waiting, is_insecure, is_working: true, last, ..*figures };
            }
            Turn::Standby => figures.is_working = false,
            Turn::Failed => figures.failures += 1,
        }
        let is_changed = Figures { last: before.last, ..*figures } != before;
        state.is_changed |= is_changed;
        let pause = if state.is_changed { BUSY } else { IDLE };
        if state.written.is_some_and(|written| written.elapsed() < pause) {
            return Ok(());
        }
        state.written = Some(Instant::now());
        state.is_changed = false;
        let text = text(&state.by_mailbox);
        files::replace(&self.path, text.as_bytes(), files::PUBLIC)
    }

    /// Writes the file a last time: the signer does not work at the mailbox any more.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub(super) fn finish(&self, mailbox: &str) -> Result<(), StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(figures) = state.by_mailbox.get_mut(mailbox) {
            figures.is_working = false;
        }
        files::replace(&self.path, text(&state.by_mailbox).as_bytes(), files::PUBLIC)
    }
}

/// The metrics: name, type and description, in the order of [`Figures::values`].
const METRICS: [(&str, &str, &str); 9] = [
    ("working", "gauge", "Whether this signer holds the Lease."),
    ("waiting_requests", "gauge", "Requests that are not decided or not signed."),
    ("issued_total", "counter", "Certificates that were delivered."),
    ("denied_total", "counter", "Requests that were denied or refused."),
    ("queued_total", "counter", "Decisions that were left to a person; a request may be counted several times."),
    ("retries_total", "counter", "Attempts that failed for one request and are made again."),
    ("failures_total", "counter", "Failures of the mailbox or of the cluster directory."),
    ("insecure_policy", "gauge", "Whether the policy approves every host without a proof."),
    ("last_turn_time_seconds", "gauge", "Unix time at which it worked last."),
];

impl Figures {
    fn values(&self) -> [i64; METRICS.len()] {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let Counts { issued, denied, queued, retried } = self.counts;
        [
            self.is_working.into(),
            number(self.waiting),
            number(issued),
            number(denied),
            number(queued),
            number(retried),
            number(self.failures),
            self.is_insecure.into(),
            self.last.map_or(0, OffsetDateTime::unix_timestamp),
        ]
    }
}

fn text(all: &BTreeMap<String, Figures>) -> String {
    let mut out = String::new();
    for (at, (name, kind, help)) in METRICS.into_iter().enumerate() {
        let name = format!("clusterctl_signer_{name}");
        head(&mut out, &name, kind, help);
        for (mailbox, figures) in all {
            let _ = writeln!(out, "{name}{{{}}} {}", labels(&[("mailbox", mailbox)]), figures.values()[at]);
        }
    }
    out
}
