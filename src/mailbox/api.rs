//! The client of the mailbox's API.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::connect::{self, Connection};
use super::convert::{self, annotate, arrived, rule};
use super::error::MailboxError;
use super::known::Known;
use super::lease::{LeaseTerms, Observed, released, taken};
use super::reasons;
use super::watch::{Event, Watch};
use super::{Arrived, Change, Mailbox, Ruling};
use crate::enrol::request::{EnrolmentRequest, RequestContent, State};
use crate::sanitize::sanitized;

/// The largest number of concurrent writes.
const WRITES: usize = 32;
/// The time limit of one call.
const CALL: Duration = Duration::from_secs(20);
/// The path of the enrolment CA's requests since a time, with those that are no longer listed.
const PAST: &str = "/clusterctl/v1/requests";
/// The number of requests in one answer of a list.
const PAGE: u32 = 500;
/// The number of attempts to write to an object that others change at the same time.
const TRIES: usize = 3;

/// A client of the API to which hosts send their requests.
pub struct ApiMailbox {
    name: String,
    requests: Api<CertificateSigningRequest>,
    client: kube::Client,
    known: Arc<Known>,
    watch: Watch,
    lease: Observed,
    // Dropped last: the client's connections live in it.
    runtime: Runtime,
}

type Written = Result<EnrolmentRequest, MailboxError>;

/// A change of a request.
#[derive(Clone)]
enum Write {
    Rule(Ruling),
    Certificate(String),
    Annotate(Ruling),
}

impl ApiMailbox {
    /// Connects to the API. Nothing is sent yet.
    ///
    /// # Errors
    /// Returns an error if the CAs, the certificate or the key cannot be used.
    pub fn new(connection: &Connection) -> Result<Self, MailboxError> {
        let (runtime, client) = connect::client(connection)?;
        Ok(Self {
            name: connection.server.clone(),
            requests: Api::all(client.clone()),
            client,
            known: Arc::default(),
            watch: Watch::new(),
            lease: Observed::default(),
            runtime,
        })
    }

    /// Returns all requests for clusterctl's signers.
    ///
    /// # Errors
    /// Returns an error if the API does not answer.
    pub fn list(&self) -> Result<Vec<Arrived>, MailboxError> {
        let params = kube::api::ListParams::default();
        let found = self.within(self.requests.list(&params))?;
        Ok(found.items.iter().filter_map(|object| self.known.arrived(object)).collect())
    }

    /// Returns all requests for clusterctl's signers since a time, the oldest first, with those that are no longer listed. An API
    /// without that path gives only those that are listed, of any time.
    ///
    /// # Errors
    /// Returns an error if the API does not answer.
    pub fn past(&self, since: time::OffsetDateTime) -> Result<Vec<Arrived>, MailboxError> {
        let path = kube::api::Request::new(format!("{PAST}/{}", since.unix_timestamp()));
        let (mut found, mut params) = (Vec::new(), kube::api::ListParams::default().limit(PAGE));
        loop {
            let request = path.list(&params).map_err(|error| MailboxError::Setup(error.to_string()))?;
            let page = self.within(self.client.request::<kube::api::ObjectList<CertificateSigningRequest>>(request));
            let page = match page {
                Ok(page) => page,
                // Kubernetes's API server has no such path, and grants no right to it.
                Err(MailboxError::Gone(_) | MailboxError::Refused { code: 403, .. }) => return self.list(),
                Err(error) => return Err(error),
            };
            found.extend(page.items.iter().filter_map(|object| arrived(object, None)));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    /// Returns one request.
    ///
    /// # Errors
    /// Returns an error if it does not exist, is for another signer, or the API does not answer.
    pub fn get(&self, name: &str) -> Result<EnrolmentRequest, MailboxError> {
        let object = self.within(self.requests.get(name)).map_err(|error| error.about(name))?;
        readable(&self.known, object)
    }

    /// Adds the annotations of `ruling` to a request, and no condition.
    ///
    /// # Errors
    /// Returns an error if the request is decided or gone, or the API does not answer.
    pub fn annotate(&self, request: &EnrolmentRequest, ruling: Ruling) -> Written {
        let mut written = self.write_all(vec![(request.clone(), Write::Annotate(ruling))]);
        written.pop().unwrap_or_else(|| Err(MailboxError::Gone(request.name.clone())))
    }

    fn within<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, MailboxError> {
        let limited = async { tokio::time::timeout(CALL, call).await };
        match self.runtime.block_on(limited) {
            Ok(result) => result.map_err(|error| explain(&error, &self.name)),
            Err(_) => Err(too_slow(&self.name)),
        }
    }

    /// Writes all changes, concurrently. The results are in the order of `work`.
    fn write_all(&self, work: Vec<(EnrolmentRequest, Write)>) -> Vec<Written> {
        let gate = Arc::new(Semaphore::new(WRITES));
        let count = work.len();
        self.runtime.block_on(async {
            let mut running = JoinSet::new();
            for (at, (request, change)) in work.into_iter().enumerate() {
                let (api, gate, server) = (self.requests.clone(), Arc::clone(&gate), self.name.clone());
                let known = Arc::clone(&self.known);
                running.spawn(async move {
                    let _turn = gate.acquire().await;
                    let limited = tokio::time::timeout(CALL, write(&api, &known, &request, &change, &server)).await;
                    (at, limited.unwrap_or_else(|_| Err(too_slow(&server))))
                });
            }
            let mut results: Vec<Option<Written>> = (0..count).map(|_| None).collect();
            while let Some(done) = running.join_next().await {
                if let Ok((at, result)) = done
                    && let Some(place) = results.get_mut(at)
                {
                    *place = Some(result);
                }
            }
            let lost = || Err(MailboxError::Setup("a write was aborted".to_owned()));
            results.into_iter().map(|result| result.unwrap_or_else(lost)).collect()
        })
    }

    /// Reads what is new in objects, on all cores, because a signature is verified for each.
    fn contents(&self, events: &[Event]) -> Vec<Option<RequestContent>> {
        let objects = events.iter().flat_map(|event| match event {
            Event::All(objects) => objects.as_slice(),
            Event::One(object) => std::slice::from_ref(&**object),
            Event::Gone(_) | Event::Failed(_) => &[],
        });
        let objects: Vec<&CertificateSigningRequest> = objects.collect();
        objects.into_par_iter().map(|object| self.known.new_content(object)).collect()
    }

    fn leases(&self, terms: &LeaseTerms) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &terms.namespace)
    }
}

