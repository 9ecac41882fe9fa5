//! The thread that writes the queue. It commits all waiting changes in one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::clock::Clock;
use super::recent::Recent;
use super::watchers::Watchers;
use crate::store::queue::connection::Outcome;
use crate::store::queue::{Change, Queue};

/// The largest number of changes in a transaction.
const GROUP: usize = 256;
/// The number of changes that may wait.
const WAITING: usize = 1024;
/// The places that are reserved for proven requests, for changes by approvers and signers, and for those of the server itself.
const RESERVED: usize = WAITING / 2;

struct Job {
    change: Change,
    reply: oneshot::Sender<Outcome>,
}

/// The counters of the writer, for the metrics.
#[derive(Debug, Default)]
pub(super) struct WriterFigures {
    pub(super) commits: AtomicU64,
    pub(super) changes: AtomicU64,
    pub(super) failures: AtomicU64,
    /// Whether the last transaction failed because of the database.
    pub(super) is_failing: AtomicBool,
}

/// The handle of the writer.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Sender<Job>,
    pub(super) figures: Arc<WriterFigures>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job(…)")
    }
}

/// Reasons why a change has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotWritten {
    /// Too many changes wait.
    Busy,
    /// The server stops.
    Stopping,
}

impl Writer {
    /// Starts the thread, which ends when the writer is dropped.
    pub(super) fn start(
        queue: Queue,
        published: (Arc<Watchers>, Arc<Recent>),
        clock: Clock,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, waiting) = channel(WAITING);
        let figures = Arc::new(WriterFigures::default());
        let own = figures.clone();
        let thread = std::thread::Builder::new()
            .name("queue".to_owned())
            .spawn(move || run(queue, waiting, &published, &clock, &own))?;
        Ok((Self { jobs, figures }, thread))
    }

    /// Makes a change, and waits until it is durable.
    ///
    /// Without `is_privileged` a change is refused while half of the places are taken, so that unproven requests never delay others.
    pub(super) async fn change(&self, change: Change, is_privileged: bool) -> Result<Outcome, NotWritten> {
        if !is_privileged && self.jobs.capacity() <= RESERVED {
            return Err(NotWritten::Busy);
        }
        let (reply, outcome) = oneshot::channel();
        self.jobs.send(Job { change, reply }).await.map_err(|_| NotWritten::Stopping)?;
        outcome.await.map_err(|_| NotWritten::Stopping)
    }
}

fn run(
    mut queue: Queue,
    mut waiting: Receiver<Job>,
    (watchers, recent): &(Arc<Watchers>, Arc<Recent>),
    clock: &Clock,
    figures: &WriterFigures,
) {
    while let Some(first) = waiting.blocking_recv() {
        let (mut changes, mut replies) = (vec![first.change], vec![first.reply]);
        while changes.len() < GROUP {
            let Ok(Job { change, reply }) = waiting.try_recv() else { break };
            changes.push(change);
            replies.push(reply);
        }
        let (outcomes, events) = queue.commit(&changes, clock());
        figures.commits.fetch_add(1, Ordering::Relaxed);
        figures.changes.fetch_add(changes.len() as u64, Ordering::Relaxed);
        let failed = outcomes.iter().filter(|one| is_failure(one)).count();
        figures.failures.fetch_add(failed as u64, Ordering::Relaxed);
        figures.is_failing.store(failed == outcomes.len(), Ordering::Relaxed);
        recent.note(&events);
        watchers.publish(events);
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // The client may have disconnected; the change stays.
            let _ = reply.send(outcome);
        }
    }
}

fn is_failure(outcome: &Outcome) -> bool {
    matches!(outcome, Err(crate::store::queue::QueueError::Database { .. }))
}
