//! Requests and answers, by reqwest.

use std::error::Error as StdError;
use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{Method, retry};
use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use time::OffsetDateTime;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::trust::{self, ClientCertificate, Trust};
use crate::cluster::duration::stamp;
use crate::sanitize::sanitized;

/// The interval at which a request to stop is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// The maximum size of headers, in bytes.
const HEADERS: u32 = 64 * 1024;

/// The options of a client.
#[derive(Clone, Copy)]
pub struct ClientOptions<'a> {
    /// What servers have to prove.
    pub trust: Trust<'a>,
    /// The certificate that is presented.
    pub certificate: Option<ClientCertificate<'a>>,
    /// The time at which certificates are judged.
    pub now: OffsetDateTime,
    /// The time limit of a connection, and of a whole request.
    pub limit: Duration,
}

/// Errors of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpsError {
    /// The client cannot be set up.
    #[error("there is no HTTPS client: {0}")]
    Setup(String),
    /// No connection, or it ended early.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// The URL.
        url: String,
        /// The reason.
        reason: String,
    },
    /// The server did not prove to be the right one.
    #[error("{url} is not trusted: {reason}")]
    Untrusted {
        /// The URL.
        url: String,
        /// The reason.
        reason: String,
    },
    /// The server has a valid certificate for other names.
    #[error("{url} is not trusted: {reason}")]
    OtherName {
        /// The URL.
        url: String,
        /// The reason.
        reason: String,
    },
    /// The server's certificate is not valid at the time of this machine.
    #[error("{}", not_in_date(url, *bound, *is_early, *now))]
    NotInDate {
        /// The URL.
        url: String,
        /// The end of its validity, or the beginning.
        bound: OffsetDateTime,
        /// Whether its validity begins later.
        is_early: bool,
        /// The time of this machine.
        now: OffsetDateTime,
    },
    /// The answer did not end in time.
    #[error("{url} did not answer within {} seconds", .limit.as_secs())]
    TimedOut {
        /// The URL.
        url: String,
        /// The limit.
        limit: Duration,
    },
    /// The answer is too large.
    #[error("the answer of {url} is larger than {limit} bytes")]
    TooLarge {
        /// The URL.
        url: String,
        /// The limit.
        limit: usize,
    },
}

fn not_in_date(url: &str, bound: OffsetDateTime, is_early: bool, now: OffsetDateTime) -> String {
    let what = if is_early { "is valid only from" } else { "expired at" };
    format!("the certificate of {url} {what} {}, and it is {} here", stamp(bound), stamp(now))
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `POST` or `PUT`.
    pub method: &'a str,
    /// The URL.
    pub url: &'a str,
    /// The body, and its type.
    pub body: Option<(&'a str, &'a [u8])>,
    /// Further headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// The largest answer, in bytes.
    pub limit: usize,
}

impl<'a> Request<'a> {
    /// Returns a request that gets a JSON document.
    #[must_use]
    pub fn get(url: &'a str, limit: usize) -> Self {
        Self { method: "GET", url, body: None, headers: &[], limit }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The seconds of `Retry-After`.
    pub retry_after: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns true for a status of success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the message of a Kubernetes Status, else the beginning of the body, safe to show.
    #[must_use]
    pub fn message(&self) -> String {
        let status: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let message = status.as_ref().and_then(|status| status.get("message")?.as_str());
        match message {
            Some(message) => sanitized(message),
            None => sanitized(&String::from_utf8_lossy(&self.body[..self.body.len().min(200)])),
        }
    }
}

/// A client. Its connections are kept open between requests.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    client: reqwest::Client,
    limit: Duration,
}