/// Writes to one request, based on the object as it was last seen. After a conflict the object is read again.
async fn write(
    api: &Api<CertificateSigningRequest>,
    known: &Known,
    request: &EnrolmentRequest,
    change: &Write,
    server: &str,
) -> Written {
    let mut seen = known.object(request);
    for _ in 0..TRIES {
        let was_read = seen.is_none();
        let object = match seen.take() {
            Some(object) => object,
            None => api.get(&request.name).await.map_err(|error| explain(&error, server).about(&request.name))?,
        };
        let (subresource, changed) = match changed(object, request, change) {
            Ok((Some(subresource), changed)) => (subresource, changed),
            Ok((None, object)) => return readable(known, object),
            // The object that was seen may be outdated.
            Err(_) if !was_read => continue,
            Err(error) => return Err(error),
        };
        match api.replace_subresource(subresource, &request.name, &PostParams::default(), &changed).await {
            Ok(object) => return readable(known, object),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(explain(&error, server).about(&request.name)),
        }
    }
    Err(MailboxError::Conflict(request.name.clone()))
}

/// Returns true for a request that is issued or has failed. Nothing is done about it, so that it is not read.
fn is_over(object: &CertificateSigningRequest) -> bool {
    matches!(convert::state(object), State::Issued | State::Failed)
}

/// Returns the changed object and the subresource to write it to; `None` if it has this certificate already.
fn changed(
    mut object: CertificateSigningRequest,
    request: &EnrolmentRequest,
    change: &Write,
) -> Result<(Option<&'static str>, CertificateSigningRequest), MailboxError> {
    if object.metadata.uid.as_deref() != Some(request.uid.as_str()) || !convert::is_same(&object, &request.content) {
        return Err(MailboxError::Gone(request.name.clone()));
    }
    let state = convert::state(&object);
    let conflict = || Err(MailboxError::Conflict(request.name.clone()));
    match change {
        Write::Rule(ruling) => {
            let (expected, subresource) = match ruling.kind {
                super::RulingKind::Failed => (State::Approved, "status"),
                super::RulingKind::Approved | super::RulingKind::Denied => (State::Pending, "approval"),
            };
            if state != expected {
                return conflict();
            }
            rule(&mut object, ruling, Timestamp::now());
            Ok((Some(subresource), object))
        }
        Write::Annotate(ruling) => {
            annotate(&mut object, &ruling.annotations);
            Ok((Some("approval"), object))
        }
        Write::Certificate(pem) if state == State::Approved => {
            object.status.get_or_insert_default().certificate = Some(ByteString(pem.clone().into_bytes()));
            Ok((Some("status"), object))
        }
        Write::Certificate(pem) if certificate_of(&object) == pem.as_bytes() => Ok((None, object)),
        Write::Certificate(_) => conflict(),
    }
}

