//! The history of requests: their events, with the user who caused each, and the reason.

use rusqlite::{Connection, Row};
use serde_json::Value;
use time::OffsetDateTime;

use super::connection::Queue;
use super::error::QueueError;
use super::row::{COLUMNS, StoredRequest};

/// An event of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueEvent {
    /// The time.
    pub at: OffsetDateTime,
    /// The user, as the server authenticated it; `clusterctl` for the server itself.
    pub by: String,
    /// `created`, `approved`, `denied`, `failed`, `superseded`, `expired` or `deleted`.
    pub kind: String,
    /// The request's name.
    pub request: String,
    /// The host that the request is for.
    pub host: String,
    /// The reason of a decision; empty for other events.
    pub reason: String,
}

impl QueueEvent {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let at = OffsetDateTime::from_unix_timestamp(row.get(0)?).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let kind: String = row.get(2)?;
        let conditions: String = row.get(5)?;
        let condition = match kind.as_str() {
            "approved" => "Approved",
            "denied" => "Denied",
            "failed" | "superseded" | "expired" => "Failed",
            _ => "",
        };
        let reason = reason_of(&conditions, condition);
        Ok(Self { at, by: row.get(1)?, kind, request: row.get(3)?, host: row.get(4)?, reason })
    }
}

/// Returns the reason of a condition from the stored conditions (JSON); empty if there is no such condition.
fn reason_of(conditions: &str, kind: &str) -> String {
    let all: Value = serde_json::from_str(conditions).unwrap_or_default();
    let found = all.as_array().into_iter().flatten().find(|one| one["kind"] == kind);
    let text = |field: &str| found.and_then(|one| one[field].as_str()).unwrap_or_default();
    match (text("reason"), text("message")) {
        (reason, "") => reason.to_owned(),
        ("", message) => message.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// Returns an id that is smaller than those of all requests since a time.
///
/// Ids grow with the time of creation, so a binary search finds it.
fn last_before(connection: &Connection, since: i64) -> rusqlite::Result<i64> {
    let ends = "SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM requests";
    let (mut low, mut high): (i64, i64) = connection.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut created = connection.prepare("SELECT created FROM requests WHERE id >= ?1 ORDER BY id LIMIT 1")?;
    while low < high {
        let middle = low + (high - low) / 2;
        if created.query_row([middle], |row| row.get::<_, i64>(0))? < since {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low - 1)
}

impl Queue {
    /// Returns the events of requests since `since`, in the order in which they were recorded, for `hosts`, or for all hosts
    /// if `hosts` is empty.
    ///
    /// Events that certificates were issued are left out, because the ledger has them, and so are those that only change
    /// annotations or archive a request.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub fn events(&self, hosts: &[String], since: Option<OffsetDateTime>) -> Result<Vec<QueueEvent>, QueueError> {
        let query = "SELECT e.at, e.by, e.kind, r.name, r.host, r.conditions FROM events e \
                     JOIN requests r ON r.id = e.request \
                     WHERE e.kind NOT IN ('annotated', 'archived', 'issued') AND (?1 IS NULL OR e.at >= ?1) \
                     AND (?2 IS NULL OR r.host IN (SELECT value FROM json_each(?2))) ORDER BY e.version, e.rowid";
        let since = since.map(OffsetDateTime::unix_timestamp);
        let hosts = (!hosts.is_empty()).then(|| Value::from(hosts).to_string());
        self.read(|connection| connection.prepare(query)?.query_map((since, hosts), QueueEvent::read)?.collect())
    }

    /// Returns requests that were created at `since` or later and have a larger id than `after`, in the order of arrival,
    /// including those that are no longer listed. The flag is true if there are more than `limit`.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub fn past(
        &self,
        since: OffsetDateTime,
        after: i64,
        limit: u32,
    ) -> Result<(Vec<StoredRequest>, bool), QueueError> {
        let query = format!("SELECT {COLUMNS} FROM requests WHERE id > ?1 AND created >= ?2 ORDER BY id LIMIT ?3");
        let since = since.unix_timestamp();
        self.read(|connection| {
            let after = after.max(last_before(connection, since)?);
            let params = (after, since, i64::from(limit) + 1);
            let mut found: Vec<StoredRequest> =
                connection.prepare(&query)?.query_map(params, StoredRequest::read)?.collect::<Result<_, _>>()?;
            let has_more = found.len() > limit as usize;
            found.truncate(limit as usize);
            Ok((found, has_more))
        })
    }

    /// Returns all requests that are not decided or have no certificate yet, in the order of their hosts.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub fn open_requests(&self) -> Result<Vec<StoredRequest>, QueueError> {
        let query = format!(
            "SELECT {COLUMNS} FROM requests WHERE archived = 0 AND state IN ('pending', 'approved') ORDER BY host, id"
        );
        self.read(|connection| connection.prepare(&query)?.query_map([], StoredRequest::read)?.collect())
    }
}
