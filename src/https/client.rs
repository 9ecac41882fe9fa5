//! Requests and answers, by reqwest.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Method, retry};
use rustls::CertificateError;
use time::OffsetDateTime;
use tokio::runtime::{Builder, Runtime};

use super::trust::{self, ClientCertificate, Trust};
use crate::sanitize::sanitized;

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
        self.runtime.block_on(self.exchange(request))
    }

    async fn exchange(&self, request: &Request<'_>) -> Result<Answer, HttpsError> {
        let url = || request.url.to_owned();
        let method = Method::from_bytes(request.method.as_bytes());
        let method = method.map_err(|error| HttpsError::Setup(error.to_string()))?;
        let mut builder = self.client.request(method, request.url).header("accept", "application/json");
        for (name, value) in request.headers {
            builder = builder.header(*name, *value);
        }
        if let Some((content_type, body)) = request.body {
            builder = builder.header("content-type", content_type).body(body.to_vec());
        }
        let mut response = builder.send().await.map_err(|error| self.failed(request.url, &error))?;
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(request.url, &error))? {
            if body.len() + chunk.len() > request.limit {
                return Err(HttpsError::TooLarge { url: url(), limit: request.limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: response.status().as_u16(), retry_after, body })
    }

    fn failed(&self, url: &str, error: &reqwest::Error) -> HttpsError {
        let url = url.to_owned();
        if error.is_timeout() {
            return HttpsError::TimedOut { url, limit: self.limit };
        }
        let mut reason = error.to_string();
        let mut link: Option<&(dyn StdError + 'static)> = error.source();
        while let Some(cause) = link {
            reason = cause.to_string();
            let tls = of_tls(cause);
            if let Some(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) = tls
            {
                return HttpsError::OtherName { url, reason: sanitized(&reason) };
            }
            if let Some(rustls::Error::InvalidCertificate(_)) = tls {
                return HttpsError::Untrusted { url, reason: sanitized(&reason) };
            }
            link = cause.source();
        }
        HttpsError::Unreachable { url, reason: sanitized(&reason) }
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
