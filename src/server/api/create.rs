//! Creates a request.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use hyper::StatusCode;
use serde_json::json;

use super::Answer;
use super::call::Call;
use super::incoming::Incoming;
use super::object;
use super::status::{Failed, RESOURCE, json_response};
use crate::enrol::request::{MAX_NAME, RequestContent, RequestFields};
use crate::pki::fingerprint::Fingerprint;
use crate::server::site::Proof;
use crate::store::queue::change::{Limits, NewRequest};
use crate::store::queue::{Answer as Changed, Change};

/// The limits of open requests.
const LIMITS: Limits = Limits { of_host: 4, of_unknown: 64 };
/// The prefix of annotations that only approvers and signers may set.
const OWN_ANNOTATIONS: &str = "clusterctl.io/";
/// The annotation of a dry run.
const PREVIEW: &str = "clusterctl.io/preview";

pub(super) async fn create(mut call: Call) -> Answer {
    let is_dry_run = call.is_dry_run()?;
    let incoming = call.incoming().await?;
    let name = name(&incoming)?;
    let invalid = |field: &str, reason: String| Failed::invalid(&name, field, reason);
    incoming.check_sizes().map_err(|(field, reason)| invalid(field, reason))?;
    let fields = RequestFields { signer: &incoming.signer, usages: &incoming.usages, pem: &incoming.request };
    let content = RequestContent::read(fields).map_err(|refusal| invalid("spec", refusal.to_string()))?;
    if incoming.expiration.is_some_and(|seconds| seconds < 600) {
        return Err(invalid("spec.expirationSeconds", "it must be at least 600".to_owned()));
    }
    if !call.client.may_ask_for(&content.host) {
        let why = format!("its credential is not that of the host {}", content.host);
        return Err(call.forbidden("create", RESOURCE, &why));
    }
    // Without `block_in_place`: that would take longer.
    let proof = call.state.site.prove(&content, &call.client, call.state.now());
    if let Some(refusal) = &proof.refusal {
        return Err(call.forbidden("create", RESOURCE, refusal));
    }
    if is_dry_run {
        return preview(&call, &name, &incoming, &content, &proof);
    }
    let is_privileged = proof.is_proven || call.client.may_see_all();
    let new = NewRequest {
        name: name.clone(),
        annotations: foreign(incoming.annotations),
        expiration: incoming.expiration,
        requester: call.client.requester.clone(),
        proven: proof.is_proven,
        known: call.state.site.knows(&content.host),
        token: proof.token,
        limits: LIMITS,
        content,
    };
    match call.state.change(Change::Create(Box::new(new)), is_privileged).await.map_err(|failed| failed.named(&name))? {
        Changed::Request(request) => Ok(json_response(StatusCode::CREATED, &object::object(&request))),
        Changed::Lease(_) | Changed::Count(_) => Err(Failed::unavailable("the queue answered about something else")),
    }
}

/// Returns the annotations that a new request may have.
fn foreign(annotations: BTreeMap<String, String>) -> BTreeMap<String, String> {
    annotations.into_iter().filter(|(name, _)| !name.starts_with(OWN_ANNOTATIONS)).collect()
}

/// Returns the name of a new request: letters, digits, `-`, `_` and `.`, as kubelets make them.
fn name(incoming: &Incoming) -> Result<String, Failed> {
    let name = if incoming.name.is_empty() && !incoming.generate_name.is_empty() {
        let digest = Fingerprint::of(&incoming.request).to_string();
        format!("{}{}", incoming.generate_name, digest.chars().take(10).collect::<String>())
    } else {
        incoming.name.clone()
    };
    let is_valid = !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if is_valid {
        Ok(name)
    } else {
        let limit = format!("it must have 1 to {MAX_NAME} letters, digits, '-', '_' and '.'");
        Err(Failed::invalid(&name, "metadata.name", limit))
    }
}

/// Answers a dry run: which rule would decide, and why.
fn preview(call: &Call, name: &str, incoming: &Incoming, content: &RequestContent, proof: &Proof) -> Answer {
    let (site, now) = (&call.state.site, call.state.now());
    // Evaluating the policy takes long, and clients without proof must not learn it.
    let may_know = proof.is_proven || call.client.may_see_all();
    let preview = || tokio::task::block_in_place(|| site.preview(content, &call.client, now));
    let decision = if may_know { preview() } else { None };
    let requester = &call.client.requester;
    let preview = json!({
        "host": content.host.as_str(),
        "known": site.knows(&content.host),
        "proven": proof.is_proven,
        "decision": decision,
    });
    let object = json!({
        "kind": object::KIND,
        "apiVersion": object::VERSION,
        "metadata": {
            "name": name,
            "creationTimestamp": object::time_text(now),
            "annotations": {PREVIEW: preview.to_string()},
        },
        "spec": {
            "request": Base64::encode_string(&incoming.request),
            "signerName": incoming.signer,
            "usages": incoming.usages,
            "username": requester.username,
            "groups": requester.groups,
        },
        "status": {},
    });
    Ok(json_response(StatusCode::CREATED, &object))
}
