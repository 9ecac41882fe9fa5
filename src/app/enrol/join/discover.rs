//! Discovery: asks bootstrap endpoints for the cluster's record, and verifies it.

use std::time::Duration;

use super::error::{JoinError, Why, all_failed};
use super::notice::JoinNotice;
use super::options::{Backoff, Waiting};
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::cluster::endpoint::Endpoint;
use crate::enrol::record::{MAX_RECORD, Record, VerifiedRecord};
use crate::https::{Client, ClientOptions, HttpsError, Request, Trust};
use crate::pki::fingerprint::Fingerprint;

/// The time limit of one request.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(15);

/// A verified record, the endpoint that gave it, and its signed form.
#[derive(Debug, Clone)]
pub(super) struct Discovered {
    pub(super) record: Record,
    /// The pin of the newest of its roots that is proven.
    pub(super) newest: Fingerprint,
    pub(super) endpoint: Endpoint,
    pub(super) signed: String,
}

/// Returns the path of a cluster's record at a bootstrap endpoint.
pub(in crate::app) fn record_path(id: Fingerprint) -> String {
    format!("/clusterctl/v1/clusters/{}", id.as_pin())
}

/// What a host knows of its cluster before it asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sought {
    /// The id with which it joins.
    pub(super) id: Fingerprint,
    /// The pin of the root that it trusts: that of the id, or that of a root that replaced it.
    pub(super) known: Fingerprint,
    /// The number of the newest record that it has seen.
    pub(super) seq: Option<u64>,
}

/// Asks the endpoints in order until one gives a valid record. If none answers, asks all again, at growing intervals.
///
/// The endpoints' own certificates are not verified: the record is signed under the root whose pin is the id, so that an
/// endpoint can only withhold it.
///
/// # Errors
/// Returns [`JoinError::Unreachable`] if none answers until the end of the wait, else the error of the record.
pub(super) fn discover(
    sought: Sought,
    endpoints: &[Endpoint],
    waiting: &Waiting,
    observer: &mut dyn Observer,
) -> Result<Discovered, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    loop {
        let mut tried = Vec::new();
        let mut refused = None;
        for endpoint in endpoints {
            match ask(sought, endpoint, waiting) {
                Ok(found) => {
                    let (endpoint, seq) = (endpoint.clone(), found.record.seq);
                    if let Some(enrolment) = found.record.enrolment.first().cloned() {
                        observer.notice(JoinNotice::Found { endpoint, seq, enrolment }.into());
                    }
                    return Ok(found);
                }
                Err(Tried::NoAnswer(why, error)) => tried.push((endpoint.clone(), why, error)),
                // Another endpoint may have a valid one.
                Err(Tried::Refused(error)) => refused = refused.or(Some(error)),
            }
        }
        if let Some(error) = refused {
            return Err(error.into());
        }
        let error = all_failed("bootstrap", tried);
        let notice = JoinNotice::TryingAgain { what: "bootstrap", reason: error.to_string() };
        if waiting.is_cancelled() {
            return Err(JoinError::Stopped.into());
        }
        observer.notice(notice.into());
        if !waiting.sleep(backoff.interval(None)) {
            return Err(if waiting.is_cancelled() { JoinError::Stopped } else { error }.into());
        }
    }
}

/// The failure of asking one endpoint.
enum Tried {
    NoAnswer(Why, String),
    Refused(JoinError),
}

/// Asks one endpoint by the id with which the host joined; if it refuses, by the pin of the root that the host trusts now, because
/// the cluster may be registered anew.
fn ask(sought: Sought, endpoint: &Endpoint, waiting: &Waiting) -> Result<Discovered, Tried> {
    match ask_by(sought.id, sought, endpoint, waiting) {
        Err(Tried::Refused(_)) if sought.known != sought.id => ask_by(sought.known, sought, endpoint, waiting),
        other => other,
    }
}

fn ask_by(id: Fingerprint, sought: Sought, endpoint: &Endpoint, waiting: &Waiting) -> Result<Discovered, Tried> {
    let no_answer = |error: HttpsError| Tried::NoAnswer(Why::Unreachable, error.to_string());
    let options =
        ClientOptions { trust: Trust::SignedAnswers, certificate: None, now: waiting.now(), limit: REQUEST_LIMIT };
    let client = Client::new(&options).map_err(|error| Tried::Refused(JoinError::Https(error)))?;
    let url = format!("{endpoint}{}", record_path(id));
    let answer = client.send_within(&Request::get(&url, MAX_RECORD), waiting.left()).map_err(no_answer)?;
    match answer.status {
        200 => {}
        404 => return Err(Tried::Refused(JoinError::UnknownCluster(endpoint.clone()))),
        status => {
            let why = if matches!(status, 429 | 503) { Why::Busy } else { Why::Unreachable };
            return Err(Tried::NoAnswer(why, format!("HTTP {status}: {}", answer.message())));
        }
    }
    let refused = |source| Tried::Refused(JoinError::Record { endpoint: endpoint.clone(), source });
    let verified = Record::verify_from(&answer.body, id, sought.known, waiting.now()).map_err(refused)?;
    let VerifiedRecord { record, newest } = verified;
    record.check_sequence(sought.seq).map_err(refused)?;
    let signed = String::from_utf8_lossy(&answer.body).into_owned();
    Ok(Discovered { record, newest, endpoint: endpoint.clone(), signed })
}
