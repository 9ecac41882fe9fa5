//! HTTP over an established TLS connection, with bounded headers, bodies and time. Never follows redirects, and makes
//! no decisions.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper::{Method, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use super::dialer::millis;
use super::error::outcome;
use super::observation::{Access, AccessDecision, Answer, HEADER_USER, Outcome, Request};
use super::redact::kept;
use super::writes::{MERGE_PATCH, METADATA_ALONE};

/// The maximum size of headers, in bytes.
const HEADERS: usize = 64 * 1024;
/// The flow-control window of a response's body, in bytes.
const WINDOW: u32 = 64 * 1024;
/// The maximum size of a refusal, in bytes: the user may be named at a page's end.
const REFUSAL: usize = 16 * 1024;
/// The maximum size of a review, in bytes: it repeats the request twice.
const REVIEW_LIMIT: usize = 16 * 1024;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const SUBJECT_REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const JSON: &str = "application/json";
const USER_AGENT: &str = concat!("clusterctl/", env!("CARGO_PKG_VERSION"));

/// An open connection, which is closed on drop.
pub(super) struct HttpConnection {
    sender: Sender,
    authority: String,
    /// The tasks that transfer the bytes; they end on drop.
    _tasks: ConnectionTasks,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// The tasks of a connection.
#[derive(Clone, Default)]
struct ConnectionTasks(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for ConnectionTasks {
    fn execute(&self, future: F) {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        set.spawn(async move { drop(future.await) });
    }
}

/// A request, ready to be sent.
#[derive(Clone)]
pub(super) struct HttpRequest {
    method: Method,
    path: String,
    accept: &'static str,
    content_type: &'static str,
    /// The user in a front proxy's header.
    remote_user: Option<&'static str>,
    body: Bytes,
}

impl HttpRequest {
    fn get(path: impl Into<String>) -> Self {
        let path = path.into();
        Self { method: Method::GET, path, accept: "*/*", content_type: JSON, remote_user: None, body: Bytes::new() }
    }

    /// Returns the HTTP request that is the same for every client.
    pub(super) fn of(request: Request) -> Self {
        match request {
            Request::Pods => Self::get("/pods"),
            Request::Nodes => Self::get("/api/v1/nodes"),
            Request::WhoAmI => Self {
                method: Method::POST,
                path: "/apis/authentication.k8s.io/v1/selfsubjectreviews".to_owned(),
                accept: JSON,
                content_type: JSON,
                remote_user: None,
                body: Bytes::from_static(br#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#),
            },
            Request::WhoAmIByHeader => Self { remote_user: Some(HEADER_USER), ..Self::of(Request::WhoAmI) },
            Request::Configz => Self::get("/configz"),
            Request::Flagz => Self { accept: "text/plain", ..Self::get("/flagz") },
            Request::Livez => Self::get("/livez?verbose"),
            Request::Readyz => Self::get("/readyz?verbose"),
            // Writes name a node: see `HttpRequest::write`.
            Request::DryRunNode | Request::DryRunTaint => Self::get("/api/v1/nodes"),
            Request::DryRunOwnPod | Request::DryRunOtherPod => Self::get("/api/v1/namespaces/kube-system/pods"),
            Request::RunningPods => Self::get("/runningpods/"),
            Request::StatsSummary => Self::get("/stats/summary"),
            Request::Metrics => Self::get("/metrics"),
            Request::Secrets => Self::get("/api/v1/secrets?limit=1"),
            Request::AllPods => Self::get("/api/v1/pods?limit=1"),
            // Its body names the subject: see `HttpRequest::review`.
            Request::DenialReview => Self::get(SUBJECT_REVIEWS),
            Request::TokenKeys => Self::get("/openid/v1/jwks"),
            Request::EtcdHealth => Self::get("/health"),
            Request::EtcdVersion => Self::get("/version"),
        }
    }

    /// Returns a SubjectAccessReview.
    pub(super) fn review(body: &Value) -> Self {
        let (path, body) = (SUBJECT_REVIEWS.to_owned(), body.to_string().into());
        Self { method: Method::POST, path, accept: JSON, content_type: JSON, remote_user: None, body }
    }

    /// Returns a dry-run write: a patch of a node, or a new pod.
    pub(super) fn write(request: Request, path: String, body: &Value) -> Self {
        let patch = matches!(request, Request::DryRunNode | Request::DryRunTaint);
        let (method, content_type) = if patch { (Method::PATCH, MERGE_PATCH) } else { (Method::POST, JSON) };
        let body = body.to_string().into();
        Self { method, path, accept: METADATA_ALONE, content_type, remote_user: None, body }
    }
}

/// Returns the name of a version of HTTP (RFC 9110 § 2.5); hyper only has a `Debug` form.
pub(super) fn name_of(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "another version of HTTP",
    }
}

/// A response before it is evaluated.
struct HttpResponse {
    status: StatusCode,
    version: Version,
    content_type: Option<String>,
    body: Vec<u8>,
    truncated: bool,
}

impl HttpConnection {
    /// Starts HTTP on a stream: HTTP/2 if ALPN selects it, or HTTP/1.1.
    pub(super) async fn begin(stream: TlsStream<TcpStream>, authority: String) -> Result<Self, hyper::Error> {
        let tasks = ConnectionTasks::default();
        let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let io = TokioIo::new(stream);
        let sender = if two {
            let (sender, connection) = http2::Builder::new(tasks.clone())
                .max_header_list_size(HEADERS as u32)
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(4 * WINDOW)
                .handshake(io)
                .await?;
            tasks.execute(connection);
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1::Builder::new().max_buf_size(HEADERS).handshake(io).await?;
            tasks.execute(connection);
            Sender::Http1(sender)
        };
        Ok(Self { sender, authority, _tasks: tasks })
    }

    /// Makes a request.
    pub(super) async fn ask(&mut self, request: Request, question: HttpRequest, deadline: Instant) -> Outcome {
        match self.send(question, request.body_limit(), deadline).await {
            Ok(said) => Outcome::Answer(Answer {
                status: said.status.as_u16(),
                version: name_of(said.version).into(),
                content_type: said.content_type.map(Into::into),
                body: kept(request, said.status.as_u16(), &String::from_utf8_lossy(&said.body)).into(),
                truncated: said.truncated,
            }),
            Err(outcome) => outcome,
        }
    }

    /// Returns true if another request can be made while one is pending, as in HTTP/2.
    pub(super) fn is_multiplexed(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Requests the client's rights one after the other, each within `limit`, as far as this connection permits: a
    /// server may close it after any response, and an HTTP/1.1 connection with a pending response takes no other
    /// request.
    pub(super) async fn decisions(
        &mut self,
        reviews: &[(Access, String)],
        limit: Duration,
    ) -> Vec<(Access, AccessDecision)> {
        let mut decisions = Vec::with_capacity(reviews.len());
        for (access, review) in reviews {
            let body = review.clone().into();
            let question = HttpRequest { path: REVIEWS.to_owned(), body, ..HttpRequest::of(Request::WhoAmI) };
            let said = self.send(question, REVIEW_LIMIT, Instant::now() + limit).await;
            let stuck = matches!(said, Err(Outcome::TimedOut(_))) && !self.is_multiplexed();
            let decision = match said {
                Ok(said) => decision_of(&said),
                Err(Outcome::TimedOut(_)) => AccessDecision::late(),
                Err(Outcome::Alert(alert)) => AccessDecision::Unclear(format!("the TLS alert {alert}")),
                Err(Outcome::Failed(reason)) => AccessDecision::Unclear(reason),
                Err(_) => break,
            };
            decisions.push((*access, decision));
            if stuck {
                break;
            }
        }
        decisions
    }

    async fn send(&mut self, question: HttpRequest, limit: usize, deadline: Instant) -> Result<HttpResponse, Outcome> {
        let began = Instant::now();
        let late = || Outcome::TimedOut(millis(deadline - began));
        let written = !question.body.is_empty();
        let mut request = hyper::Request::new(Full::new(question.body));
        *request.method_mut() = question.method;
        let two = matches!(self.sender, Sender::Http2(_));
        let target = if two { format!("https://{}{}", self.authority, question.path) } else { question.path };
        let unusable = |what: &str| Outcome::Failed(format!("{what} cannot be in an HTTP request"));
        *request.uri_mut() = target.parse().map_err(|_| unusable(&target))?;
        let headers = request.headers_mut();
        let mut set = |name: &'static str, value: &str| -> Result<(), Outcome> {
            headers.insert(name, value.parse().map_err(|_| unusable(value))?);
            Ok(())
        };
        set("user-agent", USER_AGENT)?;
        set("accept", question.accept)?;
        if let Some(user) = question.remote_user {
            set("x-remote-user", user)?;
        }
        if written {
            set("content-type", question.content_type)?;
        }
        if !two {
            set("host", &self.authority)?;
        }
        let sending: Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>> = match &mut self.sender {
            Sender::Http1(sender) => {
                if !matches!(timeout_at(deadline, sender.ready()).await, Ok(Ok(()))) {
                    return Err(Outcome::Closed);
                }
                Box::pin(sender.send_request(request))
            }
            Sender::Http2(sender) => Box::pin(sender.send_request(request)),
        };
        let response = match timeout_at(deadline, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(outcome(&error)),
            Err(_) => return Err(late()),
        };
        let content_type = response.headers().get("content-type");
        let content_type = content_type.map(|v| String::from_utf8_lossy(v.as_bytes()).chars().take(128).collect());
        let mut said = HttpResponse {
            status: response.status(),
            version: response.version(),
            content_type,
            body: Vec::new(),
            truncated: true,
        };
        let limit = if said.status.is_success() { limit } else { limit.max(REFUSAL) };
        let mut incoming = response.into_body();
        // A status is a response, even if its body never ends or is cut off.
        while let Ok(frame) = timeout_at(deadline, incoming.frame()).await {
            let Some(frame) = frame else {
                said.truncated = false;
                break;
            };
            let Ok(frame) = frame else { break };
            let Ok(data) = frame.into_data() else { continue };
            let room = limit - said.body.len();
            said.body.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                break;
            }
        }
        Ok(said)
    }
}

/// Returns the decision of a SelfSubjectAccessReview.
fn decision_of(said: &HttpResponse) -> AccessDecision {
    let body: Option<Value> = serde_json::from_slice(&said.body).ok();
    let review = body.filter(|body| body.get("kind").and_then(Value::as_str) == Some("SelfSubjectAccessReview"));
    let status = review.as_ref().and_then(|review| review.get("status")).filter(|_| said.status.is_success());
    let truth = |key: &str| status.and_then(|status| status.get(key)?.as_bool());
    let Some(allowed) = truth("allowed") else {
        return AccessDecision::Unclear(format!("{} without a review", said.status.as_u16()));
    };
    if allowed && truth("denied") == Some(true) {
        return AccessDecision::Contradictory;
    }
    // A denial is final even with an error: clusterctl's authorizers deny by an error.
    if truth("denied") == Some(true) {
        return AccessDecision::Denied;
    }
    // An authorizer failed: the decision may differ once it works.
    let failed = status.and_then(|status| status.get("evaluationError")?.as_str()).filter(|error| !error.is_empty());
    match (failed, allowed) {
        (Some(error), _) => AccessDecision::of_a_failed_authorizer(allowed, error),
        (None, true) => AccessDecision::Allowed,
        (None, false) => AccessDecision::Denied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruled(status: u16, body: &str) -> AccessDecision {
        let said = HttpResponse {
            status: StatusCode::from_u16(status).expect("a status"),
            version: Version::HTTP_2,
            content_type: None,
            body: body.as_bytes().to_vec(),
            truncated: false,
        };
        decision_of(&said)
    }

    #[test]
    fn a_review_counts_only_if_complete_and_consistent() {
        let review = |status: &str| format!(r#"{{"kind":"SelfSubjectAccessReview","status":{status}}}"#);
        assert_eq!(ruled(201, &review(r#"{"allowed":true}"#)), AccessDecision::Allowed);
        assert_eq!(ruled(201, &review(r#"{"allowed":false,"denied":true}"#)), AccessDecision::Denied);
        assert_eq!(ruled(201, &review(r#"{"allowed":true,"denied":true}"#)), AccessDecision::Contradictory);
        assert_eq!(ruled(201, &review(r#"{"allowed":true,"evaluationError":""}"#)), AccessDecision::Allowed);
        let by_an_error = review(r#"{"allowed":false,"denied":true,"evaluationError":"no such key"}"#);
        assert_eq!(ruled(201, &by_an_error), AccessDecision::Denied);
        for allowed in [true, false] {
            let failed =
                ruled(201, &review(&format!(r#"{{"allowed":{allowed},"evaluationError":"webhook is down"}}"#)));
            assert!(matches!(&failed, AccessDecision::Unclear(why) if why.contains("webhook is down")), "{failed:?}");
        }
        for other in [ruled(500, &review(r#"{"allowed":true}"#)), ruled(201, &review("{}")), ruled(201, "{}")] {
            assert!(matches!(other, AccessDecision::Unclear(_)), "{other:?}");
        }
    }
}
