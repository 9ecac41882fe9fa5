//! Leases, in JSON, for signers: Kubernetes's `coordination.k8s.io/v1`.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Answer;
use super::call::Call;
use super::object::time_text;
use super::patch::{PatchKind, apply};
use super::status::{Failed, json_response};
use crate::cluster::name::HostName;
use crate::store::queue::change::{Precondition, StoredLease};
use crate::store::queue::{Answer as Changed, Change};

pub(super) const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases";
pub(super) const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}";

/// The largest spec, in bytes.
const MAX_SPEC: usize = 4096;
/// The numbers of the segments of the path.
const NAMESPACE: usize = 4;
const NAME: usize = 6;

fn object(lease: &StoredLease) -> Value {
    let spec: Value = serde_json::from_str(&lease.spec).unwrap_or_default();
    json!({
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {
            "name": lease.name,
            "namespace": lease.namespace,
            "uid": lease.uid,
            "resourceVersion": lease.version.to_string(),
            "creationTimestamp": time_text(lease.created),
        },
        "spec": spec,
    })
}

fn check(call: &Call, verb: &str) -> Result<(), Failed> {
    let why = "signers may";
    if call.client.is_signer() { Ok(()) } else { Err(call.forbidden(verb, "leases.coordination.k8s.io", why)) }
}

/// Returns the namespace and the name in the path.
fn names(call: &Call) -> (String, String) {
    (call.segment(NAMESPACE).to_owned(), call.segment(NAME).to_owned())
}

fn find(call: &Call) -> Result<StoredLease, Failed> {
    let (namespace, name) = names(call);
    call.state.read(|queue| queue.lease(&namespace, &name))?.ok_or_else(|| Failed::not_found("leases", &name))
}

async fn sent(call: &mut Call) -> Result<Value, Failed> {
    if !matches!(call.media_type(), "application/json" | "") {
        return Err(Failed::media_type(call.media_type()));
    }
    let body = call.bytes().await?;
    serde_json::from_slice(&body).map_err(|error| Failed::bad_request(error.to_string()))
}

fn spec_text(object: &Value) -> Result<String, Failed> {
    let text = object["spec"].to_string();
    if text.len() > MAX_SPEC {
        return Err(Failed::bad_request(format!("spec: it has more than {MAX_SPEC} bytes")));
    }
    Ok(if object["spec"].is_object() { text } else { "{}".to_owned() })
}

pub(super) async fn list(call: Call) -> Answer {
    check(&call, "list")?;
    let namespace = call.segment(NAMESPACE).to_owned();
    let (leases, version) = call.state.read(|queue| Ok((queue.leases(&namespace)?, queue.version()?)))?;
    let object = json!({
        "kind": "LeaseList",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"resourceVersion": version.to_string()},
        "items": leases.iter().map(object).collect::<Vec<_>>(),
    });
    Ok(json_response(StatusCode::OK, &object))
}

pub(super) async fn get(call: Call) -> Answer {
    check(&call, "get")?;
    Ok(json_response(StatusCode::OK, &object(&find(&call)?)))
}

pub(super) async fn create(mut call: Call) -> Answer {
    check(&call, "create")?;
    let sent = sent(&mut call).await?;
    let name = sent["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let namespace = call.segment(NAMESPACE).to_owned();
    if HostName::parse(&name).is_err() || HostName::parse(&namespace).is_err() {
        return Err(Failed::bad_request("metadata.name: it is no DNS name"));
    }
    let spec = spec_text(&sent)?;
    written(&call, Change::CreateLease { namespace, name, spec }, StatusCode::CREATED).await
}

pub(super) async fn put(mut call: Call) -> Answer {
    check(&call, "update")?;
    let sent = sent(&mut call).await?;
    update(&call, &sent).await
}

pub(super) async fn patch(mut call: Call) -> Answer {
    check(&call, "patch")?;
    let kind = PatchKind::of(call.media_type()).ok_or_else(|| Failed::media_type(call.media_type()))?;
    let body = call.bytes().await?;
    let patch: Value = serde_json::from_slice(&body).map_err(|error| Failed::bad_request(error.to_string()))?;
    let mut patched = object(&find(&call)?);
    apply(&mut patched, patch, kind);
    update(&call, &patched).await
}

async fn update(call: &Call, object: &Value) -> Answer {
    let (namespace, name) = names(call);
    let metadata = &object["metadata"];
    let parse = |text: &str| text.parse().map_err(|_| Failed::bad_request("resourceVersion: it is not of this server"));
    let version = metadata["resourceVersion"].as_str().map(parse).transpose()?;
    let precondition = Precondition { uid: metadata["uid"].as_str().map(str::to_owned), version };
    let spec = spec_text(object)?;
    written(call, Change::UpdateLease { namespace, name, precondition, spec }, StatusCode::OK).await
}

pub(super) async fn delete(call: Call) -> Answer {
    check(&call, "delete")?;
    let (namespace, name) = names(&call);
    written(&call, Change::DeleteLease { namespace, name }, StatusCode::OK).await
}

async fn written(call: &Call, change: Change, status: StatusCode) -> Answer {
    match call.state.change(change, true).await? {
        Changed::Lease(lease) => Ok(json_response(status, &object(&lease))),
        Changed::Request(_) | Changed::Count(_) => Err(Failed::unavailable("the queue answered about something else")),
    }
}
