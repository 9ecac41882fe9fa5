//! A run as a file: what was seen, and what has to be known of the target to judge it again without any directory. No
//! key is in it. A recording may come from anywhere: everything in one is checked before it is used. Nothing here touches a
//! file.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::checks::{Clock, Detail, judge_in};
use super::facts::{Facts, PeerFacts, name};
use super::finding::{Finding, Strictness};
use super::observation::{Answer, Caller, Exchange, MAX_CHAIN, Observations, Outcome, PeerSeen, Probes, Request};
use super::report::Report;
use super::shared::Shared;
use super::target::Target;
use crate::pki::fingerprint::Fingerprint;
use crate::sanitize::sanitized;

/// The version of the form that is written. Those from [`OLDEST_VERSION`] on are read.
pub const VERSION: u64 = 2;
/// The oldest version that is read. Version 1 has the answers to fewer questions, and is judged by those alone.
const OLDEST_VERSION: u64 = 1;
/// No recording is larger than this, in bytes.
pub const MAX_BYTES: u64 = 512 << 20;

/// What every recording begins with.
const FORMAT: &str = "clusterctl verify recording";
/// Every node calls every master and is called by it.
pub(super) const MAX_PAIRS: usize = 1_000_000;
pub(super) const MAX_ADDRESSES: usize = 64;
const MAX_CERTIFICATE: usize = 64 << 10;
/// A century, in seconds.
const MAX_EXPIRES_WITHIN: i64 = 100 * 365 * 86_400;
/// Times before or after are no run's, and dates could not be reckoned with.
const YEARS: std::ops::Range<i32> = 2000..9000;
/// How many characters of a list of pods are kept where it is not a small one.
const LIST_HEAD: usize = 200;

/// A run that can be judged, now or again.
#[derive(Debug, Clone)]
pub struct Recording {
    target: Facts,
    before: Vec<Finding>,
    seen: Observations,
    /// How strictly dates are judged, by the clock of the run.
    pub clock: Clock,
    /// Which findings count.
    pub strictness: Strictness,
    /// When the run ended.
    pub finished: OffsetDateTime,
}

/// Why a file is no recording, or a run cannot be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// Something else.
    #[error("it is not a recording of clusterctl verify")]
    NotOne,
    /// Of another version.
    #[error("it is a recording of version {found}, and this clusterctl reads versions {OLDEST_VERSION} to {VERSION}")]
    Version {
        /// Its version.
        found: u64,
    },
    /// Its end is missing.
    #[error("it is not complete: it ends in the middle, at line {line}, column {column}")]
    Truncated {
        /// Where it ends.
        line: usize,
        /// Where it ends.
        column: usize,
    },
    /// Not what a run writes.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// More of something than a run can have.
    #[error("it holds {found} {what}, and at most {limit} are taken")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many may be.
        limit: usize,
    },
    /// A run that no recording can hold.
    #[error("the run cannot be recorded: {0}")]
    Unwritable(String),
}

impl Recording {
    /// Takes down a run; `before` is what was found while it was prepared. What was seen is kept without what nobody judges
    /// and others should not read: of a list of pods, only that it is one.
    #[must_use]
    pub fn new(
        target: &Target,
        before: Vec<Finding>,
        mut seen: Observations,
        clock: Clock,
        strictness: Strictness,
        finished: OffsetDateTime,
    ) -> Self {
        without_lists(&mut seen);
        Self { target: Facts::of(target), before, seen, clock, strictness, finished }
    }

    /// Judges it. The same recording is always judged the same.
    #[must_use]
    pub fn report(&self) -> Report {
        self.clone().into_report(Detail::Everything)
    }

    /// Returns the report, with no more of what passes than `detail` says. What was seen of a host is dropped once it is
    /// judged: of a large fleet there is no room for all of it beside the findings.
    #[must_use]
    pub fn into_report(self, detail: Detail) -> Report {
        let Self { target, before, seen, clock, strictness, finished } = self;
        let target = target.to_target();
        let mut findings = judge_in(detail, &target, seen, clock);
        // In this order: of a large fleet there is no room for two lists.
        findings.splice(0..0, before);
        Report::new(&target, findings, strictness, clock.now, finished)
    }

