//! CertificateSigningRequests that clients send, in JSON or protobuf.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::enrol::request::Condition;

/// The largest size of all annotations of an object, in bytes.
const MAX_ANNOTATIONS: usize = 32 * 1024;
/// The largest number of conditions.
const MAX_CONDITIONS: usize = 8;

/// A CertificateSigningRequest that a client sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Incoming {
    pub(super) name: String,
    pub(super) generate_name: String,
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) request: Vec<u8>,
    pub(super) signer: String,
    pub(super) usages: Vec<String>,
    pub(super) expiration: Option<i32>,
    pub(super) conditions: Vec<Condition>,
    pub(super) certificate: Vec<u8>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Object {
    kind: Option<String>,
    api_version: Option<String>,
    metadata: Metadata,
    spec: Spec,
    status: Option<Status>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: Option<String>,
    generate_name: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    request: Option<String>,
    signer_name: Option<String>,
    usages: Option<Vec<String>>,
    expiration_seconds: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    conditions: Option<Vec<JsonCondition>>,
    certificate: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonCondition {
    r#type: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
    last_update_time: Option<String>,
    last_transition_time: Option<String>,
}

fn base64(text: Option<String>, field: &str) -> Result<Vec<u8>, String> {
    Base64::decode_vec(&text.unwrap_or_default()).map_err(|_| format!("{field} is not base64"))
}

fn time(text: Option<String>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&text?, &Rfc3339).ok()
}

/// Reads a CertificateSigningRequest in JSON. Returns the error as text.
pub(super) fn read_json(body: &[u8]) -> Result<Incoming, String> {
    read(serde_json::from_slice(body).map_err(|error| error.to_string())?)
}

/// Reads a CertificateSigningRequest that is decoded JSON.
pub(super) fn read_value(object: Value) -> Result<Incoming, String> {
    read(serde_json::from_value(object).map_err(|error| error.to_string())?)
}

fn read(object: Object) -> Result<Incoming, String> {
    let is_other = object.kind.as_deref().is_some_and(|kind| kind != super::object::KIND)
        || object.api_version.as_deref().is_some_and(|version| version != super::object::VERSION);
    if is_other {
        let kind = object.kind.unwrap_or_default();
        return Err(format!("it is a {} {kind}", object.api_version.unwrap_or_default()));
    }
    let Object { metadata, spec, status, .. } = object;
    let status = status.unwrap_or_default();
    let condition = |one: JsonCondition| Condition {
        kind: one.r#type,
        status: one.status,
        reason: one.reason.unwrap_or_default(),
        message: one.message.unwrap_or_default(),
        last_update: time(one.last_update_time),
        last_transition: time(one.last_transition_time),
    };
    Ok(Incoming {
        name: metadata.name.unwrap_or_default(),
        generate_name: metadata.generate_name.unwrap_or_default(),
        uid: metadata.uid.filter(|uid| !uid.is_empty()),
        resource_version: metadata.resource_version.filter(|version| !version.is_empty()),
        annotations: metadata.annotations.unwrap_or_default(),
        request: base64(spec.request, "spec.request")?,
        signer: spec.signer_name.unwrap_or_default(),
        usages: spec.usages.unwrap_or_default(),
        expiration: spec.expiration_seconds,
        conditions: status.conditions.unwrap_or_default().into_iter().map(condition).collect(),
        certificate: base64(status.certificate, "status.certificate")?,
    })
}

impl Incoming {
    /// Checks the annotations and conditions. Returns the field and the reason of the first violation.
    pub(super) fn check_sizes(&self) -> Result<(), (&'static str, String)> {
        let annotations: usize = self.annotations.iter().map(|(name, value)| name.len() + value.len()).sum();
        if annotations > MAX_ANNOTATIONS {
            return Err(("metadata.annotations", format!("{annotations} bytes are more than {MAX_ANNOTATIONS}")));
        }
        if self.conditions.len() > MAX_CONDITIONS {
            return Err(("status.conditions", format!("more than {MAX_CONDITIONS} conditions")));
        }
        let is_known = |one: &Condition| matches!(one.kind.as_str(), "Approved" | "Denied" | "Failed");
        if let Some(one) = self.conditions.iter().find(|one| !is_known(one) || one.status != "True") {
            return Err(("status.conditions", format!("{:?} with status {:?} is not supported", one.kind, one.status)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_object_is_read_and_another_kind_is_not() {
        let text = r#"{"kind":"CertificateSigningRequest","apiVersion":"certificates.k8s.io/v1","metadata":{"name":"a"},
            "spec":{"request":"cGVt","signerName":"s","usages":["client auth"],"unknown":1},
            "status":{"conditions":[{"type":"Approved","status":"True","lastUpdateTime":"2026-11-29T12:00:00Z"}]}}"#;
        let read = read_json(text.as_bytes()).expect("an object");
        assert_eq!((read.name.as_str(), read.request.as_slice()), ("a", b"pem".as_slice()));
        assert!(read.conditions[0].last_update.is_some() && read.check_sizes().is_ok());
        assert!(read_json(text.replace("CertificateSigningRequest", "Pod").as_bytes()).is_err());
        assert!(read_json(text.replace("cGVt", "!").as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = read_json(text.as_bytes());
            let _ = read_json(format!("{{\"metadata\":{text},\"spec\":{text}}}").as_bytes());
        }
    }
}
