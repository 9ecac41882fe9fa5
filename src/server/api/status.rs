//! Failures as Kubernetes's `Status` objects.

use axum::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::sanitize::sanitized;
use crate::store::queue::error::Cause;
use crate::store::queue::{QueueError, Refused};

/// The resource that failures are about.
pub(in crate::server) const RESOURCE: &str = "certificatesigningrequests";
/// The API group.
pub(in crate::server) const GROUP: &str = "certificates.k8s.io";

/// A failure, as clients of Kubernetes read it.
#[derive(Debug, Clone)]
pub(in crate::server) struct Failed {
    status: StatusCode,
    reason: &'static str,
    message: String,
    name: Option<String>,
    retry_after: Option<u32>,
    causes: Vec<(String, String)>,
}

impl Failed {
    fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into(), name: None, retry_after: None, causes: Vec::new() }
    }

    pub(in crate::server) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", format!("Unauthorized: {message}"))
    }

    pub(in crate::server) fn forbidden(user: &str, verb: &str, what: &str, why: &str) -> Self {
        let message = format!("{what} is forbidden: User {user:?} cannot {verb}: {why}");
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    pub(in crate::server) fn not_found(what: &str, name: &str) -> Self {
        let message = format!("{what} \"{}\" not found", sanitized(name));
        Self { name: Some(sanitized(name)), ..Self::new(StatusCode::NOT_FOUND, "NotFound", message) }
    }

    pub(in crate::server) fn missing(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(in crate::server) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
    }

    pub(in crate::server) fn method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(in crate::server) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(in crate::server) fn too_large(limit: usize) -> Self {
        let message = format!("the body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    pub(in crate::server) fn media_type(found: &str) -> Self {
        let message = format!("the media type \"{}\" is not supported here", sanitized(found));
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    pub(in crate::server) fn invalid(name: &str, field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let text = format!("CertificateSigningRequest.{GROUP} \"{}\" is invalid: {message}", sanitized(name));
        Self {
            name: Some(sanitized(name)),
            causes: vec![(field.to_owned(), message)],
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", text)
        }
    }

    pub(in crate::server) fn gone(message: &str) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    pub(in crate::server) fn timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "Timeout", "the body did not arrive in time")
    }

    pub(in crate::server) fn too_many(message: impl Into<String>, retry_after: u32) -> Self {
        let failed = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        Self { retry_after: Some(retry_after), ..failed }
    }

    pub(in crate::server) fn unavailable(message: &str) -> Self {
        let failed = Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message);
        Self { retry_after: Some(1), ..failed }
    }

    /// Returns true if the object was changed by another client.
    pub(in crate::server) fn is_conflict(&self) -> bool {
        self.reason == "Conflict"
    }

    pub(in crate::server) fn named(mut self, name: &str) -> Self {
        self.name.get_or_insert_with(|| sanitized(name));
        self
    }

    /// Returns the object.
    pub(in crate::server) fn object(&self) -> Value {
        let mut details = json!({"group": GROUP, "kind": RESOURCE});
        if let Some(name) = &self.name {
            details["name"] = json!(name);
        }
        if let Some(seconds) = self.retry_after {
            details["retryAfterSeconds"] = json!(seconds);
        }
        if !self.causes.is_empty() {
            let cause = |(field, message): &(String, String)| json!({"reason": "FieldValueInvalid", "message": message, "field": field});
            details["causes"] = self.causes.iter().map(cause).collect();
        }
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": details,
            "code": self.status.as_u16(),
        })
    }

    /// Returns the answer.
    pub(in crate::server) fn response(&self) -> Response<Body> {
        let mut response = json_response(self.status, &self.object());
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<&QueueError> for Failed {
    fn from(error: &QueueError) -> Self {
        let refused = match error {
            // Clients must not learn the path of the database.
            QueueError::Database { cause: Cause::Full, .. } => {
                return Self { retry_after: Some(10), ..Self::unavailable("the disk of the queue is full") };
            }
            QueueError::Database { cause: Cause::Busy, .. } => return Self::unavailable("the queue is locked"),
            QueueError::Database { .. } => return Self::unavailable("the queue cannot be used"),
            QueueError::Refused(refused) => refused,
        };
        let text = refused.to_string();
        match refused {
            Refused::Exists => Self::new(StatusCode::CONFLICT, "AlreadyExists", format!("{RESOURCE}.{GROUP}: {text}")),
            Refused::Missing => Self::new(StatusCode::NOT_FOUND, "NotFound", format!("{RESOURCE}.{GROUP}: {text}")),
            Refused::Conflict => Self::new(StatusCode::CONFLICT, "Conflict", format!("{RESOURCE}.{GROUP}: {text}")),
            Refused::TooManyOfHost { .. } => Self::too_many(text, 60),
            Refused::TooManyUnknown { .. } => Self::too_many(text, 300),
            Refused::TokenUsed => Self::new(StatusCode::FORBIDDEN, "Forbidden", text),
            Refused::State { .. } => Self::invalid("", "status.conditions", text),
            Refused::ConditionChanged => Self::invalid("", "status.conditions", text),
            Refused::CertificateChanged | Refused::OtherKey => Self::invalid("", "status.certificate", text),
        }
    }
}

/// Returns an answer with a JSON object.
pub(in crate::server) fn json_response(status: StatusCode, object: &impl Serialize) -> Response<Body> {
    response(status, "application/json", serde_json::to_vec(object).unwrap_or_default())
}

/// Returns an answer with a body.
pub(in crate::server) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("cache-control", HeaderValue::from_static("no-cache, private"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
