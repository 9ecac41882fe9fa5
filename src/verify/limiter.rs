//! How much is done at once: as much as file descriptors allow, and as much as does not make peers that are well seem late.

use std::future::Future;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// How many of `wanted` hosts this process may have in hand at once, two descriptors for each; its limit is raised to
/// what the system lets it have, if need be.
pub(super) fn descriptors_for(wanted: usize) -> usize {
    // For files, the event queue, resolvers, and whatever else is open.
    pub(super) const OTHERS: u64 = 128;
    let needed = 2 * wanted as u64 + OTHERS;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit { current: Some(limit.maximum.map_or(needed, |most| most.min(needed))), ..limit };
        // Where it may not be raised, fewer at once do as well.
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    let room = limit.current.map_or(u64::MAX, |current| current.saturating_sub(OTHERS) / 2);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX)).max(1)
}

/// How many connections of ours are worked on at once. More would only make each slower, until peers that are well seem
/// late; but one that says nothing must not keep the others waiting, so that its place is given up after a while.
pub(super) struct Limiter {
    places: Semaphore,
    patience: Duration,
}

impl Limiter {
    pub(super) const PLACES: usize = 128;

    pub(super) fn new(limit: Duration) -> Self {
        Self { places: Semaphore::new(Self::PLACES), patience: (limit / 10).min(Duration::from_millis(500)) }
    }

    /// Does `work` when there is a place. It is begun only then: thousands that wait stay small.
    pub(super) async fn run<T, F: Future<Output = T>>(&self, work: impl FnOnce() -> F) -> T {
        let place = self.places.acquire().await;
        let mut work = Box::pin(work());
        loop {
            let due = Instant::now() + self.patience;
            if let Ok(done) = timeout_at(due, &mut work).await {
                return done;
            }
            // Where even the clock comes late, it is this machine that is slow and not the peer.
            if due.elapsed() < self.patience / 2 {
                break;
            }
        }
        drop(place);
        work.await
    }
}
