//! Writes decisions, signs, and delivers, each in its own thread: while requests are judged, those before them are signed,
//! and those before these are delivered.
//!
//! The order of each request stays: approved at the mailbox, recorded in the ledger, delivered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, Scope};
use std::time::Instant;

use super::error::SignerError;
use super::options::SignerOptions;
use crate::app::enrol::issue::{IssuedChain, Kept, Order, Outcome, issue};
use crate::app::error::Error;
use crate::app::observer::Silent;
use crate::enrol::request::EnrolmentRequest;
use crate::mailbox::{Mailbox, MailboxError, Ruling, RulingKind};

/// The longest reason in a condition, in bytes.
const LONGEST_MESSAGE: usize = 1_024;

/// The number of batches that wait to be signed.
const WAITING: usize = 3;
/// No further batch is signed together with this many requests.
const MOST: usize = 750;

/// Requests that are decided and not signed yet.
#[derive(Default)]
pub(super) struct Batch {
    /// What to write to them; requests that are approved now have an order.
    pub(super) rulings: Vec<(EnrolmentRequest, Ruling, Option<Order>)>,
    /// Requests that were approved before.
    pub(super) orders: Vec<Order>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.rulings.is_empty() && self.orders.is_empty()
    }
}

/// What was done for a request.
pub(super) enum Done {
    Approved(EnrolmentRequest, String),
    /// It was denied by the policy or by persons, and the ledger does not have it yet.
    Denied(EnrolmentRequest, String),
    /// It was approved and cannot have a certificate. The ledger has it.
    Refused(EnrolmentRequest, String),
    Issued(EnrolmentRequest, IssuedChain),
    /// Another one is signed first.
    Postponed(EnrolmentRequest),
    /// It may have a certificate later.
    NotNow(EnrolmentRequest, String),
    /// The mailbox did not take what was written.
    Unwritten(EnrolmentRequest, MailboxError),
    /// The cluster directory cannot be used. Nothing that comes later is signed.
    Failed(Error),
}

/// What all stages use.
#[derive(Clone)]
pub(super) struct Stages<'s> {
    pub(super) mailbox: &'s dyn Mailbox,
    pub(super) options: &'s SignerOptions<'s>,
    pub(super) kept: Arc<Kept>,
    /// The time until which this signer holds the Lease.
    pub(super) lease_until: Option<Instant>,
}

/// The threads, which end when no more batches can come.
pub(super) struct Running {
    /// Takes batches, one more than is being worked on.
    pub(super) batches: SyncSender<Batch>,
    pub(super) done: Receiver<Done>,
}