    /// As a file.
    ///
    /// # Errors
    /// [`RecordingError::TooMany`] or [`RecordingError::Unwritable`] when it could not be read again.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RecordingError> {
        self.target.check()?;
        check_seen(&self.target, &self.seen)?;
        let unwritable = |error: &dyn fmt::Display| RecordingError::Unwritable(error.to_string());
        let stamp = |time: OffsetDateTime| time.format(&Rfc3339).map_err(|error| unwritable(&error));
        let document = Document {
            format: FORMAT.to_owned(),
            version: VERSION,
            tool: format!("clusterctl {}", env!("CARGO_PKG_VERSION")),
            started: stamp(self.clock.now)?,
            finished: stamp(self.finished)?,
            expires_within_seconds: self.clock.expires_within.whole_seconds(),
            allow_skipped: self.strictness.allow_skipped,
            fail_on_warn: self.strictness.fail_on_warn,
            target: self.target.clone(),
            before: self.before.clone(),
            seen: &self.seen,
        };
        let mut bytes = serde_json::to_vec(&document).map_err(|error| unwritable(&error))?;
        bytes.push(b'\n');
        if bytes.len() as u64 > MAX_BYTES {
            return Err(RecordingError::Unwritable(format!("it would be larger than {} MiB", MAX_BYTES >> 20)));
        }
        Ok(bytes)
    }

    /// Reads a file of at most [`MAX_BYTES`], whoever wrote it.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordingError> {
        let head: Head = serde_json::from_slice(bytes)
            .map_err(|error| if begins_as_one(bytes) { wrong(&error) } else { RecordingError::NotOne })?;
        match (head.format.as_deref(), head.version) {
            (Some(FORMAT), Some(OLDEST_VERSION..=VERSION)) => {}
            (Some(FORMAT), Some(found)) => return Err(RecordingError::Version { found }),
            _ => return Err(RecordingError::NotOne),
        }
        let mut document: Document<Observations> = serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
        if document.version == OLDEST_VERSION {
            document.seen.probes = Probes::First;
        }
        document.target.check()?;
        at_most("findings of its preparation", document.before.len(), MAX_PAIRS)?;
        check_seen(&document.target, &document.seen)?;
        let started = time(&document.started)?;
        let finished = time(&document.finished)?;
        let seconds = document.expires_within_seconds;
        if !(0..=MAX_EXPIRES_WITHIN).contains(&seconds) {
            return Err(damaged("expiresWithinSeconds is out of range"));
        }
        Ok(Self {
            target: document.target,
            before: document.before,
            seen: document.seen,
            clock: Clock { now: started, expires_within: Duration::seconds(seconds) },
            strictness: Strictness { allow_skipped: document.allow_skipped, fail_on_warn: document.fail_on_warn },
            finished,
        })
    }
}

fn begins_as_one(bytes: &[u8]) -> bool {
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    beginning.trim_start().starts_with('{') && beginning.contains(FORMAT)
}

fn wrong(error: &serde_json::Error) -> RecordingError {
    if error.is_eof() {
        return RecordingError::Truncated { line: error.line(), column: error.column() };
    }
    damaged(&error.to_string())
}

/// What is said of a file may quote it.
pub(super) fn damaged(reason: &str) -> RecordingError {
    RecordingError::Damaged(sanitized(reason))
}

fn time(text: &str) -> Result<OffsetDateTime, RecordingError> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok().filter(|time| YEARS.contains(&time.year()));
    time.ok_or_else(|| damaged(&format!("{text:?} is no time of a run")))
}

/// The beginning of a recording, which every version has.
#[derive(Deserialize)]
struct Head {
    format: Option<String>,
    version: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document<S> {
    format: String,
    version: u64,
    tool: String,
    started: String,
    finished: String,
    expires_within_seconds: i64,
    allow_skipped: bool,
    fail_on_warn: bool,
    target: Facts,
    before: Vec<Finding>,
    seen: S,
}

pub(super) fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), RecordingError> {
    if found > limit { Err(RecordingError::TooMany { what, found, limit }) } else { Ok(()) }
}

/// Whether what was seen was seen of this target. Less than all of it may be there: that is not proven, not damage.
fn check_seen(target: &Facts, seen: &Observations) -> Result<(), RecordingError> {
    for (fingerprint, der) in &seen.certificates {
        at_most("bytes of one certificate", der.0.len(), MAX_CERTIFICATE)?;
        if Fingerprint::of(&der.0) != *fingerprint {
            return Err(damaged(&format!("what is called {fingerprint} is another certificate")));
        }
    }
    if seen.peers.len() != target.peers().count() {
        return Err(damaged("what was seen is not of the hosts that it names"));
    }
    for (seen, (place, peer)) in seen.peers.iter().zip(target.peers()) {
        if seen.place != place || seen.host != peer.name {
            return Err(damaged("what was seen is not of the hosts that it names"));
        }
        check_peer(seen, peer)?;
    }
    Ok(())
}

