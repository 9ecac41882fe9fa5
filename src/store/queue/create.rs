//! Adds a request.

use rusqlite::OptionalExtension;

use super::batch::{Batch, Failure};
use super::change::{Answer, Kind, NewRequest};
use super::error::Refused;
use super::row::{COLUMNS, StoredRequest, conditions_text, json, requester_text};
use super::update;
use crate::enrol::request::{Condition, State};

/// Adds a request. A name that exists, a limit, or a token that was used for another key refuses it.
///
/// A proven request is never refused because of unproven ones: it supersedes the oldest unproven request of its host.
pub(super) fn create(batch: &mut Batch<'_>, new: &NewRequest) -> Result<Answer, Failure> {
    if update::find(batch, &new.name)?.is_some() {
        return Err(Refused::Exists.into());
    }
    let (host, key) = (new.content.host.as_str(), *new.content.key().bytes());
    if let Some(token) = &new.token {
        let used = batch
            .transaction
            .prepare_cached("SELECT spki_sha256 FROM used_tokens WHERE token = ?1 AND signer = ?2")?
            .query_row((token, new.content.signer.as_str()), |row| row.get::<_, [u8; 32]>(0))
            .optional()?;
        if used.is_some_and(|used| used != key) {
            return Err(Refused::TokenUsed.into());
        }
    }
    let superseded = superseded_by(batch, new, host)?;
    // Nothing is refused from here on.
    if let Some(token) = &new.token {
        batch.transaction.prepare_cached("INSERT OR IGNORE INTO used_tokens VALUES (?1, ?2, ?3, ?4)")?.execute((
            token,
            new.content.signer.as_str(),
            key,
            batch.now.unix_timestamp(),
        ))?;
    }
    if let Some(old) = superseded {
        let message = format!("the proven request {} took its place", new.name);
        finish(batch, old, State::Superseded, "Superseded", &message)?;
    }
    let version = batch.next_version();
    let uid = batch.uid(&new.name);
    let mut request = StoredRequest {
        id: 0,
        name: new.name.clone(),
        uid,
        version,
        born: version,
        signer: new.content.signer.as_str().to_owned(),
        host: host.to_owned(),
        key,
        proven: new.proven,
        known: new.known,
        state: State::Pending,
        created: batch.now,
        changed: batch.now,
        expiration: new.expiration,
        pem: new.content.pem.clone(),
        usages: new.content.usages.clone(),
        requester: new.requester.clone(),
        annotations: new.annotations.clone(),
        conditions: Vec::new(),
        certificate: Vec::new(),
    };
    insert(batch, &request)?;
    request.id = batch.transaction.last_insert_rowid();
    let by = request.requester.username.clone();
    Ok(batch.event(Kind::Added, "created", &by, request)?)
}

fn insert(batch: &Batch<'_>, request: &StoredRequest) -> rusqlite::Result<()> {
    let now = batch.now.unix_timestamp();
    batch
        .transaction
        .prepare_cached(
            "INSERT INTO requests (name, uid, version, born, signer, host, spki_sha256, proven, known, state, created, \
             changed, expiration, pem, usages, requester, annotations, conditions, certificate) \
             VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, 'pending', ?9, ?9, ?10, ?11, ?12, ?13, ?14, '[]', x'')",
        )?
        .execute(rusqlite::params![
            request.name,
            request.uid,
            request.version,
            request.signer,
            request.host,
            request.key,
            request.proven,
            request.known,
            now,
            request.expiration,
            request.pem,
            json(&request.usages),
            requester_text(&request.requester),
            json(&request.annotations),
        ])?;
    Ok(())
}

/// Returns the request that a new one supersedes, if the host has the largest number of open requests.
fn superseded_by(batch: &Batch<'_>, new: &NewRequest, host: &str) -> Result<Option<StoredRequest>, Failure> {
    if !new.known && !new.proven {
        let open: u32 = batch
            .transaction
            .prepare_cached(
                "SELECT count(*) FROM requests WHERE archived = 0 AND known = 0 AND state IN ('pending', 'approved')",
            )?
            .query_row([], |row| row.get(0))?;
        if open >= new.limits.of_unknown {
            return Err(Refused::TooManyUnknown { open }.into());
        }
    }
    let open: u32 = batch
        .transaction
        .prepare_cached(
            "SELECT count(*) FROM requests WHERE archived = 0 AND host = ?1 AND state IN ('pending', 'approved')",
        )?
        .query_row([host], |row| row.get(0))?;
    if open < new.limits.of_host {
        return Ok(None);
    }
    if !new.proven {
        return Err(Refused::TooManyOfHost { open }.into());
    }
    // The oldest unproven one; else the oldest proven one for the same signer, which has another key.
    let query = format!(
        "SELECT {COLUMNS} FROM requests WHERE archived = 0 AND host = ?1 AND state IN ('pending', 'approved') \
         AND state = 'pending' AND (proven = 0 OR signer = ?2) ORDER BY proven, id LIMIT 1"
    );
    let oldest = batch
        .transaction
        .prepare_cached(&query)?
        .query_row((host, new.content.signer.as_str()), StoredRequest::read)
        .optional()?;
    oldest.map(Some).ok_or_else(|| Refused::TooManyOfHost { open }.into())
}

/// Ends an open request without a decision: a condition `Failed` with the reason tells it to the client.
pub(super) fn finish(
    batch: &mut Batch<'_>,
    mut request: StoredRequest,
    state: State,
    reason: &str,
    message: &str,
) -> Result<(), Failure> {
    request.version = batch.next_version();
    request.state = state;
    request.changed = batch.now;
    request.conditions.push(Condition {
        kind: "Failed".to_owned(),
        status: "True".to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_update: Some(batch.now),
        last_transition: Some(batch.now),
    });
    batch
        .transaction
        .prepare_cached("UPDATE requests SET version = ?2, state = ?3, changed = ?4, conditions = ?5 WHERE id = ?1")?
        .execute((
            request.id,
            request.version,
            state.as_str(),
            batch.now.unix_timestamp(),
            conditions_text(&request.conditions),
        ))?;
    batch.event(Kind::Modified, state.as_str(), "clusterctl", request)?;
    Ok(())
}
