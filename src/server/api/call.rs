//! A request with its authenticated client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{FromRequest, Query, Request};
use axum::response::IntoResponse;
use hyper::Response;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap};
use hyper::http::HeaderName;

use super::status::Failed;
use crate::server::client::Client;
use crate::server::state::{Connection, State};

/// A request with its authenticated client.
pub(super) struct Call {
    pub(super) state: Arc<State>,
    pub(super) client: Client,
    pub(super) connection: Arc<Connection>,
    pub(super) query: HashMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) path: String,
    /// In a mutex, because `Body` is not `Sync` and handlers hold a reference to the call across `await`.
    pub(super) body: Mutex<Body>,
}

impl FromRequest<Arc<State>> for Call {
    type Rejection = Failed;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, Failed> {
        let (parts, body) = request.into_parts();
        let connection = parts.extensions.get::<Arc<Connection>>();
        let connection = connection.ok_or_else(|| Failed::unavailable("the connection is not known"))?;
        let authorization = parts.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        let client = state.client(connection, authorization)?;
        let query = Query::<HashMap<String, String>>::try_from_uri(&parts.uri)
            .map_err(|_| Failed::bad_request("the query of the URL cannot be read"))?;
        Ok(Self {
            state: state.clone(),
            client,
            connection: connection.clone(),
            query: query.0,
            headers: parts.headers,
            path: parts.uri.path().to_owned(),
            body: Mutex::new(body),
        })
    }
}

impl Call {
    /// Returns a segment of the path, from 0.
    pub(super) fn segment(&self, number: usize) -> &str {
        self.path.split('/').nth(number + 1).unwrap_or_default()
    }

    /// Returns a parameter of the query that is not empty.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns true if a parameter of the query is `true` or `1`.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(|value| matches!(value, "true" | "1"))
    }

    /// Returns true for `dryRun=All`, and an error for other values.
    pub(super) fn is_dry_run(&self) -> Result<bool, Failed> {
        match self.parameter("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(_) => Err(Failed::bad_request("dryRun: only All is supported")),
        }
    }

    /// Returns a header as text.
    pub(super) fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns the media types that the client accepts.
    pub(super) fn accept(&self) -> &str {
        self.header(ACCEPT)
    }

    /// Returns a refusal for this client.
    pub(super) fn forbidden(&self, verb: &str, what: &str, why: &str) -> Failed {
        Failed::forbidden(&self.client.requester.username, verb, what, why)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response<Body> {
        self.response()
    }
}
