//! Requests and their responses.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::access::{Access, AccessDecision};
use super::client::Client;
use super::request::Request;
use crate::pki::fingerprint::Fingerprint;
use crate::verify::shared;

/// One request on a separate connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The client.
    #[serde(rename = "caller")]
    pub client: Client,
    /// The client certificate that was presented.
    pub presented: Option<Fingerprint>,
    /// The request.
    pub request: Request,
    /// The certificates that the server sent on this connection, leaf first.
    #[serde(rename = "shown", with = "shared")]
    pub server_chain: Arc<[Fingerprint]>,
    /// The response.
    pub outcome: Outcome,
    /// Follow-up requests, on the same connection unless the server closes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<FollowUp>,
    /// The client's rights, requested on the same connection; only for a node that an API server authenticates.
    #[serde(rename = "rulings", default, with = "shared", skip_serializing_if = "<[_]>::is_empty")]
    pub decisions: Arc<[(Access, AccessDecision)]>,
    /// The duration in milliseconds.
    pub elapsed_ms: u64,
}

impl Exchange {
    /// Returns the chains that the server sent on each connection of this exchange.
    pub fn chains(&self) -> impl Iterator<Item = &Arc<[Fingerprint]>> {
        std::iter::once(&self.server_chain).chain(self.more.iter().map(|further| &further.server_chain))
    }
}

/// A follow-up request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    /// The request.
    pub request: Request,
    /// The response.
    pub outcome: Outcome,
    /// The server's chain, leaf first, if it differs from the exchange's: several servers may share one address.
    #[serde(rename = "shown", default, with = "shared", skip_serializing_if = "<[_]>::is_empty")]
    pub server_chain: Arc<[Fingerprint]>,
}

/// The response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An HTTP answer.
    Answer(Answer),
    /// A TLS alert in place of an answer.
    Alert(String),
    /// The connection was closed before an answer.
    Closed,
    /// The connection was reset before an answer.
    Reset,
    /// No answer in time, in milliseconds.
    TimedOut(u64),
    /// Anything else.
    Failed(String),
    /// There is no credential to connect with, for this reason.
    NoCredential(String),
    /// The request was not made, for this reason.
    NotTried(String),
}

/// An HTTP response. Equal texts share their memory: in a large cluster most responses are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// `HTTP/2.0`
    #[serde(with = "shared")]
    pub version: Arc<str>,
    /// Content-Type, if present.
    #[serde(default, with = "shared::optional")]
    pub content_type: Option<Arc<str>>,
    /// The excerpt of the body's first [`Request::body_limit`] bytes, made valid UTF-8.
    #[serde(with = "shared")]
    pub body: Arc<str>,
    /// Whether the body is longer.
    pub truncated: bool,
}
