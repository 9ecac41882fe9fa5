//! HTTP responses of the simulated servers, as recorded from Kubernetes 1.36.2.

use std::sync::atomic::Ordering;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use serde_json::Value;
use time::format_description::well_known::Rfc2822;

use super::state::{AuthenticatedClient, ServerState};

/// A response with a whole body.
pub(super) type HttpResponse = Response<Full<Bytes>>;

/// The response to plain HTTP on a TLS port, after which the connection is closed.
pub(super) const PLAIN_HTTP: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Responds that a client may not access a resource.
pub(super) fn forbidden(
    state: &ServerState,
    client: &AuthenticatedClient,
    verb: &str,
    resource: &str,
    name: Option<&str>,
) -> HttpResponse {
    let named = name.map(|name| format!(" \"{name}\"")).unwrap_or_default();
    let user = state.user_name(client);
    let message = format!(
        "{resource}{named} is forbidden: User \"{user}\" cannot {verb} resource \"{resource}\" in API group \"\" at the \
         cluster scope"
    );
    failure(state, StatusCode::FORBIDDEN, "Forbidden", &message)
}

/// Responds that a client may not get a path.
pub(super) fn forbidden_path(state: &ServerState, client: &AuthenticatedClient, path: &str) -> HttpResponse {
    let message = format!("forbidden: User \"{}\" cannot get path \"{path}\"", state.user_name(client));
    failure(state, StatusCode::FORBIDDEN, "Forbidden", &message)
}

/// Responds with the Status of a failure.
pub(super) fn failure(state: &ServerState, code: StatusCode, reason: &str, message: &str) -> HttpResponse {
    // Kubernetes's own order of keys, which serde_json would sort.
    let body = format!(
        "{{\n  \"kind\": \"Status\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {{}},\n  \"status\": \"Failure\",\n  \
         \"message\": {},\n  \"reason\": \"{reason}\",\n  \"code\": {}\n}}\n",
        Value::from(message),
        code.as_u16()
    );
    with_audit(state, plain(code, "application/json", body))
}

/// Responds that a resource does not exist.
pub(super) fn not_found(state: &ServerState) -> HttpResponse {
    failure(state, StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
}

/// Responds with an object.
pub(super) fn object(state: &ServerState, code: StatusCode, body: &Value) -> HttpResponse {
    with_audit(state, plain(code, "application/json", format!("{body:#}\n")))
}

/// Adds the headers of an API server.
pub(super) fn with_audit(state: &ServerState, mut response: HttpResponse) -> HttpResponse {
    let number = state.requests.load(Ordering::Relaxed);
    let headers = response.headers_mut();
    if let Ok(id) = format!("00000000-0000-4000-8000-{number:012x}").parse() {
        headers.insert("audit-id", id);
    }
    // The simulated clock, by which leases are renewed.
    if let Ok(date) = state.now.format(&Rfc2822).unwrap_or_default().replace("+0000", "GMT").parse() {
        headers.insert(hyper::header::DATE, date);
    }
    headers.insert("cache-control", hyper::header::HeaderValue::from_static("no-cache, private"));
    response
}

/// Responds with a body of the given content type.
pub(super) fn plain(code: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> HttpResponse {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = code;
    let content_type = hyper::header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, content_type);
    response
}
