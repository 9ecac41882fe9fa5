//! The options of a signer.

use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;

use super::event::SignerEvent;
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
    /// Whether it ends when nothing can be done.
    pub once: bool,
    /// The Lease that it holds while it works.
    pub lease: LeaseTerms,
    /// Returns true if it must end.
    pub stop: &'a (dyn Fn() -> bool + Send + Sync),
    /// Receives the events.
    pub report: &'a (dyn Fn(SignerEvent) + Send + Sync),
    /// The programs and services of the policy.
    pub reviewers: Arc<dyn Reviewers + Send + Sync>,
    /// Held while certificates are issued, so that the work for several mailboxes does not wait for the directory's lock.
    pub turn: Mutex<()>,
}

impl SignerOptions<'_> {
    /// Returns the environment of a use case at the current time.
    pub(super) fn env(&self) -> Env {
        Env { layout: self.layout.clone(), now: (self.clock)(), actor: self.actor.clone() }
    }

    /// Does work while no other mailbox's work changes the cluster directory.
    pub(super) fn alone<T>(&self, work: impl FnOnce() -> T) -> T {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }
}