fn check_peer(seen: &PeerSeen, peer: &PeerFacts) -> Result<(), RecordingError> {
    let elsewhere = || damaged(&format!("something was seen of {} where it is not", peer.name));
    if seen.locations.len() > peer.addresses.len() {
        return Err(elsewhere());
    }
    for (location, address) in seen.locations.iter().zip(&peer.addresses) {
        if location.address != address.to_string() || location.port != peer.port {
            return Err(elsewhere());
        }
        at_most("connections to one address", location.dials.len(), MAX_ADDRESSES)?;
        for dial in &location.dials {
            let handshakes = dial.tls.iter().chain(&dial.other_key).map(|tls| &tls.shown);
            for shown in handshakes.chain(dial.exchanges.iter().flat_map(Exchange::chains)) {
                at_most("certificates of one chain", shown.len(), MAX_CHAIN)?;
            }
            for exchange in &dial.exchanges {
                at_most("requests on one connection", exchange.more.len(), MAX_ADDRESSES)?;
                match &exchange.caller {
                    Caller::Master(text) | Caller::Node(text) | Caller::OtherNode(text) => name(text)?,
                    Caller::Anonymous | Caller::Untrusted(_) | Caller::Verifier => {}
                }
            }
        }
    }
    Ok(())
}

/// Takes pods and nodes out of what was answered: only that it is a list of them is ever judged, and a pod's environment
/// may hold passwords.
fn without_lists(seen: &mut Observations) {
    let texts = Shared::default();
    let dials = seen.peers.iter_mut().flat_map(|peer| &mut peer.locations).flat_map(|location| &mut location.dials);
    for exchange in dials.flat_map(|dial| &mut dial.exchanges) {
        let first = std::iter::once((exchange.request, &mut exchange.outcome));
        let answers = first.chain(exchange.more.iter_mut().map(|further| (further.request, &mut further.outcome)));
        for (request, outcome) in answers {
            match (outcome, request) {
                (Outcome::Answer(answer), Request::Pods | Request::Nodes) if (200..300).contains(&answer.status) => {
                    shorten(answer);
                    answer.body = texts.of(&answer.body);
                }
                _ => {}
            }
        }
    }
}

fn shorten(answer: &mut Answer) {
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        kind: String,
        api_version: Option<String>,
    }
    if !answer.truncated
        && let Ok(kind) = serde_json::from_str::<Kind>(&answer.body)
        && kind.kind.len() <= LIST_HEAD
        && let Ok(body) = serde_json::to_string(&kind)
    {
        answer.body = body.into();
        return;
    }
    let head = answer.body.split_once("\"items\"").map_or(&*answer.body, |(head, _)| head);
    let head: String = head.chars().take(LIST_HEAD).collect();
    if head.len() < answer.body.len() {
        // What was no JSON stays none; it must not become some by being cut.
        answer.body = if answer.truncated { head } else { head + "…" }.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortened(body: &str, truncated: bool) -> (String, bool) {
        let mut answer =
            Answer { status: 200, version: "HTTP/2.0".into(), content_type: None, body: body.into(), truncated };
        shorten(&mut answer);
        (answer.body.to_string(), answer.truncated)
    }

    #[test]
    fn a_list_of_pods_is_kept_as_its_kind_alone() {
        let body = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"env":"hunter2"}]}"#;
        assert_eq!(shortened(body, false), (r#"{"kind":"PodList","apiVersion":"v1"}"#.into(), false));
        let cut = &body[..body.len() - 6];
        assert_eq!(shortened(cut, true), (r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"#.into(), true));
        assert_eq!(shortened("<html>", false), ("<html>".into(), false));
    }

    #[test]
    fn what_is_no_json_does_not_become_some_by_being_cut() {
        let (body, truncated) = shortened(r#"{"kind":"PodList"} "items" hunter2"#, false);
        assert!(!truncated && serde_json::from_str::<serde_json::Value>(&body).is_err(), "{body}");
        assert!(!body.contains("hunter2"));
    }

    #[test]
    fn a_file_of_another_kind_is_not_called_damaged() {
        let read = |text: &str| Recording::from_bytes(text.as_bytes()).map(|_| ());
        assert_eq!(read("\u{feff}{}"), Err(RecordingError::NotOne));
        assert_eq!(read("{}"), Err(RecordingError::NotOne));
        assert_eq!(read(r#"{"format":"clusterctl verify recording"}"#), Err(RecordingError::NotOne));
        let newer = r#"{"format":"clusterctl verify recording","version":9,"new":[]}"#;
        assert_eq!(read(newer), Err(RecordingError::Version { found: 9 }));
        let cut = RecordingError::Truncated { line: 1, column: newer.len() - 1 };
        assert_eq!(read(&newer[..newer.len() - 1]), Err(cut));
    }
}
