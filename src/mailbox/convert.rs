//! Converts between Kubernetes's objects and [`EnrolmentRequest`].

use std::collections::BTreeMap;

use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use time::OffsetDateTime;

use super::{Arrived, Ruling};
use crate::enrol::request::{
    Condition, EnrolmentRequest, RequestContent, RequestFields, Requester, SignerName, State, state_by, state_of,
};
use crate::sanitize::sanitized;

/// Reads an object; `None` if it is for another signer. The content that was read `before` is used again if it is the same.
pub(super) fn arrived(object: &CertificateSigningRequest, before: Option<&RequestContent>) -> Option<Arrived> {
    SignerName::parse(&object.spec.signer_name)?;
    let name = object.metadata.name.clone().unwrap_or_default();
    let content = match before.filter(|before| is_same(object, before)) {
        Some(before) => before.clone(),
        None => match RequestContent::read(fields(object)) {
            Ok(content) => content,
            Err(reason) => return Some(Arrived::Unreadable { name: sanitized(&name), reason }),
        },
    };
    let status = object.status.clone().unwrap_or_default();
    let conditions: Vec<Condition> = status.conditions.unwrap_or_default().into_iter().map(condition).collect();
    let certificate = status.certificate.map(|bytes| bytes.0).unwrap_or_default();
    let requester = Requester {
        username: object.spec.username.clone().unwrap_or_default(),
        groups: object.spec.groups.clone().unwrap_or_default(),
        extra: object.spec.extra.clone().unwrap_or_default(),
    };
    Some(Arrived::Request(Box::new(EnrolmentRequest {
        name,
        uid: object.metadata.uid.clone().unwrap_or_default(),
        resource_version: object.metadata.resource_version.clone().unwrap_or_default(),
        annotations: object.metadata.annotations.clone().unwrap_or_default(),
        created: object.metadata.creation_timestamp.as_ref().map_or(OffsetDateTime::UNIX_EPOCH, time_of),
        state: state_of(&conditions, !certificate.is_empty()),
        content,
        requester,
        conditions,
        certificate,
    })))
}

fn condition(condition: CertificateSigningRequestCondition) -> Condition {
    Condition {
        kind: condition.type_,
        status: condition.status,
        reason: condition.reason.unwrap_or_default(),
        message: condition.message.unwrap_or_default(),
        last_update: condition.last_update_time.as_ref().map(time_of),
        last_transition: condition.last_transition_time.as_ref().map(time_of),
    }
}

fn time_of(time: &Time) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.0.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Returns what a request is read from.
fn fields(object: &CertificateSigningRequest) -> RequestFields<'_> {
    let usages = object.spec.usages.as_deref().unwrap_or_default();
    RequestFields { signer: &object.spec.signer_name, usages, pem: &object.spec.request.0 }
}

/// Reads what an object asks for, and verifies its signature; `None` if it is for another signer, or is no request.
pub(super) fn content(object: &CertificateSigningRequest) -> Option<RequestContent> {
    SignerName::parse(&object.spec.signer_name)?;
    RequestContent::read(fields(object)).ok()
}

/// Returns true if an object asks for the same, byte for byte.
pub(super) fn is_same(object: &CertificateSigningRequest, content: &RequestContent) -> bool {
    content.was_read_from(fields(object))
}

/// Returns the state of an object.
pub(super) fn state(object: &CertificateSigningRequest) -> State {
    let status = object.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let certificate = status.and_then(|status| status.certificate.as_ref());
    let has = |kind: &str| conditions.iter().any(|condition| condition.type_ == kind);
    state_by(has, certificate.is_some_and(|certificate| !certificate.0.is_empty()))
}

/// Adds the condition and the annotations of a ruling to an object.
pub(super) fn rule(object: &mut CertificateSigningRequest, ruling: &Ruling, now: Timestamp) {
    let condition = CertificateSigningRequestCondition {
        type_: ruling.kind.as_str().to_owned(),
        status: "True".to_owned(),
        reason: Some(ruling.reason.clone()),
        message: Some(ruling.message.clone()),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    object.status.get_or_insert_default().conditions.get_or_insert_default().push(condition);
    annotate(object, &ruling.annotations);
}

/// Adds annotations to an object.
pub(super) fn annotate(object: &mut CertificateSigningRequest, annotations: &BTreeMap<String, String>) {
    if !annotations.is_empty() {
        object.metadata.annotations.get_or_insert_default().extend(annotations.clone());
    }
}
