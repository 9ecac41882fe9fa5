//! The client of `certificates.k8s.io/v1` on a host: sends requests, and reads their state.

use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use serde_json::json;

use super::discover::REQUEST_LIMIT;
use super::error::{JoinError, Why};
use super::options::Waiting;
use crate::cluster::endpoint::Endpoint;
use crate::cluster::name::HostName;
use crate::https::{Answer, Client, ClientCertificate, ClientOptions, HttpsError, Request, Trust};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::pem::{self, Item};
use crate::pki::request::CertificateRequest;
use crate::sanitize::sanitized;

/// The path of all requests.
pub(super) const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/// The largest response about one request, in bytes.
pub(super) const MAX_ANSWER: usize = 256 * 1024;
/// The largest archive of a bundle, in bytes.
const MAX_BUNDLE: usize = 16 << 20;

/// A request to send.
#[derive(Debug, Clone)]
pub(super) struct NewRequest {
    /// `metadata.name`
    pub(super) name: String,
    /// `spec.signerName`
    pub(super) signer: &'static str,
    /// The second of `spec.usages`; the first is `digital signature`.
    pub(super) usage: &'static str,
    /// DER of the CSR.
    pub(super) csr: Vec<u8>,
    /// The CSR as PEM, then its evidence.
    pub(super) text: String,
}

/// The state of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RequestState {
    /// Not decided, or approved and without a certificate yet.
    Pending,
    /// The certificate and the intermediates above it, PEM.
    Issued(Vec<u8>),
    /// Denied, or refused by the signer.
    Denied { reason: String, message: String },
    /// There is no such request.
    Missing,
}

/// The reason why an endpoint gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// Trying again may help, `after` this time at the earliest.
    Later { why: Why, reason: String, after: Option<Duration> },
    /// Trying again does not help.
    Final(JoinError),
}

impl From<JoinError> for NoAnswer {
    fn from(error: JoinError) -> Self {
        Self::Final(error)
    }
}

/// One enrolment endpoint.
#[derive(Debug)]
pub(super) struct Enrolment {
    pub(super) client: Client,
    pub(super) waiting: Waiting,
    pub(super) endpoint: Endpoint,
}

impl Enrolment {
    /// Returns the client of an endpoint, which has to prove its name under one of `roots`.
    pub(super) fn new(
        endpoint: &Endpoint,
        roots: &[Certificate],
        certificate: Option<ClientCertificate<'_>>,
        waiting: &Waiting,
    ) -> Result<Self, JoinError> {
        let options =
            ClientOptions { trust: Trust::Roots(roots), certificate, now: waiting.now(), limit: REQUEST_LIMIT };
        let client = Client::new(&options).map_err(JoinError::Https)?;
        Ok(Self { client, waiting: waiting.clone(), endpoint: endpoint.clone() })
    }

    /// Sends a request. An existing one of the same name, key, subject and signer counts as sent (Kubernetes
    /// `client-go/util/certificate/csr`, `RequestCertificate`). Returns true if it existed.
    pub(super) fn create(&self, request: &NewRequest) -> Result<bool, NoAnswer> {
        let body = json!({
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": request.name},
            "spec": {
                "request": Base64::encode_string(request.text.as_bytes()),
                "signerName": request.signer,
                "usages": ["digital signature", request.usage],
            },
        });
        let body = body.to_string();
        let url = format!("{}{REQUESTS}", self.endpoint);
        let sent = Request {
            method: "POST",
            url: &url,
            body: Some(("application/json", body.as_bytes())),
            headers: &[],
            limit: MAX_ANSWER,
        };
        let answer = self.send(&sent)?;
        match answer.status {
            200..=299 => Ok(false),
            409 => self.check_same(request).map(|()| true),
            _ => Err(self.refused(&answer, &request.name)),
        }
    }

    /// Checks that the existing request of this name is for the same key, subject and signer.
    fn check_same(&self, request: &NewRequest) -> Result<(), NoAnswer> {
        let object = self.object(&request.name)?.ok_or_else(|| NoAnswer::Later {
            why: Why::Busy,
            reason: "the request of this name was removed meanwhile".to_owned(),
            after: None,
        })?;
        let text = Base64::decode_vec(&object.spec.request).unwrap_or_default();
        let theirs = pem::read_all(&text).ok().and_then(|items| match items.into_iter().next() {
            Some(Item::Csr(der)) => CertificateRequest::from_der(&der).ok(),
            _ => None,
        });
        let ours = CertificateRequest::from_der(&request.csr).ok();
        let is_same = match (ours, theirs) {
            (Some(ours), Some(theirs)) => ours.spki == theirs.spki && ours.subject == theirs.subject,
            _ => false,
        };
        if is_same && object.spec.signer_name == request.signer {
            return Ok(());
        }
        Err(JoinError::NameTaken(request.name.clone()).into())
    }

