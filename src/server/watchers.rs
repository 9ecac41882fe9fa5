//! Sends events to the open watches.
//!
//! Watches of one request are found by its name, so that those of ten thousand waiting hosts cost nothing when other requests change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use hyper::body::Bytes;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::store::queue::{Kind, Published, StoredRequest};

/// The largest number of unread events of a watch of one name.
const BEHIND_OF_ONE: usize = 8;
/// The largest number of unread events of a watch of all requests.
const BEHIND_OF_ALL: usize = 8192;

/// An event, with its text once that is needed.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) version: i64,
    pub(super) kind: Kind,
    pub(super) request: Arc<StoredRequest>,
    /// The line of JSON, which is the same for all watches of objects.
    pub(super) line: OnceLock<Bytes>,
}

/// The open watches.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    by_name: HashMap<Box<str>, Vec<Sender<Arc<Event>>>>,
    all: Vec<Sender<Arc<Event>>>,
    is_closed: bool,
}

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a watch: of one name, or of all requests. The receiver ends when the watch is too far behind, or the server
    /// stops.
    pub(super) fn open(&self, name: Option<&str>) -> Receiver<Arc<Event>> {
        let (sender, receiver) = channel(if name.is_some() { BEHIND_OF_ONE } else { BEHIND_OF_ALL });
        let mut open = self.lock();
        if open.is_closed {
            return receiver;
        }
        match name {
            Some(name) => {
                let own = open.by_name.entry(name.into()).or_default();
                own.retain(|one| !one.is_closed());
                own.push(sender);
            }
            None => {
                open.all.retain(|one| !one.is_closed());
                open.all.push(sender);
            }
        }
        receiver
    }

    /// Sends events to the watches, in order.
    pub(super) fn publish(&self, events: Vec<Published>) {
        if events.is_empty() {
            return;
        }
        let mut open = self.lock();
        for Published { version, kind, request } in events {
            let event = Arc::new(Event { version, kind, request, line: OnceLock::new() });
            let sent = |watch: &mut Sender<Arc<Event>>| match watch.try_send(event.clone()) {
                Ok(()) => true,
                // It is too far behind: it ends, and the client lists again.
                Err(TrySendError::Full(_) | TrySendError::Closed(_)) => false,
            };
            open.all.retain_mut(sent);
            let name = event.request.name.as_str();
            if let Some(own) = open.by_name.get_mut(name) {
                own.retain_mut(sent);
                if own.is_empty() {
                    open.by_name.remove(name);
                }
            }
        }
    }

    /// Removes watches that ended.
    pub(super) fn sweep(&self) {
        let mut open = self.lock();
        open.by_name.retain(|_, own| {
            own.retain(|one| !one.is_closed());
            !own.is_empty()
        });
        open.all.retain(|one| !one.is_closed());
    }

    /// Ends all watches, and those that are opened later.
    pub(super) fn close(&self) {
        *self.lock() = Open { is_closed: true, ..Open::default() };
    }
}
