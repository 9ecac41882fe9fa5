//! Sends requests, and waits for their certificates.

use std::time::{Duration, Instant};

use super::api::{Enrolment, NoAnswer, RequestState};
use super::certificates::{self, IssuedChain};
use super::error::{JoinError, all_failed};
use super::notice::JoinNotice;
use super::options::{Backoff, Waiting};
use super::requests::Prepared;
use super::watch::Watched;
use crate::app::error::Error;
use crate::app::observer::Observer;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::name::HostName;
use crate::enrol::record::Record;
use crate::https::ClientCertificate;

/// The first interval at which requests are read, and the longest one.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// After a watch that ended earlier than this, there is a pause.
const SHORTEST: Duration = Duration::from_secs(1);

/// A request that was granted.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    pub(super) name: String,
    pub(super) issued: IssuedChain,
}

/// The progress of one request.
struct Progress<'p> {
    prepared: &'p Prepared,
    is_sent: bool,
    granted: Option<IssuedChain>,
}

/// Sends the requests, and waits until each has its certificate, which is then checked.
///
/// # Errors
/// Returns an error if one is denied, none of the endpoints can be reached, or nothing was decided in time.
pub(super) fn ask(
    prepared: &[Prepared],
    host: &HostName,
    record: &Record,
    roots: &[crate::pki::certificate::Certificate],
    certificate: Option<ClientCertificate<'_>>,
    waiting: &Waiting,
    observer: &mut dyn Observer,
) -> Result<(Vec<Granted>, Endpoint), Error> {
    let endpoints: Result<Vec<Enrolment>, JoinError> =
        record.enrolment.iter().map(|endpoint| Enrolment::new(endpoint, roots, certificate, waiting)).collect();
    let endpoints = endpoints?;
    let mut all: Vec<Progress<'_>> =
        prepared.iter().map(|prepared| Progress { prepared, is_sent: false, granted: None }).collect();
    let mut backoff = Backoff::new(FIRST, LONGEST);
    let (mut was_reached, mut has_reported_waiting, mut had_early_decision, mut can_watch) =
        (false, false, false, true);
    loop {
        let (mut tried, mut after, mut reached, began) = (Vec::new(), None, None, Instant::now());
        for endpoint in &endpoints {
            match round(endpoint, &mut all, host, record, waiting, observer) {
                Ok(()) => {
                    was_reached = true;
                    reached = Some(endpoint);
                    tried.clear();
                    if all.iter().all(|one| one.granted.is_some()) {
                        return Ok((granted(all), endpoint.endpoint.clone()));
                    }
                    break;
                }
                Err(NoAnswer::Final(error)) => return Err(error.into()),
                Err(NoAnswer::Later { why, reason, after: wanted }) => {
                    tried.push((endpoint.endpoint.clone(), why, reason));
                    after = after.max(wanted);
                }
            }
        }
        let open = || -> Vec<String> {
            let open = all.iter().filter(|one| one.granted.is_none());
            open.map(|one| one.prepared.request.name.clone()).collect()
        };
        let unreachable = (!tried.is_empty()).then(|| all_failed("enrolment", tried));
        match &unreachable {
            Some(error) => {
                let reason = error.to_string();
                observer.notice(JoinNotice::TryingAgain { what: "enrolment", reason }.into());
            }
            None if !has_reported_waiting => {
                has_reported_waiting = true;
                observer.notice(JoinNotice::Waiting { names: open() }.into());
            }
            None => {}
        }
        let watched = match reached.zip(open().into_iter().next()) {
            Some((endpoint, name)) if can_watch => Some(endpoint.watch(&name)),
            _ => None,
        };
        // Where the endpoint allows no watch, as API servers do not for anonymous clients, requests are only read.
        can_watch &= watched != Some(Watched::Impossible);
        let pause = match watched {
            Some(Watched::Decided | Watched::Nothing) if began.elapsed() >= SHORTEST => Duration::ZERO,
            // Without a pause only once: a faulty endpoint could end every watch at once.
            Some(Watched::Decided) if !had_early_decision => Duration::ZERO,
            _ => backoff.interval(after),
        };
        had_early_decision |= watched == Some(Watched::Decided);
        if !waiting.sleep(pause) {
            return Err(match unreachable {
                _ if waiting.is_cancelled() => JoinError::Stopped.into(),
                Some(error) if !was_reached => error.into(),
                _ => JoinError::StillWaiting(open()).into(),
            });
        }
    }
}

fn granted(all: Vec<Progress<'_>>) -> Vec<Granted> {
    let granted = |one: Progress<'_>| {
        let name = one.prepared.request.name.clone();
        one.granted.map(|issued| Granted { name, issued })
    };
    all.into_iter().filter_map(granted).collect()
}

/// Sends the requests that were not sent yet, and reads the others without a certificate, at one endpoint.
fn round(
    endpoint: &Enrolment,
    all: &mut [Progress<'_>],
    host: &HostName,
    record: &Record,
    waiting: &Waiting,
    observer: &mut dyn Observer,
) -> Result<(), NoAnswer> {
    for one in all.iter_mut().filter(|one| !one.is_sent) {
        let was_there = endpoint.create(&one.prepared.request)?;
        one.is_sent = true;
        observer.notice(JoinNotice::Requested { name: one.prepared.request.name.clone(), was_there }.into());
    }
    for one in all.iter_mut().filter(|one| one.granted.is_none()) {
        let name = &one.prepared.request.name;
        match endpoint.state(name)? {
            RequestState::Pending => {}
            // The mailbox removes old requests.
            RequestState::Missing => one.is_sent = false,
            RequestState::Denied { reason, message } => {
                return Err(JoinError::Denied { name: name.clone(), reason, message }.into());
            }
            RequestState::Issued(pem) => {
                let (profile, key) = (one.prepared.key.profile, one.prepared.key.public_key);
                let issued = certificates::check(&pem, profile, key, host, record, waiting.now())?;
                let (name, certificate) = (name.clone(), issued.fingerprint());
                observer.notice(JoinNotice::Issued { name, certificate }.into());
                one.granted = Some(issued);
            }
        }
    }
    Ok(())
}
