//! Watches: the current requests, then every change, as lines of JSON.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use hyper::StatusCode;
use hyper::body::{Body as HttpBody, Bytes, Frame};
use hyper::header::AUTHORIZATION;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Answer;
use super::accept::table;
use super::call::Call;
use super::object::{self, IncludeObject};
use super::status::{Failed, response};
use crate::server::client::Client;
use crate::server::lasting::Lasting;
use crate::server::state::{Connection, State};
use crate::server::watchers::Event;
use crate::store::queue::read::{Changes, Selection};
use crate::store::queue::{Kind, StoredRequest};

/// The duration of a watch if the client names none, and the longest one.
const DURATION: Duration = Duration::from_secs(30 * 60);
/// The interval of bookmarks.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// The largest number of events with which a watch begins; if there are more, the client must list again.
const MAX_EVENTS: u32 = 100_000;

/// Answers with a watch.
pub(super) fn watch(call: Call, selection: Selection) -> Answer {
    let form = table(&call)?;
    let now = call.state.now();
    // Opened before the query, so that no event between them is missed.
    let receiver = call.state.watchers.open(selection.name.as_deref());
    let with_initial = call.flag("sendInitialEvents");
    let since = match call.parameter("resourceVersion") {
        None | Some("0") => None,
        Some(_) if with_initial => None,
        Some(text) => Some(
            text.parse::<i64>().map_err(|_| Failed::bad_request("resourceVersion: it is not one of this server"))?,
        ),
    };
    let Changes { requests, version, has_more } = match selection.name {
        // One row: without `block_in_place`, which would take longer.
        Some(_) if since.is_none() => beginning(&call.state, &selection, since)?,
        _ => tokio::task::block_in_place(|| beginning(&call.state, &selection, since))?,
    };
    if since.is_some_and(|since| since > version) || has_more {
        return Err(Failed::gone("too old or unknown resource version: list again"));
    }
    let seen = requests.into_iter().filter(|(_, request)| call.client.may_see(request));
    let mut pending: VecDeque<Bytes> = seen.map(|(kind, request)| line(kind, &request, form, now)).collect();
    if with_initial && call.flag("allowWatchBookmarks") {
        pending.push_back(bookmark(version, true, form));
    }
    pending.shrink_to_fit();
    let seconds = call.parameter("timeoutSeconds").and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
    let duration = seconds.map_or(DURATION, Duration::from_secs).min(DURATION);
    let start = Instant::now();
    let bookmarks = call.flag("allowWatchBookmarks");
    let wake = start + if bookmarks { duration.min(BOOKMARKS) } else { duration };
    call.state.figures.watches.fetch_add(1, Ordering::Relaxed);
    let authorization = Some(call.header(AUTHORIZATION)).filter(|text| !text.is_empty()).map(Into::into);
    let body = Watch {
        state: call.state,
        connection: call.connection,
        authorization,
        client: call.client,
        selection,
        form,
        pending,
        receiver,
        version,
        bookmarks,
        end: start + duration,
        sleep: Box::pin(sleep_until(wake)),
    };
    let mut answer = response(StatusCode::OK, "application/json", Body::new(body));
    answer.extensions_mut().insert(Lasting);
    Ok(answer)
}

/// Returns what a watch begins with.
fn beginning(state: &State, selection: &Selection, since: Option<i64>) -> Result<Changes, Failed> {
    match since {
        Some(since) => state.read(|queue| queue.since(selection, since, MAX_EVENTS)),
        None => {
            let page = state.read(|queue| queue.list(selection, "", MAX_EVENTS))?;
            let requests = page.requests.into_iter().map(|request| (Kind::Added, request)).collect();
            Ok(Changes { requests, version: page.version, has_more: page.has_more })
        }
    }
}

/// An event as Kubernetes writes it.
#[derive(Serialize)]
struct WatchEvent<'a, T> {
    r#type: &'a str,
    object: &'a T,
}

fn text(kind: &str, object: &impl Serialize) -> Bytes {
    let mut line = serde_json::to_vec(&WatchEvent { r#type: kind, object }).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

fn line(kind: Kind, request: &StoredRequest, form: Option<IncludeObject>, now: time::OffsetDateTime) -> Bytes {
    match form {
        None => text(kind.as_str(), &object::object(request)),
        Some(include) => {
            text(kind.as_str(), &object::table([request].into_iter(), request.version, None, include, now))
        }
    }
}

/// Returns a bookmark; the first one ends the initial events.
fn bookmark(version: i64, ends_initial: bool, form: Option<IncludeObject>) -> Bytes {
    let mut metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
    if ends_initial {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let object = json!({
        "kind": object::KIND,
        "apiVersion": object::VERSION,
        "metadata": metadata,
        "spec": {"request": null, "signerName": ""},
        "status": {},
    });
    let object = match form {
        None => object,
        Some(_) => json!({
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {"resourceVersion": version.to_string()},
            "columnDefinitions": null,
            "rows": [{"cells": [], "object": {
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            }}],
        }),
    };
    text("BOOKMARK", &object)
}

/// The body of a watch.
struct Watch {
    state: Arc<State>,
    connection: Arc<Connection>,
    authorization: Option<Box<str>>,
    client: Client,
    selection: Selection,
    form: Option<IncludeObject>,
    pending: VecDeque<Bytes>,
    receiver: Receiver<Arc<Event>>,
    /// The resource version of the last event that was handled.
    version: i64,
    bookmarks: bool,
    end: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.state.figures.watches.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watch {
    /// Returns true if the client would still be accepted: its certificate was not revoked and has not expired, and its token, too.
    fn is_authenticated(&self) -> bool {
        self.state.client(&self.connection, self.authorization.as_deref()).is_ok()
    }

    /// Returns true if an event is for this watch and new to it.
    fn is_new(&mut self, event: &Event) -> bool {
        if event.version <= self.version {
            return false;
        }
        self.version = event.version;
        self.selection.includes(&event.request) && self.client.may_see(&event.request)
    }

    fn line(&self, event: &Event) -> Bytes {
        match self.form {
            None => event.line.get_or_init(|| line(event.kind, &event.request, None, event.request.created)).clone(),
            Some(_) => line(event.kind, &event.request, self.form, self.state.now()),
        }
    }
}

impl HttpBody for Watch {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            if let Some(line) = self.pending.pop_front() {
                if self.pending.is_empty() {
                    self.pending = VecDeque::new();
                }
                return Poll::Ready(Some(Ok(Frame::data(line))));
            }
            match self.receiver.poll_recv(context) {
                Poll::Ready(Some(event)) => {
                    if !self.is_new(&event) {
                        continue;
                    }
                    // A client that was revoked since gets nothing more.
                    let line = self.is_authenticated().then(|| Ok(Frame::data(self.line(&event))));
                    return Poll::Ready(line);
                }
                // Too far behind, or the server stops: the client lists again.
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {}
            }
            if Future::poll(self.sleep.as_mut(), context).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if now >= self.end || !self.is_authenticated() {
                return Poll::Ready(None);
            }
            let next = if self.bookmarks { (now + BOOKMARKS).min(self.end) } else { self.end };
            self.sleep.as_mut().reset(next);
            if self.bookmarks {
                let line = bookmark(self.version, false, self.form);
                return Poll::Ready(Some(Ok(Frame::data(line))));
            }
        }
    }
}