impl Client {
    /// Returns a client.
    ///
    /// # Errors
    /// Returns [`HttpsError::Setup`] if a root or the certificate cannot be used, or the system has no resources.
    pub fn new(options: &ClientOptions<'_>) -> Result<Self, HttpsError> {
        let config = trust::config(options.trust, options.certificate, options.now).map_err(HttpsError::Setup)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| HttpsError::Setup(error.to_string()))?;
        let client = reqwest::Client::builder()
            .use_preconfigured_tls(config)
            .https_only(true)
            .no_proxy()
            .redirect(Policy::none())
            .retry(retry::never())
            .connect_timeout(options.limit)
            .timeout(options.limit)
            .http2_max_header_list_size(HEADERS)
            .user_agent(concat!("clusterctl/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| HttpsError::Setup(error.to_string()))?;
        Ok(Self { runtime, client, limit: options.limit })
    }

    /// Sends a request, and returns the answer, whatever its status.
    ///
    /// # Errors
    /// Returns an error if there is no complete answer.
    pub fn send(&self, request: &Request<'_>) -> Result<Answer, HttpsError> {
        self.send_within(request, self.limit)
    }

    /// Like [`Self::send`], with another time limit, which may be shorter than the client's.
    ///
    /// # Errors
    /// Returns the errors of [`Self::send`].
    pub fn send_within(&self, request: &Request<'_>, limit: Duration) -> Result<Answer, HttpsError> {
        self.runtime.block_on(self.exchange(request, limit.min(self.limit)))
    }

    /// Sends a request whose answer is lines that arrive one after the other, and passes each to `each`, until that returns
    /// true, the answer ends, the time is over, or `stop` returns true. Returns the status.
    ///
    /// # Errors
    /// Returns an error if there is no answer, or a line is larger than the request's limit.
    pub fn follow(
        &self,
        request: &Request<'_>,
        limit: Duration,
        stop: &dyn Fn() -> bool,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<u16, HttpsError> {
        self.runtime.block_on(self.lines(request, limit, stop, each))
    }

    async fn lines(
        &self,
        request: &Request<'_>,
        limit: Duration,
        stop: &dyn Fn() -> bool,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<u16, HttpsError> {
        let end = Instant::now() + limit;
        let failed = |error: reqwest::Error| failed(request.url, &error, limit);
        // The limit of the whole answer is longer, so that the end of the time is no error.
        let builder = self.client.get(request.url).header("accept", "application/json").timeout(limit + self.limit);
        let Ok(sent) = timeout(self.limit.min(limit), builder.send()).await else {
            return Err(HttpsError::TimedOut { url: request.url.to_owned(), limit });
        };
        let mut response = sent.map_err(failed)?;
        let status = response.status().as_u16();
        let mut text = Vec::new();
        while response.status().is_success() && Instant::now() < end && !stop() {
            let Ok(chunk) = timeout(LOOK.min(end.saturating_duration_since(Instant::now())), response.chunk()).await
            else {
                continue;
            };
            let Some(chunk) = chunk.map_err(failed)? else { break };
            text.extend_from_slice(&chunk);
            while let Some(length) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=length).collect();
                if each(&line) {
                    return Ok(status);
                }
            }
            if text.len() > request.limit {
                return Err(HttpsError::TooLarge { url: request.url.to_owned(), limit: request.limit });
            }
        }
        Ok(status)
    }

    async fn exchange(&self, request: &Request<'_>, limit: Duration) -> Result<Answer, HttpsError> {
        let url = || request.url.to_owned();
        let method = Method::from_bytes(request.method.as_bytes());
        let method = method.map_err(|error| HttpsError::Setup(error.to_string()))?;
        let mut builder = self.client.request(method, request.url).header("accept", "application/json").timeout(limit);
        for (name, value) in request.headers {
            builder = builder.header(*name, *value);
        }
        if let Some((content_type, body)) = request.body {
            builder = builder.header("content-type", content_type).body(body.to_vec());
        }
        let failed = |error: reqwest::Error| failed(request.url, &error, limit);
        let mut response = builder.send().await.map_err(failed)?;
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > request.limit {
                return Err(HttpsError::TooLarge { url: url(), limit: request.limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: response.status().as_u16(), retry_after, body })
    }
}

fn failed(url: &str, error: &reqwest::Error, limit: Duration) -> HttpsError {
    let url = url.to_owned();
    if error.is_timeout() {
        return HttpsError::TimedOut { url, limit };
    }
    let mut reason = error.to_string();
    let mut link: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(cause) = link {
        reason = cause.to_string();
        if let Some(rustls::Error::InvalidCertificate(problem)) = of_tls(cause) {
            return of_certificate(problem, url, sanitized(&reason));
        }
        link = cause.source();
    }
    HttpsError::Unreachable { url, reason: sanitized(&reason) }
}

/// Returns the error of a server's certificate that was not accepted.
fn of_certificate(problem: &CertificateError, url: String, reason: String) -> HttpsError {
    let time = |unix: UnixTime| {
        let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    let not_in_date =
        |url, bound, is_early, now| HttpsError::NotInDate { url, bound: time(bound), is_early, now: time(now) };
    match problem {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            HttpsError::OtherName { url, reason }
        }
        CertificateError::ExpiredContext { time, not_after } => not_in_date(url, *not_after, false, *time),
        CertificateError::NotValidYetContext { time, not_before } => not_in_date(url, *not_before, true, *time),
        _ => HttpsError::Untrusted { url, reason },
    }
}

/// Returns the error of TLS in an error of the system, which may be wrapped several times.
fn of_tls<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e rustls::Error> {
    if let Some(tls) = error.downcast_ref() {
        return Some(tls);
    }
    let inner = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    of_tls(inner)
}
