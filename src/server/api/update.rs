//! Changes requests (`/approval`, `/status`) and deletes them.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Answer;
use super::call::Call;
use super::incoming::{Incoming, read_value};
use super::object;
use super::patch::{PatchKind, apply};
use super::read::{NAME, visible};
use super::status::{Failed, GROUP, RESOURCE, json_response};
use crate::pki::certificate::Certificate;
use crate::pki::pem;
use crate::store::queue::change::{Edit, Precondition};
use crate::store::queue::{Answer as Changed, Change};

/// The largest number of attempts to apply a patch without a `resourceVersion`, if the object changes at the same time.
const ATTEMPTS: usize = 4;
/// The largest certificate chain of a status, in bytes.
const MAX_CERTIFICATE: usize = 32 * 1024;

/// The part of a request that is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Approval,
    Status,
}

/// Returns the part in the path, if the client may change it.
fn part(call: &Call) -> Result<Part, Failed> {
    let part = if call.segment(NAME + 1) == "approval" { Part::Approval } else { Part::Status };
    let (may, who) = match part {
        Part::Approval => (call.client.may_see_all(), "approvers and signers may"),
        Part::Status => (call.client.is_signer(), "signers may"),
    };
    let what = format!("{RESOURCE}/{}", call.segment(NAME + 1));
    if may { Ok(part) } else { Err(call.forbidden("update", &what, who)) }
}

pub(super) async fn put(mut call: Call) -> Answer {
    let part = part(&call)?;
    let is_dry_run = call.is_dry_run()?;
    let incoming = call.incoming().await?;
    let name = call.segment(NAME).to_owned();
    if incoming.name != name {
        return Err(Failed::bad_request("the name of the object is not the name in the URL"));
    }
    let version = version(incoming.resource_version.as_deref())?;
    if is_dry_run {
        let present = visible(&call, &name)?;
        return Ok(json_response(StatusCode::OK, &object::object(&present)));
    }
    change(&call, &name, part, incoming, version).await
}

pub(super) async fn patch(mut call: Call) -> Answer {
    let part = part(&call)?;
    let is_dry_run = call.is_dry_run()?;
    let kind = PatchKind::of(call.media_type()).ok_or_else(|| Failed::media_type(call.media_type()))?;
    let body = call.bytes().await?;
    let patch: Value = serde_json::from_slice(&body).map_err(|error| Failed::bad_request(error.to_string()))?;
    let name = call.segment(NAME).to_owned();
    let names_version = patch["metadata"]["resourceVersion"].is_string();
    for attempt in 1.. {
        let present = visible(&call, &name)?;
        if is_dry_run {
            return Ok(json_response(StatusCode::OK, &object::object(&present)));
        }
        let mut patched = json!(object::object(&present));
        apply(&mut patched, patch.clone(), kind);
        let incoming = read_value(patched).map_err(Failed::bad_request)?;
        let version = version(incoming.resource_version.as_deref())?;
        match change(&call, &name, part, incoming, version).await {
            Err(failed) if failed.is_conflict() && !names_version && attempt < ATTEMPTS => {}
            done => return done,
        }
    }
    Err(Failed::unavailable("the request changes too often"))
}

fn version(text: Option<&str>) -> Result<Option<i64>, Failed> {
    let parse = |text: &str| text.parse().map_err(|_| Failed::bad_request("resourceVersion: it is not of this server"));
    text.map(parse).transpose()
}

async fn change(call: &Call, name: &str, part: Part, incoming: Incoming, version: Option<i64>) -> Answer {
    incoming.check_sizes().map_err(|(field, reason)| Failed::invalid(name, field, reason))?;
    let Incoming { uid, annotations, conditions, certificate, .. } = incoming;
    let is_decision = conditions.iter().any(|condition| matches!(condition.kind.as_str(), "Approved" | "Denied"));
    let edit = match part {
        Part::Approval => Edit::Approval { conditions, annotations },
        Part::Status => {
            let certificate = (!certificate.is_empty()).then(|| checked(name, certificate)).transpose()?;
            Edit::Status { conditions, certificate }
        }
    };
    let change = Change::Update {
        name: name.to_owned(),
        precondition: Precondition { uid, version },
        edit: Box::new(edit),
        by: call.client.requester.username.clone(),
    };
    match call.state.change(change, true).await.map_err(|failed| failed.named(name))? {
        Changed::Request(request) => {
            if is_decision || part == Part::Status {
                call.state.figures.decided(request.state, &call.client.requester.username);
            }
            Ok(json_response(StatusCode::OK, &object::object(&request)))
        }
        Changed::Lease(_) | Changed::Count(_) => Err(Failed::unavailable("the queue answered about something else")),
    }
}

/// Checks a certificate chain. Returns it with SHA-256 of the first certificate's SubjectPublicKeyInfo.
fn checked(name: &str, chain: Vec<u8>) -> Result<(Vec<u8>, crate::pki::fingerprint::Fingerprint), Failed> {
    let invalid = |reason: String| Failed::invalid(name, "status.certificate", reason);
    if chain.len() > MAX_CERTIFICATE {
        return Err(invalid(format!("it has more than {MAX_CERTIFICATE} bytes")));
    }
    let first = pem::certificates(&chain).map_err(|error| invalid(error.to_string()))?.swap_remove(0);
    let leaf = Certificate::from_der(first).map_err(|error| invalid(error.to_string()))?;
    Ok((chain, leaf.spki_fingerprint()))
}

pub(super) async fn delete(mut call: Call) -> Answer {
    if !call.client.may_see_all() {
        return Err(call.forbidden("delete", RESOURCE, "approvers and signers may"));
    }
    let name = call.segment(NAME).to_owned();
    let body = call.bytes().await?;
    // DeleteOptions in protobuf are ignored.
    let options: Value = serde_json::from_slice(&body).unwrap_or_default();
    let precondition = &options["preconditions"];
    let precondition = Precondition {
        uid: precondition["uid"].as_str().map(str::to_owned),
        version: version(precondition["resourceVersion"].as_str())?,
    };
    let uid = visible(&call, &name)?.uid.clone();
    let is_dry_run = call.is_dry_run()? || options["dryRun"].as_array().is_some_and(|all| !all.is_empty());
    if !is_dry_run {
        let by = call.client.requester.username.clone();
        let change = Change::Delete { name: name.clone(), precondition, by };
        call.state.change(change, true).await.map_err(|failed| failed.named(&name))?;
    }
    let object = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": name, "group": GROUP, "kind": RESOURCE, "uid": uid},
    });
    Ok(json_response(StatusCode::OK, &object))
}
