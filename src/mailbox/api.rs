//! A client of the API.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::connect::{self, Connection};
use super::convert::{annotate, arrived, ruled};
use super::error::MailboxError;
use super::lease::{LeaseTerms, Observed, released, taken};
use super::watch::{Event, Watch};
use super::{Arrived, Change, Mailbox, Ruling};
use crate::enrol::request::{EnrolmentRequest, State};
use crate::sanitize::sanitized;

/// The number of writes at the same time.
const WRITES: usize = 32;
/// How long one call may take.
const CALL: Duration = Duration::from_secs(20);
/// How often an object that was changed meanwhile is read again.
const TRIES: usize = 3;

/// A client of the API at which hosts leave their requests.
pub struct ApiMailbox {
    name: String,
    requests: Api<CertificateSigningRequest>,
    client: kube::Client,
    watch: Watch,
    lease: Observed,
    // Dropped last: the client's connections live in it.
    runtime: Runtime,
}

type Written = Result<EnrolmentRequest, MailboxError>;

/// What is written to a request.
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
        Ok(found.items.iter().filter_map(arrived).collect())
    }

    /// Returns one request.
    ///
    /// # Errors
    /// Returns an error if it does not exist, is for another signer, or the API does not answer.
    pub fn get(&self, name: &str) -> Result<EnrolmentRequest, MailboxError> {
        let object = self.within(self.requests.get(name))?;
        readable(&object)
    }

    /// Adds annotations to a request, without a decision.
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

    /// Writes all, some at the same time; the results are in the order of the work.
    fn write_all(&self, work: Vec<(EnrolmentRequest, Write)>) -> Vec<Written> {
        let gate = Arc::new(Semaphore::new(WRITES));
        let count = work.len();
        self.runtime.block_on(async {
            let mut running = JoinSet::new();
            for (at, (request, change)) in work.into_iter().enumerate() {
                let (api, gate, server) = (self.requests.clone(), Arc::clone(&gate), self.name.clone());
                running.spawn(async move {
                    let _turn = gate.acquire().await;
                    let limited = tokio::time::timeout(CALL, write(&api, &request, &change, &server)).await;
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

    fn leases(&self, terms: &LeaseTerms) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &terms.namespace)
    }
}

/// Writes to one request. One that was changed meanwhile is read again.
async fn write(
    api: &Api<CertificateSigningRequest>,
    request: &EnrolmentRequest,
    change: &Write,
    server: &str,
) -> Written {
    let params = PostParams::default();
    for _ in 0..TRIES {
        let object = api.get(&request.name).await.map_err(|error| explain(&error, server))?;
        let now = readable(&object)?;
        if now.uid != request.uid || now.content.csr_digest != request.content.csr_digest {
            return Err(MailboxError::Gone(request.name.clone()));
        }
        let result = match change {
            Write::Rule(ruling) => {
                let expected = if ruling.kind == super::RulingKind::Failed { State::Approved } else { State::Pending };
                if now.state != expected {
                    return Err(MailboxError::Conflict(request.name.clone()));
                }
                let subresource = if ruling.kind == super::RulingKind::Failed { "status" } else { "approval" };
                let ruled = ruled(&object, ruling, Timestamp::now());
                api.replace_subresource(subresource, &request.name, &params, &ruled).await
            }
            Write::Annotate(ruling) => {
                let mut object = object.clone();
                annotate(&mut object, &ruling.annotations);
                api.replace_subresource("approval", &request.name, &params, &object).await
            }
            Write::Certificate(pem) => {
                if now.state != State::Approved {
                    return match now.certificate == pem.as_bytes() {
                        true => Ok(now),
                        false => Err(MailboxError::Conflict(request.name.clone())),
                    };
                }
                let mut object = object.clone();
                object.status.get_or_insert_default().certificate = Some(ByteString(pem.clone().into_bytes()));
                api.replace_subresource("status", &request.name, &params, &object).await
            }
        };
        match result {
            Ok(object) => return readable(&object),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(explain(&error, server)),
        }
    }
    Err(MailboxError::Conflict(request.name.clone()))
}

fn readable(object: &CertificateSigningRequest) -> Written {
    let name = sanitized(object.metadata.name.as_deref().unwrap_or_default());
    match arrived(object) {
        Some(Arrived::Request(request)) => Ok(*request),
        Some(Arrived::Unreadable { name, reason }) => {
            Err(MailboxError::Unreadable { name, reason: reason.to_string() })
        }
        None => Err(MailboxError::Unreadable { name, reason: "it is for another signer".to_owned() }),
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
        other => {
            let mut reason = other.to_string();
            let mut source = std::error::Error::source(other);
            while let Some(cause) = source {
                let text = cause.to_string();
                if !reason.contains(&text) {
                    reason.push_str(&format!(": {text}"));
                }
                source = cause.source();
            }
            MailboxError::Unreachable { server, reason: sanitized(&reason) }
        }
    }
}

impl Mailbox for ApiMailbox {
    fn name(&self) -> &str {
        &self.name
    }

    fn changes(&self, wait: Duration) -> Result<Vec<Change>, MailboxError> {
        let events = self.watch.next(wait, &self.runtime, &self.requests, explain, &self.name)?;
        let change = |event| match event {
            Event::All(objects) => Some(Change::All(objects.iter().filter_map(arrived).collect())),
            Event::One(object) => arrived(&object).map(Change::One),
            Event::Gone(name) => Some(Change::Gone(name)),
            Event::Failed(_) => None,
        };
        Ok(events.into_iter().filter_map(change).collect())
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
            // Another was faster.
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
