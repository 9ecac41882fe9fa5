//! Reads the queue.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};
use time::OffsetDateTime;

use super::change::{Kind, StoredLease};
use super::connection::Queue;
use super::error::QueueError;
use super::leases;
use super::row::{COLUMNS, StoredRequest};
use crate::enrol::request::State;

/// A selection of the listed requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// `metadata.name`
    pub name: Option<String>,
    /// `spec.signerName`
    pub signer: Option<String>,
}

impl Selection {
    /// Returns true if the selection includes a request.
    #[must_use]
    pub fn includes(&self, request: &StoredRequest) -> bool {
        self.name.as_ref().is_none_or(|name| *name == request.name)
            && self.signer.as_ref().is_none_or(|signer| *signer == request.signer)
    }
}

/// A page of the list of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The requests, sorted by name.
    pub requests: Vec<StoredRequest>,
    /// The resource version of the whole list.
    pub version: i64,
    /// Whether there are more.
    pub has_more: bool,
}

/// What changed after a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The requests with the kind of the change, in the order of their versions.
    pub requests: Vec<(Kind, StoredRequest)>,
    /// The present resource version.
    pub version: i64,
    /// Whether there may be more changes than were read.
    pub has_more: bool,
}

impl Queue {
    /// Returns the listed request of a name.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub fn get(&self, name: &str) -> Result<Option<StoredRequest>, QueueError> {
        self.read(|connection| by_name(connection, name))
    }

    /// Returns the listed requests after a name, in the order of names.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub fn list(&self, selection: &Selection, after: &str, limit: u32) -> Result<Page, QueueError> {
        if let Some(name) = &selection.name {
            return self.in_snapshot(|connection| {
                let found = by_name(connection, name)?;
                let found = found.filter(|row| selection.includes(row) && row.name.as_str() > after && limit > 0);
                Ok(Page { requests: found.into_iter().collect(), version: version(connection)?, has_more: false })
            });
        }
        let query = format!(
            "SELECT {COLUMNS} FROM requests WHERE archived = 0 AND name > ?1 AND (?2 IS NULL OR signer = ?2) \
             ORDER BY name LIMIT ?3"
        );
        self.in_snapshot(|connection| {
            let version = version(connection)?;
            let params = (after, &selection.signer, i64::from(limit) + 1);
            let rows =
                connection.prepare_cached(&query)?.query_map(params, StoredRequest::read)?.collect::<Result<_, _>>();
            let mut requests: Vec<StoredRequest> = rows?;
            let has_more = requests.len() > limit as usize;
            requests.truncate(limit as usize);
            Ok(Page { requests, version, has_more })
        })
    }

    /// Returns the requests that changed after a version.
    ///
    /// A request that was added and changed since then is returned once, as it is now. At most `limit` listed requests and
    /// `limit` removed ones are read, and the selection applies to these: if there are as many, some may be missing.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub fn since(&self, selection: &Selection, after: i64, limit: u32) -> Result<Changes, QueueError> {
        let live =
            format!("SELECT {COLUMNS} FROM requests WHERE archived = 0 AND version > ?1 ORDER BY version LIMIT ?2");
        // A request that is no longer listed has an event with its last version.
        let gone = format!(
            "SELECT {COLUMNS} FROM requests WHERE archived = 1 AND born <= ?1 AND id IN \
             (SELECT request FROM events WHERE version > ?1 AND kind IN ('deleted', 'archived')) \
             ORDER BY version LIMIT ?2"
        );
        self.in_snapshot(|connection| {
            let version = version(connection)?;
            if let Some(name) = &selection.name
                && let Some(row) = by_name(connection, name)?.filter(|row| row.born <= after)
            {
                // The client knows this request, and it was not removed, so its last change is the only event.
                let is_new = row.version > after && selection.includes(&row);
                let requests = is_new.then_some((Kind::Modified, row)).into_iter().collect();
                return Ok(Changes { requests, version, has_more: false });
            }
            let (mut requests, mut has_more) = (Vec::new(), false);
            for (query, is_gone) in [(&live, false), (&gone, true)] {
                let mut statement = connection.prepare_cached(query)?;
                let mut read = 0;
                for row in statement.query_map((after, limit), StoredRequest::read)? {
                    let row = row?;
                    read += 1;
                    let kind = match () {
                        () if is_gone => Kind::Deleted,
                        () if row.born > after => Kind::Added,
                        () => Kind::Modified,
                    };
                    if selection.includes(&row) {
                        requests.push((kind, row));
                    }
                }
                has_more |= read >= limit;
            }
            requests.sort_by_key(|(_, row)| row.version);
            Ok(Changes { requests, version, has_more })
        })
    }

    /// Returns the present resource version.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub fn version(&self) -> Result<i64, QueueError> {
        self.read(version)
    }

    /// Returns the number of listed requests in each state.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub fn counts(&self) -> Result<BTreeMap<State, i64>, QueueError> {
        self.read(|connection| {
            let mut counts = BTreeMap::new();
            let mut statement =
                connection.prepare_cached("SELECT count(*) FROM requests WHERE archived = 0 AND state = ?1")?;
            for state in State::ALL {
                counts.insert(state, statement.query_row([state.as_str()], |row| row.get(0))?);
            }
            Ok(counts)
        })
    }

    /// Returns when the oldest open request was created; `None` if there is none.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub fn oldest_open(&self) -> Result<Option<OffsetDateTime>, QueueError> {
        let query = "SELECT min(created) FROM requests WHERE archived = 0 AND state IN ('pending', 'approved')";
        let oldest: Option<i64> =
            self.read(|connection| connection.prepare_cached(query)?.query_row([], |row| row.get(0)))?;
        Ok(oldest.and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok()))
    }

    /// Returns a Lease.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub fn lease(&self, namespace: &str, name: &str) -> Result<Option<StoredLease>, QueueError> {
        let query = format!("SELECT {} FROM leases WHERE namespace = ?1 AND name = ?2", leases::COLUMNS);
        self.read(|connection| connection.prepare_cached(&query)?.query_row((namespace, name), leases::read).optional())
    }

    /// Returns all Leases of a namespace.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub fn leases(&self, namespace: &str) -> Result<Vec<StoredLease>, QueueError> {
        let query = format!("SELECT {} FROM leases WHERE namespace = ?1 ORDER BY name", leases::COLUMNS);
        self.read(|connection| connection.prepare_cached(&query)?.query_map([namespace], leases::read)?.collect())
    }

    /// Runs several queries on the same state of the database.
    fn in_snapshot<T>(&self, queries: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, QueueError> {
        self.read(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let done = queries(&transaction)?;
            transaction.finish()?;
            Ok(done)
        })
    }
}

fn by_name(connection: &Connection, name: &str) -> rusqlite::Result<Option<StoredRequest>> {
    let query = format!("SELECT {COLUMNS} FROM requests WHERE name = ?1 AND archived = 0");
    connection.prepare_cached(&query)?.query_row([name], StoredRequest::read).optional()
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT version FROM sequence")?.query_row([], |row| row.get(0))
}