fn certificate_of(object: &CertificateSigningRequest) -> &[u8] {
    let certificate = object.status.as_ref().and_then(|status| status.certificate.as_ref());
    certificate.map(|certificate| certificate.0.as_slice()).unwrap_or_default()
}

fn readable(known: &Known, object: CertificateSigningRequest) -> Written {
    let read = known.arrived(&object);
    request_of(read, &object)
}

fn request_of(arrived: Option<Arrived>, object: &CertificateSigningRequest) -> Written {
    match arrived {
        Some(Arrived::Request(request)) => Ok(*request),
        Some(Arrived::Unreadable { name, reason }) => {
            Err(MailboxError::Unreadable { name, reason: reason.to_string() })
        }
        None => Err(MailboxError::Unreadable {
            name: sanitized(object.metadata.name.as_deref().unwrap_or_default()),
            reason: "it is for another signer".to_owned(),
        }),
    }
}

fn too_slow(server: &str) -> MailboxError {
    MailboxError::Unreachable { server: server.to_owned(), reason: format!("no answer in {} s", CALL.as_secs()) }
}

fn explain(error: &kube::Error, server: &str) -> MailboxError {
    let server = server.to_owned();
    match error {
        kube::Error::Api(status) if status.code == 404 => MailboxError::Gone(sanitized(&status.message)),
        kube::Error::Api(status) => {
            MailboxError::Refused { server, code: status.code, message: sanitized(&status.message) }
        }
        other => MailboxError::Unreachable { server, reason: reasons::of(other) },
    }
}

impl Mailbox for ApiMailbox {
    fn name(&self) -> &str {
        &self.name
    }

    fn changes(&self, wait: Duration) -> Result<Vec<Change>, MailboxError> {
        let events = self.watch.next(wait, &self.runtime, &self.requests, explain, &self.name)?;
        let mut contents = self.contents(&events).into_iter();
        let mut change = |event| match event {
            Event::All(objects) => {
                self.known.forget(None);
                let mut read = |object| self.known.arrived_with(object, contents.next().flatten());
                let open = objects.iter().filter_map(|object| read(object).filter(|_| !is_over(object)));
                Some(Change::All(open.collect()))
            }
            Event::One(object) => {
                let content = contents.next().flatten();
                if is_over(&object) {
                    let name = object.metadata.name.unwrap_or_default();
                    self.known.forget(Some(&name));
                    return Some(Change::Gone(name));
                }
                self.known.arrived_with(&object, content).map(Change::One)
            }
            Event::Gone(name) => {
                self.known.forget(Some(&name));
                Some(Change::Gone(name))
            }
            Event::Failed(_) => None,
        };
        Ok(events.into_iter().filter_map(&mut change).collect())
    }

    fn rule(&self, rulings: &[(EnrolmentRequest, Ruling)]) -> Vec<Written> {
        let work = rulings.iter().map(|(request, ruling)| (request.clone(), Write::Rule(ruling.clone())));
        self.write_all(work.collect())
    }

    fn deliver(&self, certificates: &[(EnrolmentRequest, String)]) -> Vec<Written> {
        let work = certificates.iter().map(|(request, pem)| (request.clone(), Write::Certificate(pem.clone())));
        self.write_all(work.collect())
    }

    fn hold_lease(&self, terms: &LeaseTerms) -> Result<bool, MailboxError> {
        let api = self.leases(terms);
        let params = PostParams::default();
        let now = MicroTime(Timestamp::now());
        let written = match self.within(api.get_opt(&terms.name))? {
            Some(found) if self.lease.is_held_by_another(&found, terms) => return Ok(false),
            Some(found) => self.within(api.replace(&terms.name, &params, &taken(Some(&found), terms, now))),
            None => self.within(api.create(&params, &taken(None, terms, now))),
        };
        match written {
            Ok(_) => Ok(true),
            // Another process was faster.
            Err(MailboxError::Refused { code: 409, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn release_lease(&self, terms: &LeaseTerms) -> Result<(), MailboxError> {
        let api = self.leases(terms);
        match self.within(api.get_opt(&terms.name))? {
            Some(found)
                if found
                    .spec
                    .as_ref()
                    .is_some_and(|spec| spec.holder_identity.as_deref() == Some(terms.holder.as_str())) =>
            {
                self.within(api.replace(&terms.name, &PostParams::default(), &released(&found))).map(|_| ())
            }
            _ => Ok(()),
        }
    }
}
