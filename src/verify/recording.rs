//! A run as a file: the observations, and the part of the target that is needed to evaluate them again. It contains no
//! key. A recording may come from an untrusted source, so everything in it is checked. This module opens no files.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::certificate_map::CertificateMap;
use super::checks::{Clock, Detail, judge_in};
use super::facts::{Facts, PeerFacts, name};
use super::finding::Finding;
use super::observation::{
    Answer, Client, Exchange, MAX_CHAIN, Observations, Outcome, PeerObservation, Probes, Request,
};
use super::place::Place;
use super::recording_error::{MAX_ADDRESSES, MAX_PAIRS, OLDEST_VERSION, at_most, damaged};
pub use super::recording_error::{RecordingError, VERSION};
use super::report::Report;
use super::shared::Shared;
use super::target::Target;
use super::verdict::Strictness;
use crate::pki::fingerprint::Fingerprint;

/// The maximum size of a recording, in bytes.
pub const MAX_BYTES: u64 = 512 << 20;

/// The format's name, with which every recording begins.
const FORMAT: &str = "clusterctl verify recording";

const MAX_CERTIFICATE: usize = 64 << 10;

/// A century, in seconds.
const MAX_EXPIRES_WITHIN: i64 = 100 * 365 * 86_400;

/// The years of a valid recording: date arithmetic must not overflow.
const YEARS: std::ops::Range<i32> = 2000..9000;

/// The number of characters that are kept of a list of pods.
const LIST_HEAD: usize = 200;

/// A run that can be evaluated, now or later.
#[derive(Debug, Clone)]
pub struct Recording {
    target: Facts,
    before: Vec<Finding>,
    seen: Observations,
    /// The time of the run, and the limits by which dates are checked.
    pub clock: Clock,
    /// The findings that count against the run.
    pub strictness: Strictness,
    /// When the run ended.
    pub finished: OffsetDateTime,
}

impl Recording {
    /// Creates a recording; `before` holds the findings of its preparation. Sensitive content that no check needs is
    /// removed: only the kind of a list of pods is kept.
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

    /// Returns the certificates of the run.
    #[must_use]
    pub fn certificates(&self) -> CertificateMap {
        CertificateMap::of(&self.target.to_target(), &self.seen, self.clock)
    }

    /// Returns every certificate in it as DER, with the host that presented it as its own where exactly one host did.
    pub fn presented(&self) -> impl Iterator<Item = (&[u8], Option<&str>)> {
        let mut hosts: HashMap<Fingerprint, BTreeSet<&str>> = HashMap::new();
        let peers = self.seen.peers.iter().filter(|peer| matches!(peer.place, Place::Master | Place::Node));
        for peer in peers {
            for dial in peer.locations.iter().flat_map(|location| &location.dials) {
                let leaves = dial.tls.iter().chain(&dial.other_key).filter_map(|tls| tls.server_chain.first());
                for leaf in leaves {
                    hosts.entry(*leaf).or_default().insert(&peer.host);
                }
            }
        }
        self.seen.certificates.iter().map(move |(fingerprint, der)| {
            let host = hosts.get(fingerprint).filter(|hosts| hosts.len() == 1).and_then(BTreeSet::first);
            (der.0.as_slice(), host.copied())
        })
    }

    /// Returns the report. The same recording always gives the same report.
    #[must_use]
    pub fn report(&self) -> Report {
        self.clone().into_report(Detail::Everything)
    }

    /// Returns the report, with the data of passed checks that `detail` requires. Each host's observations are dropped
    /// after their evaluation, because those of a large cluster do not fit into memory beside the findings.
    #[must_use]
    pub fn into_report(self, detail: Detail) -> Report {
        let Self { target, before, seen, clock, strictness, finished } = self;
        let target = target.to_target();
        let mut findings = judge_in(detail, &target, seen, clock);
        // In this order: two lists of a large cluster would not fit into memory.
        findings.splice(0..0, before);
        Report::new(&target, findings, strictness, clock.now, finished)
    }

    /// Returns the recording as a file's content.
    ///
    /// # Errors
    /// Returns [`RecordingError::TooMany`] or [`RecordingError::Unwritable`] if the recording could not be read again.
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

