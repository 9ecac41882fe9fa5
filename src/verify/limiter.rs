//! Limits concurrency by file descriptors, and so that local load is not mistaken for a slow peer.

use std::future::Future;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// Returns how many of `wanted` hosts may be dialled concurrently, with two descriptors for each; raises the process's
/// limit if needed.
pub(super) fn descriptors_for(wanted: usize) -> usize {
    // For files, the event queue, resolvers, and other open descriptors.
    const OTHERS: u64 = 128;
    let needed = 2 * wanted as u64 + OTHERS;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit { current: Some(limit.maximum.map_or(needed, |most| most.min(needed))), ..limit };
        // If it cannot be raised, fewer hosts are dialled concurrently.
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    let room = limit.current.map_or(u64::MAX, |current| current.saturating_sub(OTHERS) / 2);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX)).max(1)
}

/// Limits concurrent handshakes. More would slow each down until healthy peers seem late. The permit of an
/// unresponsive peer is released after a while.
pub(super) struct Limiter {
    permits: Semaphore,
    release_after: Duration,
}

impl Limiter {
    pub(super) const PERMITS: usize = 128;

    pub(super) fn new(limit: Duration) -> Self {
        Self { permits: Semaphore::new(Self::PERMITS), release_after: (limit / 10).min(Duration::from_millis(500)) }
    }

    /// Runs `work` with a permit. It is created only then: thousands of waiting tasks stay small.
    pub(super) async fn run<T, F: Future<Output = T>>(&self, work: impl FnOnce() -> F) -> T {
        let permit = self.permits.acquire().await;
        let mut work = Box::pin(work());
        loop {
            let due = Instant::now() + self.release_after;
            if let Ok(done) = timeout_at(due, &mut work).await {
                return done;
            }
            // If even the timer is late, the cause is this machine and not the peer.
            if due.elapsed() < self.release_after / 2 {
                break;
            }
        }
        drop(permit);
        work.await
    }
}
