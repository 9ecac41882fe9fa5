//! Requests of the queue as CertificateSigningRequest objects in JSON, and as tables.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::enrol::request::Condition;
use crate::store::queue::StoredRequest;

/// The API version of requests.
pub(super) const VERSION: &str = "certificates.k8s.io/v1";
/// The kind of requests.
pub(super) const KIND: &str = "CertificateSigningRequest";

/// Returns a time as Kubernetes writes it.
pub(super) fn time_text(time: OffsetDateTime) -> String {
    time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).unwrap_or_default()
}

/// A request as an object, which is written as JSON without a copy in between.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    metadata: Metadata<'a>,
    spec: Spec<'a>,
    status: Status<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    uid: &'a str,
    resource_version: String,
    creation_timestamp: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    request: String,
    signer_name: &'a str,
    usages: &'a [String],
    username: &'a str,
    groups: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: &'a BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_seconds: Option<i32>,
}

#[derive(Serialize)]
struct Status<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<JsonCondition<'a>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    certificate: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonCondition<'a> {
    r#type: &'a str,
    status: &'a str,
    reason: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_transition_time: Option<String>,
}

impl<'a> Metadata<'a> {
    fn of(request: &'a StoredRequest) -> Self {
        Self {
            name: &request.name,
            uid: &request.uid,
            resource_version: request.version.to_string(),
            creation_timestamp: time_text(request.created),
            annotations: &request.annotations,
        }
    }
}

impl<'a> Spec<'a> {
    fn of(request: &'a StoredRequest) -> Self {
        Self {
            request: Base64::encode_string(&request.pem),
            signer_name: &request.signer,
            usages: &request.usages,
            username: &request.requester.username,
            groups: &request.requester.groups,
            extra: &request.requester.extra,
            expiration_seconds: request.expiration,
        }
    }
}

impl<'a> JsonCondition<'a> {
    fn of(condition: &'a Condition) -> Self {
        Self {
            r#type: &condition.kind,
            status: &condition.status,
            reason: &condition.reason,
            message: &condition.message,
            last_update_time: condition.last_update.map(time_text),
            last_transition_time: condition.last_transition.map(time_text),
        }
    }
}

/// Returns a request as an object.
pub(super) fn object(request: &StoredRequest) -> Object<'_> {
    Object {
        kind: Some(KIND),
        api_version: Some(VERSION),
        metadata: Metadata::of(request),
        spec: Spec::of(request),
        status: Status {
            conditions: request.conditions.iter().map(JsonCondition::of).collect(),
            certificate: Base64::encode_string(&request.certificate),
        },
    }
}

/// A list as an object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Value,
    items: Vec<Object<'a>>,
}

/// Returns a list as an object.
pub(super) fn list<'a>(requests: &'a [StoredRequest], version: i64, next: Option<&str>) -> List<'a> {
    // As in Kubernetes, the items of a list do not repeat its kind.
    let item = |request| Object { kind: None, api_version: None, ..object(request) };
    List {
        kind: "CertificateSigningRequestList",
        api_version: VERSION,
        metadata: list_metadata(version, next),
        items: requests.iter().map(item).collect(),
    }
}

fn list_metadata(version: i64, next: Option<&str>) -> Value {
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if let Some(next) = next {
        metadata["continue"] = json!(next);
    }
    metadata
}

/// The columns of a table of requests (Kubernetes `pkg/printers/internalversion`).
const COLUMNS: [(&str, &str, &str, &str); 6] = [
    ("Name", "string", "name", "The name of the request."),
    ("Age", "string", "", "The time since its creation."),
    ("SignerName", "string", "", "The signer that it is for."),
    ("Requestor", "string", "", "The client that sent it."),
    ("RequestedDuration", "string", "", "The validity that it asks for."),
    ("Condition", "string", "", "Its state."),
];

/// What a row of a table has besides its cells: `includeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IncludeObject {
    None,
    Metadata,
    Object,
}

/// Returns requests as a table.
pub(super) fn table<'a>(
    requests: impl Iterator<Item = &'a StoredRequest>,
    version: i64,
    next: Option<&str>,
    include: IncludeObject,
    now: OffsetDateTime,
) -> Value {
    let column = |(name, kind, format, description): (&str, &str, &str, &str)| json!({"name": name, "type": kind, "format": format, "description": description, "priority": 0});
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_metadata(version, next),
        "columnDefinitions": COLUMNS.map(column),
        "rows": requests.map(|request| row(request, include, now)).collect::<Vec<_>>(),
    })
}

fn row(request: &StoredRequest, include: IncludeObject, now: OffsetDateTime) -> Value {
    let duration = request.expiration.map_or_else(|| "<none>".to_owned(), |seconds| age(i64::from(seconds)));
    let mut row = json!({
        "cells": [
            request.name,
            age((now - request.created).whole_seconds()),
            request.signer,
            request.requester.username,
            duration,
            condition_text(request),
        ],
    });
    match include {
        IncludeObject::None => {}
        IncludeObject::Metadata => {
            row["object"] = json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": Metadata::of(request),
            });
        }
        IncludeObject::Object => row["object"] = json!(object(request)),
    }
    row
}

/// Returns the conditions as `kubectl get csr` shows them: `Approved,Issued`.
fn condition_text(request: &StoredRequest) -> String {
    let has = |kind: &str| request.conditions.iter().any(|condition| condition.kind == kind);
    let mut text = match () {
        () if has("Denied") => "Denied",
        () if has("Approved") => "Approved",
        () if has("Failed") => "",
        () => "Pending",
    }
    .to_owned();
    let mut add = |more: &str| {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(more);
    };
    if has("Failed") {
        add("Failed");
    }
    if !request.certificate.is_empty() {
        add("Issued");
    }
    text
}

/// Returns a duration as kubectl shows it (Kubernetes `apimachinery/pkg/util/duration`, `HumanDuration`).
fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |first: i64, unit: &str, second: i64, small: &str| match second {
        0 => format!("{first}{unit}"),
        _ => format!("{first}{unit}{second}{small}"),
    };
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        _ => two(days / 365, "y", days % 365, "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kubernetes's `HumanDuration`.
    #[test]
    fn ages_are_kubectls() {
        let ages =
            [(0, "0s"), (119, "119s"), (120, "2m"), (135, "2m15s"), (600, "10m"), (10_800, "3h"), (11_000, "3h3m")];
        assert!(ages.into_iter().all(|(seconds, text)| age(seconds) == text));
        assert_eq!([age(172_800 + 3600), age(9 * 86400), age(-5)], ["2d1h", "9d", "0s"]);
    }
}
