//! CertificateSigningRequests in Kubernetes's protobuf form: `k8s\0`, then a `runtime.Unknown` with the object in it
//! (Kubernetes `apimachinery/pkg/runtime/serializer/protobuf`, `api/certificates/v1/generated.proto`).
//!
//! Only fields that are read are declared. prost bounds the depth of nesting, and a body has at most 64 KiB.

use std::collections::{BTreeMap, HashMap};

use prost::Message;
use time::OffsetDateTime;

use super::incoming::Incoming;
use crate::enrol::request::Condition;

/// The media type.
pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// The first bytes of every object.
const PREFIX: &[u8] = b"k8s\0";

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, optional, tag = "1")]
    api_version: Option<String>,
    #[prost(string, optional, tag = "2")]
    kind: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", optional, tag = "2")]
    raw: Option<Vec<u8>>,
    #[prost(string, optional, tag = "3")]
    content_encoding: Option<String>,
    #[prost(string, optional, tag = "4")]
    content_type: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ObjectMeta {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    generate_name: Option<String>,
    #[prost(string, optional, tag = "5")]
    uid: Option<String>,
    #[prost(string, optional, tag = "6")]
    resource_version: Option<String>,
    #[prost(map = "string, string", tag = "12")]
    annotations: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, optional, tag = "1")]
    seconds: Option<i64>,
    #[prost(int32, optional, tag = "2")]
    nanos: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct Spec {
    #[prost(bytes = "vec", optional, tag = "1")]
    request: Option<Vec<u8>>,
    #[prost(string, repeated, tag = "5")]
    usages: Vec<String>,
    #[prost(string, optional, tag = "7")]
    signer_name: Option<String>,
    #[prost(int32, optional, tag = "8")]
    expiration_seconds: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoCondition {
    #[prost(string, optional, tag = "1")]
    kind: Option<String>,
    #[prost(string, optional, tag = "2")]
    reason: Option<String>,
    #[prost(string, optional, tag = "3")]
    message: Option<String>,
    #[prost(message, optional, tag = "4")]
    last_update_time: Option<Time>,
    #[prost(message, optional, tag = "5")]
    last_transition_time: Option<Time>,
    #[prost(string, optional, tag = "6")]
    status: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(message, repeated, tag = "1")]
    conditions: Vec<ProtoCondition>,
    #[prost(bytes = "vec", optional, tag = "2")]
    certificate: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct CertificateSigningRequest {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    spec: Option<Spec>,
    #[prost(message, optional, tag = "3")]
    status: Option<Status>,
}

fn time(time: Option<&Time>) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(time?.seconds.unwrap_or_default()).ok().filter(|time| time.unix_timestamp() > 0)
}

/// Returns the type and the bytes of an object.
fn unwrapped(body: &[u8]) -> Result<(String, String, Vec<u8>), String> {
    let rest = body.strip_prefix(PREFIX).ok_or("it does not begin with k8s and a zero byte")?;
    let unknown = Unknown::decode(rest).map_err(|error| error.to_string())?;
    if unknown.content_encoding.is_some_and(|encoding| !encoding.is_empty()) {
        return Err("its content is encoded".to_owned());
    }
    let meta = unknown.type_meta.unwrap_or_default();
    Ok((meta.api_version.unwrap_or_default(), meta.kind.unwrap_or_default(), unknown.raw.unwrap_or_default()))
}

/// Returns the API version and the kind of any object.
pub(super) fn kind_of(body: &[u8]) -> Result<(String, String), String> {
    unwrapped(body).map(|(version, kind, _)| (version, kind))
}

/// Reads a CertificateSigningRequest. Returns the error as text.
pub(super) fn read(body: &[u8]) -> Result<Incoming, String> {
    let (version, kind, raw) = unwrapped(body)?;
    if (version.as_str(), kind.as_str()) != (super::object::VERSION, super::object::KIND) {
        return Err(format!("it is a {version} {kind}"));
    }
    let object = CertificateSigningRequest::decode(raw.as_slice()).map_err(|error| error.to_string())?;
    let (meta, spec) = (object.metadata.unwrap_or_default(), object.spec.unwrap_or_default());
    let status = object.status.unwrap_or_default();
    let condition = |one: ProtoCondition| Condition {
        kind: one.kind.unwrap_or_default(),
        status: one.status.unwrap_or_default(),
        reason: one.reason.unwrap_or_default(),
        message: one.message.unwrap_or_default(),
        last_update: time(one.last_update_time.as_ref()),
        last_transition: time(one.last_transition_time.as_ref()),
    };
    Ok(Incoming {
        name: meta.name.unwrap_or_default(),
        generate_name: meta.generate_name.unwrap_or_default(),
        uid: meta.uid.filter(|uid| !uid.is_empty()),
        resource_version: meta.resource_version.filter(|version| !version.is_empty()),
        annotations: meta.annotations.into_iter().collect::<BTreeMap<_, _>>(),
        request: spec.request.unwrap_or_default(),
        signer: spec.signer_name.unwrap_or_default(),
        usages: spec.usages,
        expiration: spec.expiration_seconds,
        conditions: status.conditions.into_iter().map(condition).collect(),
        certificate: status.certificate.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
