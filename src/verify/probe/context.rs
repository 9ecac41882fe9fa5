//! The state that all steps of a run share.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::verify::dialer::{Dialer, millis};
use crate::verify::identities::{ClientPlan, UntrustedClients};
use crate::verify::identity::Identity;
use crate::verify::limiter::Limiter;
use crate::verify::observation::{Client, Exchange, Outcome, Request};
use crate::verify::target::Target;

/// The state that all steps share.
pub(super) struct Run {
    pub(super) target: Arc<Target>,
    pub(super) plan: ClientPlan,
    pub(super) dialer: Arc<Dialer>,
    pub(super) untrusted: UntrustedClients,
    pub(super) limit: Duration,
    pub(super) deadline: Option<Instant>,
    pub(super) pins: BTreeMap<String, Vec<IpAddr>>,
    pub(super) readonly_port: Option<u16>,
    pub(super) lease_pause: Duration,
    pub(super) one_thread: bool,
    pub(super) dry_run_writes: bool,
    /// The number of hosts that are dialled concurrently.
    pub(super) concurrency: usize,
    pub(super) hosts: Semaphore,
    pub(super) limiter: Limiter,
}

impl Run {
    /// Returns true if a request timed out, before or during its response.
    pub(super) fn timed_out(&self, exchange: &Exchange) -> bool {
        matches!(exchange.outcome, Outcome::TimedOut(_)) || exchange.elapsed_ms >= millis(self.limit)
    }

    /// Returns the result of `work`; `None` if the run's deadline passes first.
    pub(super) async fn before_deadline<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match self.deadline {
            None => Some(work.await),
            Some(deadline) => timeout_at(deadline, work).await.ok(),
        }
    }

    pub(super) fn deadline_passed(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// The reason why something was not tried.
pub(super) const DEADLINE_PASSED: &str = "the run's deadline had passed";

pub(super) fn not_sent(client: Client, identity: Option<&Identity>, request: Request, outcome: Outcome) -> Exchange {
    let presented = identity.map(|identity| identity.certificate.fingerprint());
    let (server_chain, more, decisions) = (Arc::default(), Vec::new(), Arc::default());
    Exchange { client, presented, request, server_chain, outcome, more, decisions, elapsed_ms: 0 }
}