    /// Returns the state of a request.
    pub(super) fn state(&self, name: &str) -> Result<RequestState, NoAnswer> {
        let Some(object) = self.object(name)? else { return Ok(RequestState::Missing) };
        let has = |kinds: &[&str]| {
            let conditions = object.status.conditions.iter();
            conditions.filter(|one| one.status != "False").find(|one| kinds.contains(&one.kind.as_str()))
        };
        if let Some(condition) = has(&["Denied", "Failed"]) {
            let (reason, message) = (sanitized(&condition.reason), sanitized(&condition.message));
            return Ok(RequestState::Denied { reason, message });
        }
        match &object.status.certificate {
            Some(certificate) if has(&["Approved"]).is_some() => match Base64::decode_vec(certificate) {
                Ok(pem) if !pem.is_empty() => Ok(RequestState::Issued(pem)),
                Ok(_) => Ok(RequestState::Pending),
                Err(_) => Err(self.not_an_answer(name).into()),
            },
            _ => Ok(RequestState::Pending),
        }
    }

    fn object(&self, name: &str) -> Result<Option<Object>, NoAnswer> {
        let url = format!("{}{REQUESTS}/{name}", self.endpoint);
        let answer = self.send(&Request::get(&url, MAX_ANSWER))?;
        match answer.status {
            200 => match serde_json::from_slice::<Object>(&answer.body) {
                Ok(object) if object.metadata.name == name => Ok(Some(object)),
                _ => Err(self.not_an_answer(name).into()),
            },
            404 => Ok(None),
            _ => Err(self.refused(&answer, name)),
        }
    }

    /// Returns the archive of a host's bundle.
    pub(super) fn bundle(&self, host: &HostName) -> Result<Vec<u8>, NoAnswer> {
        let url = format!("{}/clusterctl/v1/bundles/{host}", self.endpoint);
        let answer = self.send(&Request::get(&url, MAX_BUNDLE))?;
        match answer.status {
            200 => Ok(answer.body),
            404 => Err(NoAnswer::Later { why: Why::Busy, reason: answer.message(), after: None }),
            _ => Err(self.refused(&answer, host.as_str())),
        }
    }

    /// Sends an HTTP request. Its time limit is the rest of the wait, but at least a second, for the last attempt.
    fn send(&self, request: &Request<'_>) -> Result<Answer, NoAnswer> {
        self.client.send_within(request, self.waiting.left()).map_err(later)
    }

    fn refused(&self, answer: &Answer, name: &str) -> NoAnswer {
        match answer.status {
            429 | 500..=599 => {
                let reason = format!("HTTP {}: {}", answer.status, answer.message());
                let after = answer.retry_after.map(|seconds| Duration::from_secs(seconds.min(300)));
                NoAnswer::Later { why: Why::Busy, reason, after }
            }
            status => {
                NoAnswer::Final(JoinError::NotAccepted { name: name.to_owned(), status, message: answer.message() })
            }
        }
    }

    fn not_an_answer(&self, name: &str) -> JoinError {
        JoinError::NotAnAnswer { endpoint: self.endpoint.clone(), name: name.to_owned() }
    }
}

fn later(error: HttpsError) -> NoAnswer {
    match error {
        HttpsError::Setup(_) => NoAnswer::Final(JoinError::Https(error)),
        error => {
            let why = if matches!(error, HttpsError::NotInDate { .. }) { Why::Clock } else { Why::Unreachable };
            NoAnswer::Later { why, reason: error.to_string(), after: None }
        }
    }
}

/// Returns the name of the request for a key. It is the same in each run, so that the request is only created once.
///
/// A renewal keeps the key, so its name also has the fingerprint of the `present` certificate, which it replaces.
#[must_use]
pub(super) fn request_name(host: &HostName, what: &str, key: Fingerprint, present: Option<Fingerprint>) -> String {
    let key = key.to_string();
    let mut name = format!("clusterctl-{host}-{what}-{}", &key[..16]);
    if let Some(present) = present {
        name.push_str(&format!("-{}", &present.to_string()[..8]));
    }
    name
}

/// The fields of a CertificateSigningRequest that are read.
#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    request: String,
    signer_name: String,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
    certificate: Option<String>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_for_the_same_key() {
        let host = HostName::parse("node-1").expect("a name");
        let (key, present) = (Fingerprint::of(b"abc"), Fingerprint::of(b"certificate"));
        assert_eq!(request_name(&host, "client", key, None), "clusterctl-node-1-client-ba7816bf8f01cfea");
        let renewed = request_name(&host, "client", key, Some(present));
        assert!(renewed.starts_with("clusterctl-node-1-client-ba7816bf8f01cfea-"));
        assert_eq!(renewed.len(), "clusterctl-node-1-client-ba7816bf8f01cfea-".len() + 8);
    }
}
