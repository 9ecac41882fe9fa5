//! Leases, by which several signers elect the one that acts.

use rusqlite::{OptionalExtension, Row};
use time::OffsetDateTime;

use super::batch::{Batch, Failure};
use super::change::{Answer, Precondition, StoredLease};
use super::error::Refused;

/// The largest number of Leases.
const MAX_LEASES: u32 = 64;

pub(super) const COLUMNS: &str = "namespace, name, uid, version, created, spec";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<StoredLease> {
    Ok(StoredLease {
        namespace: row.get(0)?,
        name: row.get(1)?,
        uid: row.get(2)?,
        version: row.get(3)?,
        created: OffsetDateTime::from_unix_timestamp(row.get(4)?).unwrap_or(OffsetDateTime::UNIX_EPOCH),
        spec: row.get(5)?,
    })
}

fn find(batch: &Batch<'_>, namespace: &str, name: &str) -> rusqlite::Result<Option<StoredLease>> {
    let query = format!("SELECT {COLUMNS} FROM leases WHERE namespace = ?1 AND name = ?2");
    batch.transaction.prepare_cached(&query)?.query_row((namespace, name), read).optional()
}

pub(super) fn create(batch: &mut Batch<'_>, namespace: &str, name: &str, spec: &str) -> Result<Answer, Failure> {
    if find(batch, namespace, name)?.is_some() {
        return Err(Refused::Exists.into());
    }
    let count: u32 = batch.transaction.query_row("SELECT count(*) FROM leases", [], |row| row.get(0))?;
    if count >= MAX_LEASES {
        return Err(Refused::TooManyUnknown { open: count }.into());
    }
    let version = batch.next_version();
    let lease = StoredLease {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: batch.uid(name),
        version,
        created: batch.now,
        spec: spec.to_owned(),
    };
    batch.transaction.prepare_cached("INSERT INTO leases VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute((
        namespace,
        name,
        &lease.uid,
        version,
        batch.now.unix_timestamp(),
        spec,
    ))?;
    Ok(Answer::Lease(lease))
}

pub(super) fn update(
    batch: &mut Batch<'_>,
    namespace: &str,
    name: &str,
    precondition: &Precondition,
    spec: &str,
) -> Result<Answer, Failure> {
    let mut lease = find(batch, namespace, name)?.ok_or(Refused::Missing)?;
    let is_other = precondition.uid.as_ref().is_some_and(|uid| *uid != lease.uid)
        || precondition.version.is_some_and(|version| version != lease.version);
    if is_other {
        return Err(Refused::Conflict.into());
    }
    lease.version = batch.next_version();
    spec.clone_into(&mut lease.spec);
    batch
        .transaction
        .prepare_cached("UPDATE leases SET version = ?3, spec = ?4 WHERE namespace = ?1 AND name = ?2")?
        .execute((namespace, name, lease.version, spec))?;
    Ok(Answer::Lease(lease))
}

pub(super) fn delete(batch: &mut Batch<'_>, namespace: &str, name: &str) -> Result<Answer, Failure> {
    let lease = find(batch, namespace, name)?.ok_or(Refused::Missing)?;
    batch.next_version();
    batch
        .transaction
        .prepare_cached("DELETE FROM leases WHERE namespace = ?1 AND name = ?2")?
        .execute((namespace, name))?;
    Ok(Answer::Lease(lease))
}
