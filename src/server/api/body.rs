//! Bodies of requests: bounded in size and time.

use std::sync::PoisonError;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use serde_json::json;
use tokio::time::timeout;

use super::call::Call;
use super::incoming::{Incoming, read_json};
use super::patch::{PatchKind, apply};
use super::protobuf;
use super::status::Failed;
use crate::enrol::request::{RequestContent, RequestFields};

/// The largest body, in bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// The time limit for receiving a body.
const PATIENCE: Duration = Duration::from_secs(10);

impl Call {
    /// Returns the body.
    pub(super) async fn bytes(&mut self) -> Result<Bytes, Failed> {
        let body = std::mem::take(self.body.get_mut().unwrap_or_else(PoisonError::into_inner));
        let body = Limited::new(body, MAX_BODY);
        match timeout(PATIENCE, body.collect()).await {
            Err(_) => Err(Failed::timeout()),
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Failed::too_large(MAX_BODY)),
            Ok(Err(_)) => Err(Failed::bad_request("the body cannot be read")),
        }
    }

    /// Returns the media type of the body, without parameters.
    pub(super) fn media_type(&self) -> &str {
        self.header(CONTENT_TYPE).split(';').next().unwrap_or_default().trim()
    }

    /// Reads a CertificateSigningRequest from the body, in JSON or protobuf.
    pub(super) async fn incoming(&mut self) -> Result<Incoming, Failed> {
        let body = self.bytes().await?;
        let read = match self.media_type() {
            "application/json" | "" => read_json(&body),
            protobuf::MEDIA_TYPE => protobuf::read(&body),
            other => return Err(Failed::media_type(other)),
        };
        read.map_err(|reason| Failed::bad_request(format!("the body cannot be read: {reason}")))
    }
}

/// Reads the body of a change of a request as the server does: a patch of an object, or a whole object in protobuf.
///
/// # Errors
/// Returns the reason as text.
pub fn read_change(media_type: &str, body: &[u8]) -> Result<(), String> {
    let incoming = match PatchKind::of(media_type) {
        Some(kind) => {
            let patch = serde_json::from_slice(body).map_err(|error| error.to_string())?;
            let mut object = json!({"metadata": {"name": "one"}, "spec": {}, "status": {"conditions": []}});
            apply(&mut object, patch, kind);
            read_json(object.to_string().as_bytes())?
        }
        None => protobuf::read(body)?,
    };
    incoming.check_sizes().map_err(|(field, reason)| format!("{field}: {reason}"))
}

/// Reads a new request as the server does: the body of a POST, then the request in it.
///
/// # Errors
/// Returns the reason as text.
pub fn read_request(media_type: &str, body: &[u8]) -> Result<RequestContent, String> {
    let incoming = match media_type {
        protobuf::MEDIA_TYPE => protobuf::read(body)?,
        _ => read_json(body)?,
    };
    incoming.check_sizes().map_err(|(field, reason)| format!("{field}: {reason}"))?;
    let fields = RequestFields { signer: &incoming.signer, usages: &incoming.usages, pem: &incoming.request };
    RequestContent::read(fields).map_err(|refusal| refusal.to_string())
}
