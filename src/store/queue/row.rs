//! A request as a row of the queue.

use std::collections::BTreeMap;

use rusqlite::Row;
use rusqlite::types::Type;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::enrol::request::{Condition, Requester, State};

/// The columns of [`StoredRequest`], in the order in which it reads them.
pub(super) const COLUMNS: &str = "id, name, uid, version, born, signer, host, spki_sha256, proven, known, state, \
                                  created, changed, expiration, pem, usages, requester, annotations, conditions, \
                                  certificate";

/// A request as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRequest {
    /// The order of arrival.
    pub id: i64,
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.resourceVersion`
    pub version: i64,
    /// The resource version of the creation.
    pub born: i64,
    /// `spec.signerName`
    pub signer: String,
    /// The host in the common name of the CSR.
    pub host: String,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub key: [u8; 32],
    /// Whether evidence of the host was verified when it came.
    pub proven: bool,
    /// Whether the cluster file had the host when it came.
    pub known: bool,
    /// The state.
    pub state: State,
    /// The time of creation.
    pub created: OffsetDateTime,
    /// The time of the last change of the state.
    pub changed: OffsetDateTime,
    /// `spec.expirationSeconds`
    pub expiration: Option<i32>,
    /// `spec.request`: PEM.
    pub pem: Vec<u8>,
    /// `spec.usages`
    pub usages: Vec<String>,
    /// The client that sent it.
    pub requester: Requester,
    /// `metadata.annotations`
    pub annotations: BTreeMap<String, String>,
    /// `status.conditions`
    pub conditions: Vec<Condition>,
    /// `status.certificate`: PEM; empty if there is none.
    pub certificate: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct RequesterText {
    username: String,
    groups: Vec<String>,
    #[serde(default)]
    extra: BTreeMap<String, Vec<String>>,
}

#[derive(Serialize, Deserialize)]
struct ConditionText {
    kind: String,
    status: String,
    reason: String,
    message: String,
    #[serde(default)]
    updated: Option<i64>,
    #[serde(default)]
    changed: Option<i64>,
}

/// Encodes a value as JSON text. The types of this module always encode.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Returns the text of a requester.
pub(super) fn requester_text(requester: &Requester) -> String {
    let Requester { username, groups, extra } = requester.clone();
    json(&RequesterText { username, groups, extra })
}

/// Returns the text of conditions.
pub(super) fn conditions_text(conditions: &[Condition]) -> String {
    let text = |one: &Condition| ConditionText {
        kind: one.kind.clone(),
        status: one.status.clone(),
        reason: one.reason.clone(),
        message: one.message.clone(),
        updated: one.last_update.map(OffsetDateTime::unix_timestamp),
        changed: one.last_transition.map(OffsetDateTime::unix_timestamp),
    };
    json(&conditions.iter().map(text).collect::<Vec<_>>())
}

fn time(unix: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn decoded<T: for<'a> Deserialize<'a>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let failed = |error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error));
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(failed)
}

impl StoredRequest {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let requester: RequesterText = decoded(row, 16)?;
        let conditions: Vec<ConditionText> = decoded(row, 18)?;
        let state = row.get_ref(10)?.as_str()?;
        let unknown = || rusqlite::Error::FromSqlConversionFailure(10, Type::Text, "an unknown state".into());
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            uid: row.get(2)?,
            version: row.get(3)?,
            born: row.get(4)?,
            signer: row.get(5)?,
            host: row.get(6)?,
            key: row.get(7)?,
            proven: row.get(8)?,
            known: row.get(9)?,
            state: State::parse(state).ok_or_else(unknown)?,
            created: time(row.get(11)?),
            changed: time(row.get(12)?),
            expiration: row.get(13)?,
            pem: row.get(14)?,
            usages: decoded(row, 15)?,
            requester: Requester { username: requester.username, groups: requester.groups, extra: requester.extra },
            annotations: decoded(row, 17)?,
            conditions: conditions
                .into_iter()
                .map(|one| Condition {
                    kind: one.kind,
                    status: one.status,
                    reason: one.reason,
                    message: one.message,
                    last_update: one.updated.map(time),
                    last_transition: one.changed.map(time),
                })
                .collect(),
            certificate: row.get(19)?,
        })
    }
}
