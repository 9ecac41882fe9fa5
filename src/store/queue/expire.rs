//! Expires requests that were not decided in time, and archives finished ones.

use time::Duration;

use super::batch::{Batch, Failure};
use super::change::{Answer, Retention};
use super::create::finish;
use super::row::{COLUMNS, StoredRequest};
use super::update::archive;
use crate::enrol::request::State;

/// Expires open requests, archives finished ones, and deletes old archived ones.
pub(super) fn expire(batch: &mut Batch<'_>, retention: Retention, limit: u32) -> Result<Answer, Failure> {
    let before = |age: Duration| (batch.now - age).unix_timestamp();
    let (open, unknown, finished) = (before(retention.open), before(retention.unknown), before(retention.finished));
    let deleted = before(retention.archived);
    let mut count = 0;
    for state in [State::Pending, State::Approved] {
        let query = format!(
            "SELECT {COLUMNS} FROM requests WHERE archived = 0 AND state = ?1 AND changed < max(?2, ?3) \
             AND changed < CASE known WHEN 0 THEN ?3 ELSE ?2 END LIMIT ?4"
        );
        for request in rows(batch, &query, (state.as_str(), open, unknown, limit))? {
            finish(batch, request, State::Expired, "Expired", "it was not decided in time")?;
            count += 1;
        }
    }
    for state in State::ALL.into_iter().filter(|state| !state.is_open()) {
        let query =
            format!("SELECT {COLUMNS} FROM requests WHERE archived = 0 AND state = ?1 AND changed < ?2 LIMIT ?3");
        for request in rows(batch, &query, (state.as_str(), finished, limit))? {
            archive(batch, request, "archived", "clusterctl")?;
            count += 1;
        }
    }
    // In the order of arrival, so old ones are at the beginning of the table.
    let old = "SELECT id FROM (SELECT id, archived, changed FROM requests ORDER BY id LIMIT ?2) \
               WHERE archived = 1 AND changed < ?1";
    for table in ["events WHERE request", "requests WHERE id"] {
        let delete = format!("DELETE FROM {table} IN ({old})");
        batch.transaction.prepare_cached(&delete)?.execute((deleted, limit))?;
    }
    Ok(Answer::Count(count))
}

/// Closes all open requests of a host.
pub(super) fn close(batch: &mut Batch<'_>, host: &str, message: &str) -> Result<Answer, Failure> {
    let query =
        format!("SELECT {COLUMNS} FROM requests WHERE archived = 0 AND host = ?1 AND state IN ('pending', 'approved')");
    let mut count = 0;
    for request in rows(batch, &query, [host])? {
        finish(batch, request, State::Failed, "Revoked", message)?;
        count += 1;
    }
    Ok(Answer::Count(count))
}

fn rows(batch: &Batch<'_>, query: &str, params: impl rusqlite::Params) -> rusqlite::Result<Vec<StoredRequest>> {
    batch.transaction.prepare_cached(query)?.query_map(params, StoredRequest::read)?.collect()
}
