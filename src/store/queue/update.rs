//! Changes the status of a request, and removes requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::OptionalExtension;

use super::batch::{Batch, Failure};
use super::change::{Answer, Edit, Kind, Precondition};
use super::error::Refused;
use super::row::{COLUMNS, StoredRequest, conditions_text, json};
use crate::enrol::request::{Condition, State, state_of};
use crate::pki::fingerprint::Fingerprint;

/// Returns the listed request of a name.
pub(super) fn find(batch: &Batch<'_>, name: &str) -> rusqlite::Result<Option<Arc<StoredRequest>>> {
    if let Some(recent) = batch.recent(name) {
        return Ok(Some(recent));
    }
    let query = format!("SELECT {COLUMNS} FROM requests WHERE name = ?1 AND archived = 0");
    batch.transaction.prepare_cached(&query)?.query_row([name], StoredRequest::read).map(Arc::new).optional()
}

fn checked(batch: &Batch<'_>, name: &str, precondition: &Precondition) -> Result<Arc<StoredRequest>, Failure> {
    let request = find(batch, name)?.ok_or(Refused::Missing)?;
    let is_other = precondition.uid.as_ref().is_some_and(|uid| *uid != request.uid)
        || precondition.version.is_some_and(|version| version != request.version);
    if is_other { Err(Refused::Conflict.into()) } else { Ok(request) }
}

/// Changes the status of a request. A change that has no effect is answered with the present request.
pub(super) fn update(
    batch: &mut Batch<'_>,
    name: &str,
    precondition: &Precondition,
    edit: &Edit,
    by: &str,
) -> Result<Answer, Failure> {
    let before = checked(batch, name, precondition)?;
    let mut request = StoredRequest::clone(&before);
    match edit {
        Edit::Approval { conditions, annotations } => approve(&mut request, conditions, annotations, by, batch)?,
        Edit::Status { conditions, certificate } => issue(&mut request, conditions, certificate.as_ref(), batch)?,
    }
    if request == *before {
        return Ok(Answer::Request(before));
    }
    if request.state != before.state {
        if !before.state.may_become(request.state) {
            return Err(Refused::State { from: before.state, to: request.state }.into());
        }
        request.changed = batch.now;
    }
    request.version = batch.next_version();
    batch
        .transaction
        .prepare_cached(
            "UPDATE requests SET version = ?2, state = ?3, changed = ?4, annotations = ?5, conditions = ?6, \
             certificate = ?7 WHERE id = ?1",
        )?
        .execute(rusqlite::params![
            request.id,
            request.version,
            request.state.as_str(),
            request.changed.unix_timestamp(),
            json(&request.annotations),
            conditions_text(&request.conditions),
            request.certificate,
        ])?;
    let what = if request.state == before.state { "annotated" } else { request.state.as_str() };
    Ok(batch.event(Kind::Modified, what, by, request)?)
}

fn approve(
    request: &mut StoredRequest,
    conditions: &[Condition],
    annotations: &BTreeMap<String, String>,
    by: &str,
    batch: &Batch<'_>,
) -> Result<(), Refused> {
    let before = request.state;
    let added = extend(&mut request.conditions, conditions, batch)?;
    if added.iter().any(|kind| kind != "Approved" && kind != "Denied") {
        return Err(Refused::ConditionChanged);
    }
    request.annotations.clone_from(annotations);
    if !added.is_empty() {
        let both = ["Approved", "Denied"].iter().all(|kind| request.conditions.iter().any(|one| one.kind == **kind));
        let next = state_of(&request.conditions, !request.certificate.is_empty());
        if both || before != State::Pending {
            return Err(Refused::State { from: before, to: next });
        }
        request.state = next;
    }
    // The client's name for itself proves nothing; this one was authenticated.
    for condition in request.conditions.iter_mut().filter(|condition| added.contains(&condition.kind)) {
        let separator = if condition.message.is_empty() { "" } else { " " };
        condition.message.push_str(&format!("{separator}(by {by})"));
    }
    Ok(())
}

fn issue(
    request: &mut StoredRequest,
    conditions: &[Condition],
    certificate: Option<&(Vec<u8>, Fingerprint)>,
    batch: &Batch<'_>,
) -> Result<(), Refused> {
    let added = extend(&mut request.conditions, conditions, batch)?;
    if added.iter().any(|kind| kind != "Failed") {
        return Err(Refused::ConditionChanged);
    }
    if let Some((pem, key)) = certificate.filter(|(pem, _)| *pem != request.certificate) {
        if !request.certificate.is_empty() {
            return Err(Refused::CertificateChanged);
        }
        if *key.bytes() != request.key {
            return Err(Refused::OtherKey);
        }
        if request.state != State::Approved || !added.is_empty() {
            return Err(Refused::State { from: request.state, to: State::Issued });
        }
        request.certificate.clone_from(pem);
        request.state = State::Issued;
    } else if !added.is_empty() {
        request.state = State::Failed;
    }
    Ok(())
}

/// Adds new conditions to those that are there, which must stay, and returns the kinds of the new ones.
fn extend(present: &mut Vec<Condition>, wanted: &[Condition], batch: &Batch<'_>) -> Result<Vec<String>, Refused> {
    let is_kept = |one: &Condition| wanted.iter().any(|other| other.kind == one.kind && other.status == one.status);
    if !present.iter().all(is_kept) {
        return Err(Refused::ConditionChanged);
    }
    let mut added = Vec::new();
    for one in wanted {
        if present.iter().any(|own| own.kind == one.kind) {
            continue;
        }
        added.push(one.kind.clone());
        present.push(Condition {
            last_update: one.last_update.or(Some(batch.now)),
            last_transition: one.last_transition.or(Some(batch.now)),
            ..one.clone()
        });
    }
    Ok(added)
}

/// Removes a request from the list. Its row and its events stay.
pub(super) fn delete(
    batch: &mut Batch<'_>,
    name: &str,
    precondition: &Precondition,
    by: &str,
) -> Result<Answer, Failure> {
    let request = checked(batch, name, precondition)?;
    Ok(archive(batch, Arc::unwrap_or_clone(request), "deleted", by)?)
}

/// Removes a request from the list, with an event of the kind `what`.
pub(super) fn archive(
    batch: &mut Batch<'_>,
    mut request: StoredRequest,
    what: &str,
    by: &str,
) -> rusqlite::Result<Answer> {
    request.version = batch.next_version();
    batch
        .transaction
        .prepare_cached("UPDATE requests SET version = ?2, archived = 1 WHERE id = ?1")?
        .execute((request.id, request.version))?;
    batch.event(Kind::Deleted, what, by, request)
}