impl<'s> Stages<'s> {
    /// Starts the threads.
    ///
    /// # Errors
    /// Returns an error if a thread cannot be started.
    pub(super) fn start<'scope>(self, scope: &'scope Scope<'scope, '_>) -> Result<Running, Error>
    where
        's: 'scope,
    {
        let (batches, decided) = sync_channel::<Batch>(1);
        let (approved, orders) = sync_channel::<Vec<Order>>(WAITING);
        let (signed, outcomes) = sync_channel::<(Vec<Order>, Vec<Outcome>)>(1);
        let (done, report) = channel();
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send + 's>| {
            let thread = Builder::new().name(name.to_owned()).spawn_scoped(scope, work);
            thread.map(|_| ()).map_err(|error| Error::from(SignerError::Thread(error.to_string())))
        };
        let (own, stages) = (done.clone(), self.clone());
        spawn("approve", Box::new(move || decided.iter().for_each(|batch| stages.approve(batch, &approved, &own))))?;
        let (own, stages) = (done.clone(), self.clone());
        spawn("sign", Box::new(move || stages.sign_all(&orders, &signed, &own)))?;
        let deliver = move || outcomes.iter().for_each(|(orders, outcomes)| self.deliver(orders, outcomes, &done));
        spawn("deliver", Box::new(deliver))?;
        Ok(Running { batches, done: report })
    }

    /// Writes decisions; requests that are approved now are passed on.
    fn approve(&self, batch: Batch, approved: &SyncSender<Vec<Order>>, done: &Sender<Done>) {
        let Batch { rulings, mut orders } = batch;
        let (work, follow): (Vec<_>, Vec<_>) =
            rulings.into_iter().map(|(request, ruling, order)| ((request, ruling), order)).unzip();
        let results = if work.is_empty() { Vec::new() } else { self.mailbox.rule(&work) };
        for (((request, ruling), order), result) in work.into_iter().zip(follow).zip(results) {
            tell(
                done,
                match (result, order) {
                    (Err(error), _) => Done::Unwritten(request, error),
                    (Ok(written), Some(order)) => {
                        orders.push(Order { request: written, ..order });
                        Done::Approved(request, ruling.message)
                    }
                    (Ok(_), None) => Done::Denied(request, ruling.message),
                },
            );
        }
        if !orders.is_empty() {
            // The receiver is a thread of the same scope, which ends after this one.
            let _ = approved.send(orders);
        }
    }

    /// Signs until a batch cannot be signed.
    fn sign_all(
        &self,
        orders: &Receiver<Vec<Order>>,
        signed: &SyncSender<(Vec<Order>, Vec<Outcome>)>,
        done: &Sender<Done>,
    ) {
        let mut is_failed = false;
        for mut next in orders {
            // While the disk is slow with one batch, others arrive. Together they are synced once.
            while next.len() < MOST
                && let Ok(more) = orders.try_recv()
            {
                next.extend(more);
            }
            // If the API took so long that another signer may hold the Lease, the requests stay approved until the next round.
            let has_lease = self.lease_until.is_some_and(|until| Instant::now() < until);
            if is_failed || !has_lease {
                continue;
            }
            // The time is read each time: reviewers and the API may have taken long.
            let env = self.options.env();
            let sign = || issue(&next, self.options.issuers, &env, &self.kept, &mut Silent);
            match self.options.alone(sign) {
                Ok(outcomes) => {
                    // The receiver is a thread of the same scope, which ends after this one.
                    let _ = signed.send((next, outcomes));
                }
                Err(error) => {
                    is_failed = true;
                    tell(done, Done::Failed(error));
                }
            }
        }
    }

    /// Delivers certificates, and writes why others were refused.
    fn deliver(&self, orders: Vec<Order>, outcomes: Vec<Outcome>, done: &Sender<Done>) {
        let (mut deliveries, mut chains, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        for (Order { request, .. }, outcome) in orders.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Issued(chain) => {
                    deliveries.push((request, chain.pem.clone()));
                    chains.push(chain);
                }
                Outcome::Refused(problems) => {
                    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                    let (message, annotations) = (cut(problems.join("; ")), BTreeMap::new());
                    let reason = "Refused".to_owned();
                    refusals.push((request, Ruling { kind: RulingKind::Failed, reason, message, annotations }));
                }
                Outcome::NextRound => tell(done, Done::Postponed(request)),
                Outcome::NotNow(reason) => tell(done, Done::NotNow(request, reason)),
            }
        }
        let results = if deliveries.is_empty() { Vec::new() } else { self.mailbox.deliver(&deliveries) };
        for (((request, _), chain), result) in deliveries.into_iter().zip(chains).zip(results) {
            tell(
                done,
                match result {
                    // Another signer delivered it, or it is gone; the ledger has the certificate.
                    Err(error) => Done::Unwritten(request, error),
                    Ok(_) => Done::Issued(request, chain),
                },
            );
        }
        let results = if refusals.is_empty() { Vec::new() } else { self.mailbox.rule(&refusals) };
        for ((request, ruling), result) in refusals.into_iter().zip(results) {
            tell(
                done,
                match result {
                    Err(error) => Done::Unwritten(request, error),
                    Ok(_) => Done::Refused(request, ruling.message),
                },
            );
        }
    }
}

fn tell(done: &Sender<Done>, what: Done) {
    // The receiver may have ended because of an error.
    let _ = done.send(what);
}

/// Cuts a text to [`LONGEST_MESSAGE`].
pub(super) fn cut(mut text: String) -> String {
    if text.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
