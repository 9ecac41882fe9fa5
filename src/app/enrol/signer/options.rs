//! The options of a signer.

use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;

use super::event::SignerEvent;
use super::metrics::{SignerMetrics, Turn};
use crate::app::enrol::prepared::Reviewers;
use crate::app::env::Env;
use crate::mailbox::LeaseTerms;
use crate::pki::issuer::Issuer;
use crate::store::layout::Layout;

/// The options of a signer.
pub struct SignerOptions<'a> {
    /// The cluster directory.
    pub layout: Layout,
    /// The actor, as the ledger records it.
    pub actor: String,
    /// The CAs that sign.
    pub issuers: &'a [Issuer],
    /// Returns the current time.
    pub clock: &'a (dyn Fn() -> OffsetDateTime + Send + Sync),
    /// Whether it ends when no request can be decided or signed now.
    pub once: bool,
    /// The Lease that it holds while it works.
    pub lease: LeaseTerms,
    /// Returns true if it must stop.
    pub stop: &'a (dyn Fn() -> bool + Send + Sync),
    /// Receives the events.
    pub report: &'a (dyn Fn(SignerEvent) + Send + Sync),
    /// The programs and services of the policy.
    pub reviewers: Arc<dyn Reviewers + Send + Sync>,
    /// The file with its metrics; `None` for none.
    pub metrics: Option<SignerMetrics>,
    /// Held while certificates are issued, so that the work for several mailboxes does not wait for the directory's lock.
    pub turn: Mutex<()>,
}

impl SignerOptions<'_> {
    /// Returns the environment, with the current time.
    pub(super) fn env(&self) -> Env {
        Env { layout: self.layout.clone(), now: (self.clock)(), actor: self.actor.clone() }
    }

    /// Adds the result of a round at a mailbox to the metrics. A file that cannot be written is reported.
    pub(super) fn note(&self, mailbox: &str, turn: Turn) {
        let Some(metrics) = &self.metrics else { return };
        if let Err(error) = metrics.note(mailbox, turn, (self.clock)()) {
            (self.report)(SignerEvent::Retry { subject: "metrics".to_owned(), reason: error.to_string() });
        }
    }

    /// Runs `work` while no other mailbox's thread changes the cluster directory.
    pub(super) fn alone<T>(&self, work: impl FnOnce() -> T) -> T {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }
}
