//! Watches CertificateSigningRequests in the background, and collects their changes.

use std::pin::{Pin, pin};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_core::Stream;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::error::MailboxError;

/// The page size of a list.
const PAGE: u32 = 500;
/// The duration of one watch, in seconds; the server then ends it.
const WATCH_SECONDS: u32 = 240;
/// A watch that has not ended after this time has lost its connection.
const LIMIT: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 30);
/// Changes that follow the first one at intervals shorter than this are returned together with it, for at most `LONGEST`.
const TOGETHER: Duration = Duration::from_millis(20);
/// The longest time for which changes are collected.
const LONGEST: Duration = Duration::from_millis(100);
/// The largest number of changes that are returned together.
const MOST: usize = 5_000;

/// An event of a watch.
pub(super) enum Event {
    /// The list with which a watch begins.
    All(Vec<CertificateSigningRequest>),
    /// A request was added or changed.
    One(Box<CertificateSigningRequest>),
    /// The request of this name was deleted.
    Gone(String),
    /// The watch failed, and has ended.
    Failed(MailboxError),
}

/// A watch that runs in the background.
pub(super) struct Watch {
    running: Mutex<Option<Running>>,
}

struct Running {
    events: Receiver<Event>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { running: Mutex::new(None) }
    }

    /// Returns the changes since the last call; waits up to `wait` for the first one.
    ///
    /// The first call starts the watch. If it fails, the next call starts another one, which begins with a list.
    pub(super) fn next(
        &self,
        wait: Duration,
        runtime: &Runtime,
        api: &Api<CertificateSigningRequest>,
        explain: fn(&kube::Error, &str) -> MailboxError,
        server: &str,
    ) -> Result<Vec<Event>, MailboxError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let current = running.get_or_insert_with(|| {
            let (sender, events) = channel();
            let (api, server) = (api.clone(), server.to_owned());
            let task = runtime.spawn(async move {
                if let Err(error) = follow(&api, &sender).await {
                    // Fails only if the watch was dropped.
                    let _ = sender.send(Event::Failed(explain(&error, &server)));
                }
            });
            Running { events, task }
        });
        let mut found = Vec::new();
        let deadline = Instant::now() + wait;
        // A caller that does not wait has other work to do.
        let together = if wait.is_zero() { Duration::ZERO } else { TOGETHER };
        if let Ok(first) = current.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            found.push(first);
            let end = Instant::now() + LONGEST;
            while found.len() < MOST
                && let Ok(more) =
                    current.events.recv_timeout(together.min(end.saturating_duration_since(Instant::now())))
            {
                found.push(more);
            }
        }
        let failed = found.iter().position(|event| matches!(event, Event::Failed(_)));
        match failed.map(|at| found.swap_remove(at)) {
            Some(Event::Failed(error)) => {
                *running = None;
                Err(error)
            }
            _ => Ok(found),
        }
    }
}

/// Lists all requests, then sends the changes, until the receiver is gone or the API fails.
async fn follow(api: &Api<CertificateSigningRequest>, sender: &Sender<Event>) -> Result<(), kube::Error> {
    loop {
        let (all, mut version) = list(api).await?;
        if sender.send(Event::All(all)).is_err() {
            return Ok(());
        }
        loop {
            match tokio::time::timeout(LIMIT, follow_from(api, &mut version, sender)).await {
                Ok(Ok(true)) => {}
                Err(_) | Ok(Ok(false)) => break,
                // Gone: the server no longer has this version.
                Ok(Err(kube::Error::Api(status))) if status.code == 410 => break,
                Ok(Err(error)) => return Err(error),
            }
        }
    }
}

async fn list(api: &Api<CertificateSigningRequest>) -> Result<(Vec<CertificateSigningRequest>, String), kube::Error> {
    let (mut all, mut params) = (Vec::new(), ListParams::default().limit(PAGE));
    loop {
        let page = api.list(&params).await?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok((all, page.metadata.resource_version.unwrap_or_default())),
        }
    }
}

/// Sends the changes since `version`, until the server ends the watch.
///
/// Returns false if the watch cannot go on from `version`: the server reports an error in the watch (such as 410, the
/// version is too old), or the receiver is gone.
async fn follow_from(
    api: &Api<CertificateSigningRequest>,
    version: &mut String,
    sender: &Sender<Event>,
) -> Result<bool, kube::Error> {
    let params = WatchParams::default().timeout(WATCH_SECONDS);
    let mut stream = pin!(api.watch(&params, version).await?);
    while let Some(event) = next(stream.as_mut()).await {
        let event = match event? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                set(version, object.metadata.resource_version.as_ref());
                Event::One(Box::new(object))
            }
            WatchEvent::Deleted(object) => {
                set(version, object.metadata.resource_version.as_ref());
                Event::Gone(object.metadata.name.unwrap_or_default())
            }
            WatchEvent::Bookmark(bookmark) => {
                version.clone_from(&bookmark.metadata.resource_version);
                continue;
            }
            WatchEvent::Error(_) => return Ok(false),
        };
        if sender.send(event).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn set(version: &mut String, seen: Option<&String>) {
    if let Some(seen) = seen {
        version.clone_from(seen);
    }
}

async fn next<S: Stream>(mut stream: Pin<&mut S>) -> Option<S::Item> {
    std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await
}