    /// Reads a file of at most [`MAX_BYTES`] from an untrusted source.
    ///
    /// # Errors
    /// Returns the reason why it is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordingError> {
        let head: Head = serde_json::from_slice(bytes)
            .map_err(|error| if looks_like_recording(bytes) { wrong(&error) } else { RecordingError::NotARecording })?;
        match (head.format.as_deref(), head.version) {
            (Some(FORMAT), Some(OLDEST_VERSION..=VERSION)) => {}
            (Some(FORMAT), Some(found)) => return Err(RecordingError::Version { found }),
            _ => return Err(RecordingError::NotARecording),
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

fn looks_like_recording(bytes: &[u8]) -> bool {
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    beginning.trim_start().starts_with('{') && beginning.contains(FORMAT)
}

fn wrong(error: &serde_json::Error) -> RecordingError {
    if error.is_eof() {
        return RecordingError::Truncated { line: error.line(), column: error.column() };
    }
    damaged(&error.to_string())
}

fn time(text: &str) -> Result<OffsetDateTime, RecordingError> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok().filter(|time| YEARS.contains(&time.year()));
    time.ok_or_else(|| damaged(&format!("{text:?} is not a time of a run")))
}

/// The head of a recording, which every version has.
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

/// Checks that the observations belong to this target. They may be incomplete: such checks are not proven, but the
/// recording is not damaged.
fn check_seen(target: &Facts, seen: &Observations) -> Result<(), RecordingError> {
    for (fingerprint, der) in &seen.certificates {
        at_most("bytes of one certificate", der.0.len(), MAX_CERTIFICATE)?;
        if Fingerprint::of(&der.0) != *fingerprint {
            return Err(damaged(&format!("the certificate {fingerprint} has another fingerprint")));
        }
    }
    if seen.peers.len() != target.peers().count() {
        return Err(damaged("the observations are not of the hosts that it names"));
    }
    for (seen, (place, peer)) in seen.peers.iter().zip(target.peers()) {
        if seen.place != place || seen.host != peer.name {
            return Err(damaged("the observations are not of the hosts that it names"));
        }
        check_peer(seen, peer)?;
    }
    if seen.etcd.len() != target.sockets().count() {
        return Err(damaged("the observations are not of the members of etcd that it names"));
    }
    for (seen, socket) in seen.etcd.iter().zip(target.sockets()) {
        if seen.place != Place::Master || seen.host != socket.name {
            return Err(damaged("the observations are not of the members of etcd that it names"));
        }
        check_peer(seen, socket)?;
    }
    Ok(())
}

fn check_peer(seen: &PeerObservation, peer: &PeerFacts) -> Result<(), RecordingError> {
    let elsewhere = || damaged(&format!("an observation of {} is of another address", peer.name));
    if seen.locations.len() > peer.addresses.len() {
        return Err(elsewhere());
    }
    for (location, address) in seen.locations.iter().zip(&peer.addresses) {
        if location.address != address.to_string() || location.port != peer.port {
            return Err(elsewhere());
        }
        at_most("connections to one address", location.dials.len(), MAX_ADDRESSES)?;
        for dial in &location.dials {
            let handshakes = dial.tls.iter().chain(&dial.other_key).map(|tls| &tls.server_chain);
            for server_chain in handshakes.chain(dial.exchanges.iter().flat_map(Exchange::chains)) {
                at_most("certificates of one chain", server_chain.len(), MAX_CHAIN)?;
            }
            for exchange in &dial.exchanges {
                at_most("requests on one connection", exchange.more.len(), MAX_ADDRESSES)?;
                match &exchange.client {
                    Client::Master(text) | Client::Node(text) | Client::OtherNode(text) => name(text)?,
                    Client::Anonymous | Client::Untrusted(_) | Client::Verifier | Client::NewRoot | Client::OldRoot => {
                    }
                }
            }
        }
    }
    Ok(())
}

/// Removes pods and nodes from responses: only the kind of a list is needed, and a pod's environment may hold
/// passwords.
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
        // An invalid document must not become valid JSON by being cut.
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
    fn only_the_kind_of_a_pod_list_is_kept() {
        let body = r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"env":"hunter2"}]}"#;
        assert_eq!(shortened(body, false), (r#"{"kind":"PodList","apiVersion":"v1"}"#.into(), false));
        let cut = &body[..body.len() - 6];
        assert_eq!(shortened(cut, true), (r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"#.into(), true));
        assert_eq!(shortened("<html>", false), ("<html>".into(), false));
    }

    #[test]
    fn truncation_does_not_make_invalid_json_valid() {
        let (body, truncated) = shortened(r#"{"kind":"PodList"} "items" hunter2"#, false);
        assert!(!truncated && serde_json::from_str::<serde_json::Value>(&body).is_err(), "{body}");
        assert!(!body.contains("hunter2"));
    }

    #[test]
    fn a_file_of_another_kind_is_not_reported_as_damaged() {
        let read = |text: &str| Recording::from_bytes(text.as_bytes()).map(|_| ());
        assert_eq!(read("\u{feff}{}"), Err(RecordingError::NotARecording));
        assert_eq!(read("{}"), Err(RecordingError::NotARecording));
        assert_eq!(read(r#"{"format":"clusterctl verify recording"}"#), Err(RecordingError::NotARecording));
        let newer = r#"{"format":"clusterctl verify recording","version":9,"new":[]}"#;
        assert_eq!(read(newer), Err(RecordingError::Version { found: 9 }));
        let cut = RecordingError::Truncated { line: 1, column: newer.len() - 1 };
        assert_eq!(read(&newer[..newer.len() - 1]), Err(cut));
    }
}
